"""The audit as a page and over REST: found, walked, taken out, and on record itself."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from defusedxml import ElementTree
from sqlalchemy import text

from radloop import audit
from radloop.domain.access import Role
from radloop.domain.records import AuditEvent
from radloop.store import Keyring
from serving.console.api.audit import PAGE, place_of
from serving.console.refusals import Malformed
from tests.serving.console.conftest import Console, person_of
from tests.serving.console.test_access import rows

AUDITOR = person_of(Role.GOVERNANCE)
LONG_AGO = datetime(2020, 5, 1, 12, 0, tzinfo=UTC)
ROWS = 2 * PAGE + 30


@pytest.fixture
def record(console: Console) -> Console:
    """Some hundred rows of one day in 2020, three at each moment, beside what the console wrote itself."""
    events = [
        AuditEvent(
            at=LONG_AGO + timedelta(seconds=number // 3),
            actor="ann" if number % 2 else "=cmd|' /C calc'!A0",
            action="view.study" if number % 5 else "login",
            object_kind="study_version",
            object_id=f"sv_{number % 7}",
            detail=f"row {number}",
            role="READER",
        )
        for number in range(ROWS)
    ]
    settings = console.house.settings
    with console.house.ledger.write() as conn:
        audit.append(conn, *events)
    audit.Sealer(console.house.ledger, Keyring.load(settings.keys_path).audit_key, settings.audit_anchor).begin()
    return console


def test_every_record_is_found_once_page_by_page_and_the_look_is_on_record_once(record: Console) -> None:
    found: list[tuple[str, str]] = []
    after = ""
    auditor = record.as_role(Role.GOVERNANCE)
    while after is not None:
        day = {"since": "2020-05-01", "until": "2020-05-01", "after": after}
        page = record.http.get("/api/v1/audit", params=day, headers=auditor).json()
        found += [(one["at"], one["detail"]) for one in page["records"]]
        after = page["after"]
    times = [at for at, _ in found]
    assert times == sorted(times, reverse=True)
    assert sorted(detail for _, detail in found) == sorted(f"row {number}" for number in range(ROWS))
    (look,) = rows(record, "view.audit")
    assert (look.actor, look.role, look.detail) == (AUDITOR, "GOVERNANCE", "since until")


def test_the_page_filters_goes_on_and_offers_what_one_may(record: Console) -> None:
    with record.browser(Role.GOVERNANCE, name=AUDITOR) as browser:
        page = browser.get("/audit?actor=ann&action=view&since=2020-05-01&until=2020-05-01&role=READER&object_id=")
        assert page.status_code == 200
        assert "somebody opened a study" in page.text
        assert "form=fhir&amp;actor=ann&amp;action=view" in page.text
        assert "No record fits" in browser.get("/audit?actor=nobody").text
        older = browser.get("/audit?since=2020-05-01&until=2020-05-01").text
        assert "after=" in older
    assert len(rows(record, "view.audit")) == 3
    with record.browser(Role.ADMIN, name=person_of(Role.ADMIN)) as browser:
        assert "Take out" not in browser.get("/audit").text
        assert browser.get("/api/v1/audit/export").status_code == 403


def test_what_is_no_filter_is_refused(record: Console) -> None:
    auditor = record.as_role(Role.GOVERNANCE)
    for wrong in (
        "role=KING",
        "since=yesterday",
        "since=0001-01-01",
        "until=9999-12-31",
        "actor=%00",
        "after=x",
        "after=1-1",
    ):
        assert record.http.get(f"/api/v1/audit?{wrong}", headers=auditor).status_code == 422, wrong
    assert record.http.get("/api/v1/audit?since=&until=&role=&after=", headers=auditor).status_code == 200
    with pytest.raises(Malformed):
        place_of("99999999999999999-au_1")


def test_a_sound_record_is_said_to_be_and_a_changed_one_is_found(record: Console) -> None:
    auditor = record.as_role(Role.GOVERNANCE)
    found = record.http.post("/api/v1/audit/verification", headers=auditor).json()
    assert (found["sound"], found["fault"], found["waiting"]) == (True, None, 0)
    assert found["sealed"] >= ROWS
    with record.house.ledger.write() as conn:
        conn.execute(text("DROP TRIGGER audit_events_fact"))
        conn.execute(text("UPDATE audit_events SET actor = 'somebody else' WHERE detail = 'row 7'"))
    bent = record.http.post("/api/v1/audit/verification", headers=auditor).json()
    assert not bent["sound"]
    assert "was changed" in bent["fault"]
    with record.browser(Role.GOVERNANCE, name=AUDITOR) as browser:
        assert "The record was changed" in browser.post("/audit/verification").text


def test_records_are_taken_out_as_csv_fhir_and_dicom_and_that_is_on_record(record: Console) -> None:
    auditor = record.as_role(Role.GOVERNANCE)
    day = "since=2020-05-01&until=2020-05-01"
    table = record.http.get(f"/api/v1/audit/export?{day}", headers=auditor)
    assert table.headers["content-disposition"] == 'attachment; filename="radloop-audit.csv"'
    lines = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert len(lines) == ROWS
    assert not any(cell.startswith("=") for line in lines for cell in line.values())
    bundle = json.loads(record.http.get(f"/api/v1/audit/export?form=fhir&{day}", headers=auditor).content)
    assert len(bundle["entry"]) == ROWS
    messages = record.http.get(f"/api/v1/audit/export?form=atna&{day}&actor=ann", headers=auditor)
    assert len(ElementTree.fromstring(messages.content)) == ROWS // 2
    assert [row.object_id for row in rows(record, "audit.export")] == ["csv", "fhir", "atna"]
    assert record.http.get("/api/v1/audit/export?form=pdf", headers=auditor).status_code == 422
