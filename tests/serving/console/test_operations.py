"""Operations over REST and as a page: what is stuck and what to do, by the verbs of the commands; no patient data."""

import threading

import httpx
import pytest

from radloop.domain.access import Role
from radloop.domain.enums import DeliveryState, ObjectKind, Urgency
from radloop.domain.ids import utc_now
from radloop.ledger import deliveries, objects, quarantine
from radloop.ledger.tables import audit_events
from tests.clock import until
from tests.flows import place
from tests.radloop.ledger import rows
from tests.serving.console.conftest import Console

BASE = "/api/v1/operations"


@pytest.fixture
def parked(console: Console) -> tuple[str, ...]:
    """Three parked deliveries to the RIS, the oldest first."""
    with console.house.ledger.write() as conn:
        for number in range(3):
            made = rows.stored(console.result.id, list(ObjectKind)[number], f"2.25.{number}")
            objects.add(conn, made)
            deliveries.queue(conn, made, console.result.version_id, "ris", Urgency.ROUTINE)
        for one in deliveries.claim(conn, "ris", "x", utc_now(), utc_now(), 9):
            deliveries.park(conn, one.id, "refused-by-peer: peer ris answered AR")
        quarantine.add(conn, "unparsable", "modality", None, "not DICOM")
        return tuple(one.id for one in deliveries.parked(conn, 9))


def state(console: Console, delivery_id: str) -> DeliveryState:
    with console.house.ledger.read() as conn:
        found = deliveries.get(conn, delivery_id)
    assert found is not None
    return found.state


def test_the_page_says_what_is_stuck_and_shows_queues_and_quarantine_without_patient_data(
    console: Console, parked: tuple[str, ...]
) -> None:
    mine = console.as_role(Role.IT)
    said = console.http.get(BASE, headers=mine).json()
    whats = [one["what"] for one in said["troubles"]]
    assert any(what.startswith("3 deliveries parked") for what in whats)
    assert said["verdict"].startswith(f"{len(whats)} things need a person.")
    assert said["studies"]["ANSWERED"] == 1
    assert said["last_hour"]["answered"]["count"] == 1
    (ris,) = said["peers"]
    assert (ris["name"], ris["waiting"], ris["breaker"]) == ("ris", {"QUEUED": 0, "SENT": 0, "PARKED": 3}, "closed")
    assert said["quarantine"] == {"unparsable": 1}
    assert console.http.get(f"{BASE}/troubles", headers=mine).json() == said["troubles"]
    page = console.http.get("/operations", headers=mine).text
    part = console.http.get("/operations", headers={**mine, "HX-Request": "true"}).text
    for words in ("3 deliveries parked", parked[0], "not DICOM"):
        assert words in page
        assert words in part
    assert "<html" not in part
    whose = place.chest_study(1)
    assert str(whose.PatientID) not in page
    assert str(whose.StudyInstanceUID) not in page
    assert (
        "data-api"
        not in console.http.get("/operations", headers=console.as_role(Role.GOVERNANCE)).text.split("</header>")[1]
    )


def test_a_parked_delivery_is_resent_or_dropped_with_a_reason_and_both_are_on_record(
    console: Console, parked: tuple[str, ...]
) -> None:
    mine = console.as_role(Role.IT)
    first, second, third = parked
    assert console.http.post(f"{BASE}/deliveries/{first}/resend", headers=mine).json() == {"count": 1}
    assert console.http.post(f"{BASE}/deliveries/{second}/drop", json={"why": " "}, headers=mine).status_code == 422
    assert console.http.post(f"{BASE}/deliveries/{second}/drop", json={}, headers=mine).status_code == 422
    dropped = console.http.post(f"{BASE}/deliveries/{second}/drop", json={"why": "sent by fax"}, headers=mine)
    assert dropped.status_code == 200
    assert console.http.post(f"{BASE}/peers/ris/resend", headers=mine).json() == {"count": 1}
    assert [state(console, one) for one in parked] == ["QUEUED", "DROPPED", "QUEUED"]
    assert console.http.post(f"{BASE}/deliveries/de_0/resend", headers=mine).status_code == 404
    with console.house.ledger.read() as conn:
        found = conn.execute(audit_events.select().where(audit_events.c.object_kind == "delivery")).all()
    assert {(row.actor, row.role, row.action, row.object_id, row.detail) for row in found} == {
        ("only-it", "IT", "delivery.resend", first, ""),
        ("only-it", "IT", "delivery.drop", second, "sent by fax"),
        ("only-it", "IT", "delivery.resend", third, ""),
    }


def test_long_lists_are_read_page_by_page(
    console: Console, monkeypatch: pytest.MonkeyPatch, parked: tuple[str, ...]
) -> None:
    monkeypatch.setattr("serving.console.api.operations.PAGE", 2)
    mine = console.as_role(Role.IT)
    with console.house.ledger.write() as conn:
        for number in range(3):
            quarantine.add(conn, f"reason-{number}", "modality", None)
    first = console.http.get(f"{BASE}/parked", headers=mine).json()
    rest = console.http.get(f"{BASE}/parked", params={"after": first[-1]["id"]}, headers=mine).json()
    assert tuple(one["id"] for one in (*first, *rest)) == parked
    newest = console.http.get(f"{BASE}/quarantine", headers=mine).json()
    older = console.http.get(f"{BASE}/quarantine", params={"before": newest[-1]["id"]}, headers=mine).json()
    assert [one["reason"] for one in (*newest, *older)] == ["reason-2", "reason-1", "reason-0", "unparsable: not DICOM"]
    page = console.http.get("/operations/parked", params={"after": first[-1]["id"]}, headers=mine).text
    assert parked[2] in page
    assert parked[0] not in page
    assert (
        "reason-0" in console.http.get("/operations/quarantine", params={"before": newest[-1]["id"]}, headers=mine).text
    )


def test_the_page_follows_by_itself_when_something_changes(console: Console) -> None:
    heard: list[str] = []
    begun = threading.Event()

    def listen() -> None:
        with httpx.stream(
            "GET", f"{console.http.base_url}{BASE}/events", headers=console.as_role(Role.IT), timeout=20.0
        ) as stream:
            for line in stream.iter_lines():
                begun.set()
                if line.startswith("data:"):
                    heard.append(line)
                    if len(heard) == 2:
                        return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert begun.wait(10)
    until(lambda: heard)
    with console.house.ledger.write() as conn:
        quarantine.add(conn, "unparsable", "modality", None)
    thread.join(10)
    assert len(heard) == 2


def test_an_echo_of_an_unknown_peer_is_not_found(console: Console) -> None:
    answer = console.http.post(f"{BASE}/peers/nobody/echo", headers=console.as_role(Role.IT))
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
