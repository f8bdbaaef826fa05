"""Sign-off: the version is closed once, the final report goes to the EHR, and the clock of retention starts."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from sqlalchemy import select
from structlog.testing import capture_logs

from flows import final_report, signing_off
from flows.deliver import deliver_due
from flows.house import House
from flows.signing_off import sign_off, sign_off_once
from flows.verdicts import enter
from radloop.domain.enums import (
    DeliveryState,
    Laterality,
    ObjectKind,
    ResultStatus,
    Standing,
    StudyState,
    Urgency,
    VerdictKind,
)
from radloop.domain.errors import DuplicateConflict, InvalidObject, NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence, Result
from radloop.ledger import deliveries, objects, quarantine, results, studies
from radloop.ledger.tables import audit_events, study_versions
from serving.standins import EhrStandIn
from tests.flows import cards, place
from tests.flows.readings import AT, OTHER, PNEUMOTHORAX, READER, answered, entry, introduce, signoff
from tests.radloop.ledger import rows

K = VerdictKind
PEERS = """
[peers.ehr]
fhir = "{url}"
roles = ["reports"]
[peers.ris]
mllp = "127.0.0.1:1"
roles = ["reports"]
[readers."dr.who"]
ids = ["R-007"]
"""
FINDINGS = (
    rows.finding(picture_key=None),
    rows.finding(target="effusion", code=rows.Code("60046008", "SCT", "Pleural effusion"), probability=0.2),
    rows.finding(target="mass", code=rows.Code("4147007", "SCT", "Mass"), probability=0.7),
)


@pytest.fixture
def ehr(tmp_path: Path) -> Iterator[EhrStandIn]:
    with EhrStandIn(tmp_path / "ehr") as running:
        yield running


@pytest.fixture
def hospital(tmp_path: Path, ehr: EhrStandIn) -> Iterator[House]:
    opened = place.make_home(tmp_path / "hospital", more=PEERS.format(url=ehr.url))
    introduce(opened.ledger)
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


def final_of(house: House, result: Result) -> dict[str, Any]:
    """The stored final report, as FHIR's own definitions take it."""
    with house.ledger.read() as conn:
        (made,) = (one for one in objects.of_result(conn, result.id) if one.ordinal == 1)
    data = house.store.get(made.blob.key)
    DiagnosticReport.model_validate_json(data)
    report: dict[str, Any] = json.loads(data)
    return report


def observations(report: dict[str, Any]) -> dict[str, tuple[str, str, bool]]:
    """By the finding's code: the observation's status, its value, and whether the model's device made it."""
    return {
        part["code"]["coding"][0]["code"]: (part["status"], part["valueCodeableConcept"]["text"], "device" in part)
        for part in report["contained"]
        if part["resourceType"] == "Observation"
    }


def form_of(report: dict[str, Any]) -> str:
    """The report for people."""
    return base64.b64decode(report["presentedForm"][0]["data"]).decode("utf-8")


def state_of(house: House, result: Result) -> StudyState:
    with house.ledger.read() as conn:
        version = studies.get(conn, result.version_id)
    assert version is not None
    return version.state


def actions(house: House) -> list[str]:
    with house.ledger.read() as conn:
        return list(conn.scalars(select(audit_events.c.action).order_by(audit_events.c.at)))


def deliver_all(house: House) -> None:
    asyncio.run(deliver_due(house, "ehr"))


def test_the_final_report_reaches_the_ehr_once_under_its_own_identifier(hospital: House, ehr: EhrStandIn) -> None:
    result = answered(hospital)
    enter(hospital, entry(result, K.CONFIRM))
    assert sign_off(hospital, signoff(result)) == signoff(result)
    deliver_all(hospital)
    (received,) = ehr.reports
    report = json.loads(received)
    assert report["status"] == "final"
    assert report["identifier"][0]["value"] == f"{result.id}.final"
    with hospital.ledger.read() as conn:
        (delivery,) = deliveries.of_versions(conn, [result.version_id])
    assert (delivery.peer, delivery.state) == ("ehr", DeliveryState.ACCEPTED)
    assert delivery.object.ordinal == 1
    assert state_of(hospital, result) is StudyState.SIGNED


