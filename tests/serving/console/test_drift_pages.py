"""Alarms, baselines, trends, reports and readers' pages: seen and decided by whoever may, with a reason on record."""

from pathlib import Path

from radloop.domain.access import Role
from radloop.domain.watching import Alarm
from tests.flows.readings import OTHER, READER
from tests.serving.console.conftest import Console
from tests.serving.console.test_access import rows
from tests.serving.console.test_alarms import alarm  # noqa: F401 - a fixture


def test_an_alarm_is_shown_and_acknowledged_with_a_reason_by_whoever_may(console: Console, alarm: Alarm) -> None:  # noqa: F811
    assert "another kvp" in console.http.get("/drift", headers=console.as_role(Role.IT)).text
    page = console.http.get(f"/drift/alarms/{alarm.id}", headers=console.as_role(Role.ML)).text
    assert "Acknowledge" in page
    assert "Acknowledge" not in console.http.get(f"/drift/alarms/{alarm.id}", headers=console.as_role(Role.IT)).text
    address, said = f"/api/v1/alarms/{alarm.id}/decision", {"choice": "ACKNOWLEDGE", "why": "a new tube"}
    assert (
        console.http.post(address, json={"choice": "ACKNOWLEDGE"}, headers=console.as_role(Role.ML)).status_code == 422
    )
    decided = console.http.post(address, json=said, headers=console.as_role(Role.ML)).json()
    assert (decided["state"], decided["who"], decided["why"]) == ("ACKNOWLEDGED", "only-ml", "a new tube")
    assert console.http.post(address, json=said, headers=console.as_role(Role.GOVERNANCE)).status_code == 403


def test_a_trend_is_drawn_by_scanner_and_a_page_of_checks_runs_nothing(console: Console) -> None:
    mine = console.as_role(Role.GOVERNANCE)
    picture = console.http.get("/api/v1/trends/cxr_pneumonia/pneumonia.svg?days=7", headers=mine)
    assert picture.headers["content-type"].startswith("image/svg+xml")
    folder: Path = console.house.settings.data_docs_path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text("<h1>Data checks</h1>", encoding="utf-8")
    shown = console.http.get("/data-docs/index.html", headers=mine)
    assert "sandbox" in shown.headers["content-security-policy"]
    for name in ("..%2fradloop.toml", "%2e%2e%2fradloop.toml", "none.html", "index.html%00"):
        assert console.http.get(f"/data-docs/{name}", headers=mine).status_code == 404


def test_a_report_is_made_signed_verified_and_read_and_each_reading_is_on_record(console: Console) -> None:
    mine = console.as_role(Role.GOVERNANCE)
    made = console.http.post("/api/v1/reports", json={"days": 30}, headers=mine, timeout=60)
    assert made.status_code == 201
    report = made.json()
    assert console.http.post(f"/api/v1/reports/{report['id']}/verification", headers=mine).status_code == 200
    page = console.http.get(f"/api/v1/reports/{report['id']}/files/report.html", headers=mine)
    assert page.status_code == 200
    assert "sandbox" in page.headers["content-security-policy"]
    assert [row.object_id for row in rows(console, "view.report")] == [report["id"]]
    assert console.http.post("/api/v1/reports", json={}, headers=console.as_role(Role.IT)).status_code == 403


def test_a_reader_sees_their_own_second_reads_and_whoever_leads_sees_all(console: Console) -> None:
    said = {"finding": "pneumonia", "kind": "reject"}
    for reader in (READER, OTHER):
        answer = console.http.post(
            f"/api/v1/results/{console.result.id}/verdicts", json=said, headers=console.as_actor(reader)
        )
        assert answer.status_code == 201
    own = console.http.get("/api/v1/readers/pages", headers=console.as_actor(READER)).json()
    assert {page["reader"] for page in own} <= {READER}
    assert console.http.get("/readers", headers=console.as_role(Role.LEAD_READER)).status_code == 200
    assert console.http.get("/readers", headers=console.as_role(Role.IT)).status_code == 403
    assert console.http.get("/roi", headers=console.as_role(Role.GOVERNANCE)).status_code == 200
