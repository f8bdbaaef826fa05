"""The audit record taken out: in three forms, by filters, on record first, and without holding it in memory."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from defusedxml import ElementTree
from fhir.resources.R4B.bundle import Bundle
from sqlalchemy import select

from flows import audit_exporting
from flows.audit_exporting import COLUMNS, Form, export_audit
from flows.house import House
from radloop import audit
from radloop.audit.atna import witnessed
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import actors
from radloop.ledger.audit_log import Selection
from radloop.ledger.tables import audit_events
from radloop.store import Keyring
from tests.radloop.audit.schema import faults_of

BEGUN = utc_now() - timedelta(days=2)
EVIL = '=HYPERLINK("http://x","y") <b>\'&\n'


@pytest.fixture
def record(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Twelve records of before, sealed; pages of five."""
    monkeypatch.setattr(audit_exporting, "PAGE", 5)
    events = [
        AuditEvent(
            at=BEGUN + timedelta(minutes=n),
            actor="dr.who" if n % 2 else "runner",
            action="view.study" if n % 2 else "result",
            object_kind="study_version",
            object_id=f"sv_{n:020x}",
            detail=EVIL if n == 3 else "",
            role="READER,APPROVER" if n % 2 else "",
            address="10.0.0.7" if n % 2 else "",
        )
        for n in range(12)
    ]
    with house.ledger.write() as conn:
        actors.ensure(conn, "dr.who", ActorKind.PERSON)
        audit.append(conn, *events)
    sealer = audit.Sealer(house.ledger, Keyring.load(house.settings.keys_path).audit_key, house.settings.audit_anchor)
    sealer.begin()
    while sealer.seal():
        pass
    return house


SINCE = Selection(since=BEGUN)


def exported(house: House, form: Form, selection: Selection = SINCE) -> bytes:
    return b"".join(export_audit(house, selection, form, "gov"))


def told(house: House) -> list[tuple[str, str, str]]:
    e = audit_events.c
    with house.ledger.read() as conn:
        query = select(e.actor, e.object_id, e.detail).where(e.action == "audit.export").order_by(e.at)
        return [tuple(row) for row in conn.execute(query)]


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_a_csv_has_a_row_for_each_record_and_nothing_that_a_spreadsheet_would_run(record: House) -> None:
    rows = rows_of(exported(record, Form.CSV))
    assert tuple(rows[0]) == COLUMNS
    assert [row["object_id"] for row in rows] == [f"sv_{n:020x}" for n in range(12)]
    assert rows[3]["detail"] == "'" + EVIL
    assert rows[3]["meaning"] == "somebody opened a study"
    assert (rows[3]["actor"], rows[3]["role"], rows[3]["address"]) == ("dr.who", "READER,APPROVER", "10.0.0.7")
    assert all(row["number"].isdigit() and len(row["link"]) == 64 for row in rows)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(record: House, first: str) -> None:
    with record.ledger.write() as conn:
        at = utc_now() - timedelta(minutes=1)
        audit.append(conn, AuditEvent(at=at, actor=f"{first}cmd", action="login", object_kind="x", object_id="x"))
    rows = rows_of(exported(record, Form.CSV, Selection(action="login")))
    assert [row["actor"] for row in rows] == [f"'{first}cmd"]


def test_a_bundle_of_audit_events_keeps_to_fhir_and_says_what_the_record_says(record: House) -> None:
    bundle = Bundle.model_validate(json.loads(exported(record, Form.FHIR)))
    assert len({one.fullUrl for one in bundle.entry}) == 12
    event = json.loads(exported(record, Form.FHIR))["entry"][3]["resource"]
    assert event["type"] == {
        "system": "http://dicom.nema.org/resources/ontology/DCM",
        "code": "110103",
        "display": "DICOM Instances Accessed",
    }
    assert event["subtype"][0]["code"] == "view.study"
    assert (event["action"], event["outcome"]) == ("R", "0")
    assert event["agent"][0]["who"]["identifier"]["value"] == "dr.who"
    assert event["agent"][0]["network"] == {"address": "10.0.0.7", "type": "2"}
    assert [one["coding"][0]["code"] for one in event["agent"][0]["role"]] == ["READER", "APPROVER"]
    details = {one["type"]: one.get("valueString") for one in event["entity"][0]["detail"]}
    assert details["detail"] == EVIL


def test_audit_messages_keep_to_the_schema_and_prove_the_record_as_the_server_s_do(record: House) -> None:
    data = exported(record, Form.ATNA)
    root = ElementTree.fromstring(data)
    assert root.tag == "AuditMessages"
    assert len(root) == 12
    assert [fault for message in root for fault in faults_of(message)] == []
    kept = witnessed(data.splitlines())
    assert len(kept) == 12
    key, anchor = Keyring.load(record.settings.keys_path).audit_key, record.settings.audit_anchor
    assert audit.verify(record.ledger, key, anchor, kept).sound
    assert not audit.verify(record.ledger, key, anchor, {**kept, max(kept): bytes(32)}).sound


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (Selection(actor="dr.who", since=BEGUN), 6),
        (Selection(action="view", since=BEGUN), 6),
        (Selection(object_id=f"sv_{3:020x}"), 1),
        (Selection(role="APPROVER"), 6),
        (Selection(since=BEGUN + timedelta(minutes=2), until=BEGUN + timedelta(minutes=5)), 3),
        (Selection(actor="nobody"), 0),
    ],
    ids=("actor", "action", "object", "role", "time", "nobody"),
)
@pytest.mark.parametrize("form", Form)
def test_filters_hold_in_every_form_also_where_nothing_is_left(
    record: House, form: Form, chosen: Selection, wanted: int
) -> None:
    data = exported(record, form, chosen)
    counted: dict[Form, Callable[[], int]] = {
        Form.CSV: lambda: len(rows_of(data)),
        Form.FHIR: lambda: len(json.loads(data)["entry"]),
        Form.ATNA: lambda: len(ElementTree.fromstring(data)),
    }
    assert counted[form]() == wanted


def test_an_export_is_on_record_before_its_first_byte_and_not_in_itself(record: House) -> None:
    pieces = export_audit(record, Selection(), Form.CSV, "gov")
    assert told(record) == [("gov", "csv", "all")]
    assert "audit.export" not in {row["action"] for row in rows_of(b"".join(pieces))}


def test_what_was_typed_in_is_on_record_only_where_it_is_ours(record: House) -> None:
    exported(record, Form.CSV, Selection(actor="dr.who", action="view", object_id=f"sv_{3:020x}", role="READER"))
    exported(record, Form.CSV, Selection(actor="Doe^Jane", action="DOE", object_id="1.2.840.99", role="JANE"))
    assert [detail for _, _, detail in told(record)] == [
        f"actor dr.who, action view, object sv_{3:020x}, role READER",
        "actor unknown, action unknown, object unknown, role unknown",
    ]


@pytest.mark.parametrize("form", Form)
def test_a_long_record_is_never_held_in_memory(
    record: House, form: Form, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(audit_exporting, "PAGE", 100)
    at = utc_now() - timedelta(hours=1)
    with record.ledger.write() as conn:
        event = AuditEvent(at=at, actor="x", action="login", object_kind="x", object_id="x", detail="d" * 2000)
        audit.append(conn, *[event] * 2000)
    for piece in export_audit(record, Selection(action="none"), form, "gov"):  # imports are not what is measured
        assert piece is not None
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in export_audit(record, Selection(action="login"), form, "gov"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 3_000_000
