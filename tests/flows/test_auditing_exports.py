import csv
import io
import json
from collections.abc import Mapping
from datetime import timedelta

import pytest
from fhir.resources.R4B.bundle import Bundle
from sqlalchemy import insert, select

from flows.audits.acr import COLUMNS
from flows.audits.exporting import exported
from flows.house import House
from radloop.domain.enums import ActorKind, Standing
from radloop.domain.errors import Rejected
from radloop.ledger import actors
from radloop.ledger.tables import attempts, audit_events
from tests.flows import auditing as told
from tests.flows import cards, versions
from tests.flows.auditing import ADD, CALLED, NO, PERIOD, SILENT, YES, Told, blinded, saw, tell

# The columns of ACR Connect's template for AI results, in its order.
TEMPLATE = [
    "Patient ID", "Accession Number", "Result Indicator", "AI Result", "Manufacturer", "Model", "Study Date",
    "Software Version", "Platform", "Inference Date", "Age", "Sex", "Race", "Ethnicity", "Exam Name", "Modality",
    "Body Part Examined", "Contrast Indication",
]  # fmt: skip


def export(house: House, format_: str, *, identifiers: bool = False, model: str = "") -> bytes:
    return exported(house, format_, PERIOD, "ann", model, identifiers=identifiers)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def lines(data: bytes) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in data.decode().splitlines()]


def test_the_table_begins_with_acrs_columns_and_has_a_row_for_every_finding(house: House) -> None:
    tell(house, Told(probability=CALLED, words=blinded(NO)))
    tell(house, Told(probability=SILENT, words=saw(ADD)))
    tell(house, Told(probability=SILENT))
    data = export(house, "acr-csv")
    assert data.decode().splitlines()[0].split(",")[: len(TEMPLATE)] == TEMPLATE
    found = [(r["Result Indicator"], r["Reader Result"], r["Reader Reading"], r["Concordance"]) for r in rows(data)]
    assert sorted(found) == [
        ("Negative", "", "", ""),
        ("Negative", "Positive", "saw the AI", "discordant"),
        ("Positive", "Negative", "blinded", "discordant"),
    ]
    assert {r["Exam Name"] for r in rows(data)} == {"CR CHEST PA"}
    assert set(rows(data)[0]) == set(COLUMNS)


@pytest.mark.parametrize("format_", ["acr-csv", "acr-fhir", "ai-act"])
def test_an_export_names_no_patient_no_accession_and_no_reader_and_the_audit_has_its_digest(
    house: House, format_: str
) -> None:
    tell(house, Told(words=blinded(YES)))
    data = export(house, format_)
    for word in (told.SECRET, "dr.lee", "1.2.3."):
        assert word not in data.decode()
    with house.ledger.read() as conn:
        row = conn.execute(select(audit_events).where(audit_events.c.action == "report.export")).one()
    assert (row.actor, row.object_id) == ("ann", format_)
    assert "without identifiers, SHA-256" in row.detail


def test_without_identifiers_dates_are_years_and_with_them_they_are_whole(house: House) -> None:
    tell(house, Told(words=blinded(YES), patient=f"{told.SECRET}-P"))
    (bare,) = rows(export(house, "acr-csv"))
    assert (bare["Study Date"], bare["Inference Date"]) == ("2026", "2026")
    (named,) = rows(export(house, "acr-csv", identifiers=True))
    assert named["Study Date"] == "20260130"
    assert named["Patient ID"] == f"{told.SECRET}-P"
    assert named["Accession Number"].startswith(f"{told.SECRET}-A")
    assert f"{told.SECRET}-P" in export(house, "acr-fhir", identifiers=True).decode()


def test_what_a_spreadsheet_would_run_is_defused(house: House) -> None:
    tell(house, Told(words=blinded(YES), scanner=("=cmd()", "+1", "@a")))
    (row,) = rows(export(house, "acr-csv"))
    assert (row["Scanner Manufacturer"], row["Scanner Model"], row["Scanner Station"]) == ("'=cmd()", "'+1", "'@a")


def test_the_bundle_is_valid_fhir_and_every_reference_in_it_is_found(house: House) -> None:
    tell(house, Told(probability=CALLED, words=blinded(NO), patient="P1"))
    tell(house, Told(probability=SILENT, words=saw(ADD), patient="P1"))
    data = json.loads(export(house, "acr-fhir"))
    Bundle.model_validate(data)
    kinds = [entry["resource"]["resourceType"] for entry in data["entry"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "Patient": 1, "Device": 1, "ImagingStudy": 2, "Observation": 4,
    }  # fmt: skip
    there = {entry["fullUrl"] for entry in data["entry"]}
    named = {part.split('"')[0] for part in json.dumps(data).split('"reference": "')[1:]}
    assert named <= there
    assert all(url.startswith("urn:uuid:") for url in there)


def test_an_export_of_nothing_is_empty_and_valid(house: House) -> None:
    assert rows(export(house, "acr-csv")) == []
    assert "entry" not in json.loads(export(house, "acr-fhir"))
    assert [line["event"] for line in lines(export(house, "ai-act"))] == ["log"]


def test_the_log_tells_of_each_use_when_on_what_against_what_and_who_checked_it(house: House) -> None:
    with house.ledger.write() as conn:
        reader = actors.ensure(conn, "dr.lee", ActorKind.PERSON)
    version = tell(house, Told(probability=CALLED, words=blinded(NO)))
    use = next(line for line in lines(export(house, "ai-act")) if line["event"] == "use")
    assert use["started_at"] < use["ended_at"]  # type: ignore[operator]
    assert use["input"]["study_version"] == version  # type: ignore[index]
    (image,) = use["input"]["images"]  # type: ignore[index]
    assert image["led_to_a_finding"] is True
    assert use["reference"]["bundle_sha256"] == cards.DIGEST  # type: ignore[index]
    checked = [(one["person"], one["act"]) for one in use["verified_by"]]  # type: ignore[attr-defined]
    assert checked == [(reader.id, "verdict reject"), (reader.id, "sign-off")]


def test_silent_uses_failed_attempts_and_changes_of_standing_are_in_the_log_too(house: House) -> None:
    version = tell(house, Told(standing=Standing.SHADOW))
    at = told.START + timedelta(days=1)
    failed = {"id": "at_1", "version_id": version, "model": cards.NAME, "digest": cards.DIGEST, "error": "timeout"}
    with house.ledger.write() as conn:
        conn.execute(insert(attempts).values(**failed, at=at))
    versions.add_next(house)
    found = lines(export(house, "ai-act"))
    assert [(one["event"], one.get("error")) for one in found] == [
        ("log", None), ("use", None), ("failed attempt", "timeout"),
    ]  # fmt: skip
    assert found[1]["model"]["standing"] == "SHADOW"  # type: ignore[index]


def test_the_log_of_the_ai_act_never_has_identifiers(house: House) -> None:
    with pytest.raises(Rejected, match="names nobody"):
        export(house, "ai-act", identifiers=True)
    with pytest.raises(Rejected, match="there is no export"):
        export(house, "xml")