def test_the_reader_interprets_and_concludes_and_what_was_rejected_is_not_in_it(hospital: House) -> None:
    result = answered(hospital, findings=FINDINGS)
    enter(hospital, entry(result, K.REJECT))
    enter(hospital, entry(result, K.CONFIRM, target="effusion"))
    sign_off(hospital, signoff(result, conclusion="No pneumonia.\nSmall mass, see CT."))
    report = final_of(hospital, result)
    (interpreter,) = report["resultsInterpreter"]
    assert interpreter == {"type": "Practitioner", "identifier": {"value": "R-007"}, "display": READER}
    assert report["conclusion"] == "No pneumonia.\nSmall mass, see CT."
    assert "conclusionCode" not in report
    assert report["issued"].startswith("2026-03-01T13:00")
    assert observations(report) == {
        "60046008": ("final", "Negative", True),
        "4147007": ("preliminary", "Positive", True),
    }
    assert "233604007" not in json.dumps(report)
    assert "Pneumonia (" not in form_of(report)
    assert form_of(report).splitlines()[:3] == [
        f"Final report, signed by {READER} at 2026-03-01T13:00:00+00:00.",
        "No pneumonia.",
        "Small mass, see CT.",
    ]


def test_what_the_reader_modified_or_added_stands_as_the_reader_s_own(hospital: House) -> None:
    result = answered(hospital, findings=FINDINGS)
    enter(hospital, entry(result, K.MODIFY, laterality=Laterality.LEFT))
    enter(hospital, entry(result, K.REJECT, target="effusion"))
    enter(hospital, entry(result, K.ADD, target="", code=PNEUMOTHORAX))
    sign_off(hospital, signoff(result))
    report = final_of(hospital, result)
    assert observations(report) == {
        "233604007": ("final", "Positive", False),
        "60046008": ("final", "Positive", False),
        "4147007": ("preliminary", "Positive", True),
        "36118008": ("final", "Positive", False),
    }
    concluded = [code["coding"][0]["code"] for code in report["conclusionCode"]]
    assert concluded == ["233604007", "60046008", "36118008"]
    (pneumonia, *_) = (part for part in report["contained"] if part["resourceType"] == "Observation")
    assert [one["code"]["coding"][0]["display"] for one in pneumonia["component"]] == ["Laterality"]


def test_the_signer_s_last_word_counts_above_another_reader_s(hospital: House) -> None:
    result = answered(hospital)
    later = AT + timedelta(hours=1)
    enter(hospital, entry(result, K.CONFIRM, source_id="1"))
    enter(hospital, entry(result, K.REJECT, source_id="2", at=AT + timedelta(minutes=1)))
    enter(hospital, entry(result, K.CONFIRM, source_id="3", reader=OTHER, at=later))
    sign_off(hospital, signoff(result))
    assert observations(final_of(hospital, result)) == {}


def test_a_second_sign_off_is_the_first_and_another_is_refused(hospital: House) -> None:
    result = answered(hospital)
    first = sign_off_once(hospital, signoff(result))
    again = sign_off_once(hospital, signoff(result, at=AT + timedelta(hours=1)))
    assert (first.new, again.new) == (True, False)
    assert first.signoff == again.signoff
    for change in ({"reader": OTHER}, {"conclusion": "Otherwise."}):
        with pytest.raises(DuplicateConflict):
            sign_off(hospital, signoff(result, **change))
    with hospital.ledger.read() as conn:
        assert len(deliveries.of_versions(conn, [result.version_id])) == 1
    assert actions(hospital).count("sign-off") == 1


