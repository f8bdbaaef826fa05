"""Verdicts in: one row and one record each, whatever comes twice, late, in another order, or at the same time."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from flows.house import House
from flows.verdicts import LONGEST_TEXT, Entry, enter, enter_once, enter_within
from radloop.domain.enums import Laterality, ResultStatus, Severity, Standing, StudyState, VerdictKind, VerdictSource
from radloop.domain.errors import DuplicateConflict, NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Code, Result
from radloop.ledger import Ledger, studies, verdicts
from radloop.ledger.learning import verdicts as verdict_table
from radloop.ledger.tables import audit_events
from tests.flows import cards, place
from tests.flows.readings import OTHER, PNEUMOTHORAX, READER, answer, answered, entry, introduce
from tests.radloop.audit.bending import unprotect
from tests.radloop.ledger import rows

K = VerdictKind


@pytest.fixture
def reading(house: House, ledger: Ledger) -> Iterator[House]:
    """The house, on each database, with people in it."""
    introduce(ledger)
    yield replace(house, ledger=ledger)


def result_in(house: House, sop: str = "1.2.3.4", **changes: object) -> Result:
    """An answered version without stored bytes."""
    (receipt,) = place.record(house.ledger, rows.arrival(study=sop + ".9", sop=sop))
    assert receipt.version_id is not None
    return answer(house.ledger, receipt.version_id, **changes)


def on_record(house: House) -> list[tuple[object, ...]]:
    columns = [column for column in verdict_table.c if column.name != "id"]
    with house.ledger.read() as conn:
        return sorted((tuple(row) for row in conn.execute(select(*columns))), key=repr)


def audited(house: House) -> list[str]:
    with house.ledger.read() as conn:
        return list(conn.scalars(select(audit_events.c.detail).where(audit_events.c.action == "verdict")))


def test_a_verdict_is_one_row_and_one_audit_record(reading: House) -> None:
    result = result_in(reading)
    verdict = enter(reading, entry(result, K.REJECT, text="looks like an artefact"))
    with reading.ledger.read() as conn:
        assert verdicts.of_result(conn, result.id) == (verdict,)
        assert verdicts.of_version(conn, result.version_id) == (verdict,)
    assert audited(reading) == [f"REJECT on {result.id} by {READER} (REST)"]


def test_the_same_again_changes_nothing_and_returns_the_first(reading: House) -> None:
    said = entry(result_in(reading), K.REJECT)
    first = enter_once(reading, said)
    again = enter_once(reading, replace(said, at=said.at + timedelta(minutes=1)))
    assert (first.new, again.new) == (True, False)
    assert again.verdict == first.verdict
    assert len(audited(reading)) == 1


@pytest.mark.parametrize(
    "change", [{"kind": K.REJECT}, {"text": "other words"}, {"reader": OTHER}, {"severity": Severity.MILD}]
)
def test_the_same_id_with_another_content_is_refused(reading: House, change: dict[str, object]) -> None:
    said = entry(result_in(reading))
    enter(reading, said)
    with pytest.raises(DuplicateConflict):
        enter(reading, replace(said, **change))
    assert len(on_record(reading)) == 1


def test_an_unknown_result_is_not_found(reading: House) -> None:
    with pytest.raises(NotFound):
        enter(reading, replace(entry(result_in(reading)), result_id="rs_0"))


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (K.CONFIRM, {"target": "fracture"}, "no such finding"),
        (K.CONFIRM, {"target": ""}, "needs the finding"),
        (K.ADD, {"target": "fracture"}, "no such finding"),
        (K.ADD, {"target": ""}, "needs a code"),
        (K.ADD, {}, "called this finding"),
        (K.MODIFY, {}, "modification needs"),
        (K.MODIFY, {"code": Code("233604007", "SCT", "Pneumonia")}, "modification needs"),
        (K.CONFIRM, {"reader": "nobody"}, "reader is no person"),
        (K.CONFIRM, {"reader": "ris-robot"}, "reader is no person"),
        (K.CONFIRM, {"actor": "nobody"}, "is no actor"),
        (K.CONFIRM, {"source_id": ""}, "1 to 128"),
        (K.CONFIRM, {"source_id": "x" * 129}, "1 to 128"),
        (K.CONFIRM, {"text": "x" * (LONGEST_TEXT + 1)}, "too long"),
        (K.CONFIRM, {"text": "a\0b"}, "cannot be kept"),
        (K.CONFIRM, {"text": "\ud800"}, "cannot be kept"),
        (K.CONFIRM, {"result_id": "rs_\0"}, "cannot be kept"),
        (K.CONFIRM, {"target": "no such target!"}, "not the name"),
        (K.ADD, {"target": "", "code": Code("", "SCT", "x")}, "a code needs"),
        (K.CONFIRM, {"at": datetime(2026, 3, 1)}, "no offset"),  # noqa: DTZ001 - that is the point
        (K.CONFIRM, {"at": utc_now() + timedelta(days=2)}, "in the future"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_a_sentence_and_leaves_nothing(
    reading: House, kind: VerdictKind, change: dict[str, object], words: str
) -> None:
    result = result_in(reading)
    with pytest.raises(Rejected, match=words):
        enter(reading, replace(entry(result, kind), **change))
    assert on_record(reading) == []
    assert audited(reading) == []


@pytest.mark.parametrize(
    "change", [{"laterality": Laterality.LEFT}, {"severity": Severity.MILD}, {"code": PNEUMOTHORAX}]
)
def test_a_modification_changes_code_severity_or_side(reading: House, change: dict[str, object]) -> None:
    said = replace(entry(result_in(reading), K.MODIFY), **change)
    verdict = enter(reading, said)
    with reading.ledger.read() as conn:
        assert verdicts.by_source(conn, said.source, said.source_id) == verdict
    assert {name: getattr(verdict, name) for name in change} == change


def test_a_reader_may_add_what_the_model_missed_or_does_not_know(reading: House) -> None:
    result = result_in(reading, findings=(rows.finding(probability=0.1),))
    enter(reading, entry(result, K.ADD))
    enter(reading, entry(result, K.ADD, target="", code=PNEUMOTHORAX, source_id="another"))
    assert len(on_record(reading)) == 2


@pytest.mark.parametrize("status", [ResultStatus.NOT_APPLICABLE, ResultStatus.UNAVAILABLE])
def test_of_a_study_that_the_model_did_not_read_only_an_addition_can_be_said(
    reading: House, status: ResultStatus
) -> None:
    result = result_in(reading, status=status, findings=(), reason="view")
    for kind in (K.CONFIRM, K.REJECT, K.MODIFY):
        with pytest.raises(Rejected, match="did not read"):
            enter(reading, entry(result, kind, laterality=Laterality.LEFT))
    assert enter(reading, entry(result, K.ADD)).kind is K.ADD


def test_a_verdict_is_taken_after_sign_off_and_on_a_shadows_result(reading: House) -> None:
    result = result_in(reading, model=cards.version(standing=Standing.SHADOW))
    with reading.ledger.write() as conn:
        assert studies.sign(conn, result.version_id)
        assert not studies.sign(conn, result.version_id)
    enter(reading, entry(result, K.REJECT))
    with reading.ledger.read() as conn:
        version = studies.get(conn, result.version_id)
        assert version is not None
        assert version.state is StudyState.SIGNED


def test_verdicts_of_one_message_are_entered_together_or_not_at_all(reading: House) -> None:
    result = result_in(reading)
    with pytest.raises(Rejected), reading.ledger.write() as conn:
        enter_within(conn, entry(result, K.CONFIRM, actor="gateway"))
        enter_within(conn, entry(result, K.MODIFY, actor="gateway"))
    assert on_record(reading) == []


def test_two_that_enter_the_same_at_once_leave_one(reading: House) -> None:
    said = entry(result_in(reading), K.REJECT)
    start, new = threading.Barrier(4), list[bool]()

    def send() -> None:
        start.wait()
        new.append(enter_once(reading, said).new)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(new) == [False, False, False, True]
    assert len(audited(reading)) == 1


def test_overrides_are_counted_per_model_and_since_a_time(reading: House) -> None:
    result = result_in(reading)
    enter(reading, entry(result, K.CONFIRM))
    override = enter(reading, entry(result, K.REJECT, reader=OTHER))
    with reading.ledger.read() as conn:
        assert verdicts.overrides(conn) == (override,)
        assert verdicts.overrides_since(conn, cards.NAME, None) == 1
        assert verdicts.overrides_since(conn, cards.NAME, override.at) == 0
        assert verdicts.overrides_since(conn, "another", None) == 0
        assert len(verdicts.since(conn, cards.NAME, override.at - timedelta(seconds=1))) == 2


@pytest.fixture
def entries(house: House) -> tuple[House, list[Entry]]:
    """Everything a reader might say of two results, each once, and one that is refused."""
    introduce(house.ledger)
    one, two = result_in(house), result_in(house, "1.2.3.5", findings=(rows.finding(probability=0.1),))
    said = [
        entry(one, K.CONFIRM),
        entry(one, K.REJECT, reader=OTHER, source=VerdictSource.HL7_ORU),
        entry(one, K.MODIFY, severity=Severity.SEVERE, text="large"),
        entry(one, K.MODIFY, source_id="refused"),
        entry(two, K.ADD),
        entry(two, K.ADD, target="", code=PNEUMOTHORAX, source=VerdictSource.DICOM_SR),
    ]
    return house, said


def enter_all(house: House, said: list[Entry]) -> None:
    for one in said:
        try:
            enter(house, one)
        except Rejected:
            assert one.source_id == "refused"


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_repetition_of_the_same_entries_ends_in_the_same_rows(
    entries: tuple[House, list[Entry]], data: st.DataObject
) -> None:
    house, said = entries
    order = data.draw(st.permutations(said))
    repeated = data.draw(st.lists(st.sampled_from(said), max_size=6))
    rows_of = []
    for sequence in (said, [*order, *repeated], [*repeated, *order]):
        with house.ledger.write() as conn:
            unprotect(conn)
            conn.execute(delete(verdict_table))
            conn.execute(delete(audit_events))
        enter_all(house, sequence)
        rows_of.append((on_record(house), sorted(audited(house))))
    assert rows_of[0] == rows_of[1] == rows_of[2]
    assert len(rows_of[0][0]) == len(rows_of[0][1]) == 5


def test_a_reader_s_words_are_in_no_audit_and_no_log(house: House) -> None:
    introduce(house.ledger)
    with capture_logs() as logged:
        enter(house, entry(answered(house), K.REJECT, text="Mrs QZXWKVJ moved"))
    assert [one["event"] for one in logged] == ["override"]
    assert "QZXWKVJ" not in str(logged)
    assert not any("QZXWKVJ" in detail for detail in audited(house))