def test_two_readers_who_sign_at_once_leave_one_sign_off(hospital: House) -> None:
    result = answered(hospital)
    start, ended = threading.Barrier(2), list[str]()

    def sign(reader: str) -> None:
        start.wait()
        try:
            ended.append(sign_off(hospital, signoff(result, reader=reader, actor=reader)).reader)
        except DuplicateConflict:
            ended.append("refused")

    threads = [threading.Thread(target=sign, args=(reader,)) for reader in (READER, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ended) == 2
    assert ended.count("refused") == 1
    with hospital.ledger.read() as conn:
        assert len(deliveries.of_versions(conn, [result.version_id])) == 1


def test_a_verdict_that_comes_in_while_the_report_is_made_is_in_the_report(
    hospital: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = answered(hospital)
    made, late = final_report.encode_finals, [entry(result, K.REJECT)]

    def interrupted(*given: Any) -> Any:
        encoded = made(*given)
        if late:
            enter(hospital, late.pop())
        return encoded

    monkeypatch.setattr(signing_off, "encode_finals", interrupted)
    sign_off(hospital, signoff(result))
    assert observations(final_of(hospital, result)) == {}


def test_a_reader_signs_before_a_model_has_answered_and_whoever_reads_it_then_finds_it_gone(hospital: House) -> None:
    (receipt,) = place.arrive(hospital, place.chest_study(8))
    assert receipt.version_id is not None
    now = utc_now()
    with hospital.ledger.write() as conn:
        assert studies.complete(conn, receipt.version_id, Evidence(), now, 1)
        (claimed,) = studies.claim(conn, "runner-1", now, now + timedelta(seconds=30), 1)
    assert sign_off(hospital, signoff(rows.result(claimed.id))).reader == READER
    with hospital.ledger.write() as conn:
        assert not studies.answer(conn, claimed.id, "runner-1", None, Urgency.ROUTINE, now)
        assert not studies.postpone(conn, claimed.id, "runner-1", "AI unavailable", now)
        later = now + timedelta(hours=1)
        assert studies.claim(conn, "runner-2", later, later, 9) == ()


def test_what_still_comes_in_or_is_not_there_or_by_nobody_is_not_signed(hospital: House) -> None:
    (receipt,) = place.arrive(hospital, place.chest_study(7))
    assert receipt.version_id is not None
    waiting = rows.result(receipt.version_id)
    with pytest.raises(Rejected, match="still coming in"):
        sign_off(hospital, signoff(waiting))
    with pytest.raises(NotFound):
        sign_off(hospital, signoff(replace(waiting, version_id="sv_0")))
    result = answered(hospital)
    for change in ({"reader": "nobody"}, {"actor": "nobody"}, {"conclusion": "a\0b"}):
        with pytest.raises(Rejected):
            sign_off(hospital, signoff(result, **change))
    assert state_of(hospital, result) is StudyState.ANSWERED


def test_a_shadow_and_a_model_that_did_not_read_are_in_no_report(hospital: House) -> None:
    champion = answered(hospital)
    shadow = rows.result(champion.version_id, model=cards.version(digest="e" * 64, standing=Standing.SHADOW))
    silent = rows.result(
        champion.version_id, model=cards.version(digest="f" * 64), status=ResultStatus.NOT_APPLICABLE, findings=()
    )
    with hospital.ledger.write() as conn:
        results.add(conn, shadow)
        results.add(conn, silent)
    sign_off(hospital, signoff(champion))
    with hospital.ledger.read() as conn:
        assert [len(objects.of_result(conn, one.id)) for one in (champion, shadow, silent)] == [1, 0, 0]


def test_where_no_peer_gets_reports_over_fhir_the_study_is_signed_all_the_same(house: House) -> None:
    introduce(house.ledger)
    result = answered(house)
    sign_off(house, signoff(result))
    assert state_of(house, result) is StudyState.SIGNED
    with house.ledger.read() as conn:
        assert objects.of_result(conn, result.id) == ()


def test_a_final_report_that_breaks_its_standard_is_set_aside_and_the_study_is_signed(
    hospital: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise InvalidObject("DIAGNOSTIC_REPORT: status: missing")

    encoder = final_report.make.__globals__["encoders"]()[ObjectKind.DIAGNOSTIC_REPORT]
    monkeypatch.setattr(type(encoder), "validate", broken)
    result = answered(hospital)
    sign_off(hospital, signoff(result))
    with hospital.ledger.read() as conn:
        assert quarantine.counts(conn) == {"invalid-object": 1}
        assert deliveries.of_versions(conn, [result.version_id]) == ()
    assert state_of(hospital, result) is StudyState.SIGNED


def test_the_conclusion_is_in_no_audit_and_no_log(hospital: House) -> None:
    result = answered(hospital)
    with capture_logs() as logged:
        enter(hospital, entry(result, K.REJECT, text="QZXWKVJ text"))
        sign_off(hospital, signoff(result, conclusion="QZXWKVJ conclusion"))
    assert [one["event"] for one in logged] == ["override", "signed off"]
    assert "QZXWKVJ" not in str(logged)
    with hospital.ledger.read() as conn:
        assert not [one for one in conn.scalars(select(audit_events.c.detail)) if "QZXWKVJ" in one]
        assert conn.scalar(select(study_versions.c.reason)) is None
