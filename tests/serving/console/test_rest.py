"""Verdicts and sign-offs over REST, over a real socket."""

import threading
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from structlog.testing import capture_logs

from flows.house import House
from radloop.domain.enums import StudyState, VerdictKind
from radloop.domain.errors import Unavailable
from radloop.ledger import studies, verdicts
from radloop.ledger.learning import verdicts as verdict_table
from serving.console.app import application, routes
from tests.clock import until
from tests.flows.readings import OTHER, READER
from tests.serving.console.conftest import Console, connect, listening

AT = "2026-03-01T13:00:00+01:00"
CONFIRM = {"finding": "pneumonia", "kind": "confirm"}


def post(console: Console, said: Any = CONFIRM, actor: str = READER, **headers: str) -> httpx.Response:
    address = f"/api/v1/results/{console.result.id}/verdicts"
    return console.http.post(address, json=said, headers={**console.as_actor(actor), **headers})


def count(console: Console) -> int:
    with console.house.ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(verdict_table)) or 0


def code(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"code", "error"}
    return response.status_code, body["code"]


def test_every_route_is_served_as_it_was_declared_so_the_first_request_builds_none(house: House) -> None:
    served = [route for route in application(house).routes if isinstance(route, APIRoute)]
    assert served == list(routes())


def test_a_verdict_is_entered_thanked_for_and_found_again(console: Console) -> None:
    said = {
        **CONFIRM,
        "kind": "Reject",
        "awareness": "blinded",
        "text": "an artefact",
        "at": "2026-03-01T13:00:00+01:00",
    }
    answer = post(console, said)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Thank you" in answer.json()["thanks"]
    verdict = answer.json()["verdict"]
    assert (verdict["kind"], verdict["override"], verdict["awareness"]) == ("REJECT", True, "BLINDED")
    assert (verdict["reader"], verdict["entered_by"], verdict["source"]) == (READER, READER, "REST")
    with console.house.ledger.read() as conn:
        (kept,) = verdicts.of_result(conn, console.result.id)
    assert (kept.kind, kept.text) == (VerdictKind.REJECT, "an artefact")
    assert kept.at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    found = console.http.get(f"/api/v1/results/{console.result.id}", headers=console.as_actor(OTHER)).json()
    assert found["verdicts"] == [verdict]
    assert found["findings"][0]["finding"] == "pneumonia"
    assert found["findings"][0]["called"] is True


@pytest.mark.parametrize("header", [True, False])
def test_the_same_again_is_200_and_its_key_with_another_content_409(console: Console, header: bool) -> None:
    headers = {"Idempotency-Key": "K1"} if header else {}
    said = CONFIRM if header else {**CONFIRM, "id": "K1"}
    first, again = (post(console, said, **headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert code(post(console, {**said, "kind": "reject"}, **headers)) == (409, "duplicate-conflict")
    assert count(console) == 1


def test_without_a_key_the_same_reader_finding_kind_and_time_is_the_same(console: Console) -> None:
    said = {**CONFIRM, "at": "2026-03-01T13:00:00Z"}
    assert [post(console, said).status_code for _ in range(2)] == [201, 200]
    assert post(console, {**said, "at": "2026-03-01T13:00:01Z"}).status_code == 201
    assert count(console) == 2


def test_keys_are_each_senders_own(console: Console) -> None:
    assert post(console, **{"Idempotency-Key": "K1"}).status_code == 201
    assert post(console, {**CONFIRM, "kind": "reject"}, OTHER, **{"Idempotency-Key": "K1"}).status_code == 201
    assert count(console) == 2


def test_a_machine_speaks_for_a_reader_and_a_person_for_themself(console: Console) -> None:
    spoken = post(console, {**CONFIRM, "reader": READER}, "ris-robot")
    assert spoken.status_code == 201
    assert spoken.json()["verdict"]["entered_by"] == "ris-robot"
    assert code(post(console, CONFIRM, "ris-robot")) == (422, "malformed")
    assert code(post(console, {**CONFIRM, "reader": "ris-robot"}, "ris-robot")) == (422, "rejected")
    assert code(post(console, {**CONFIRM, "reader": OTHER})) == (403, "forbidden")
    assert post(console, {**CONFIRM, "reader": READER}).status_code == 201


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer rlt_wrong", "Basic rlt_x", "Bearer \xff"])
@pytest.mark.parametrize("path", ["/api/v1/results/rs_0", "/api/v1/studies/sv_0/results"])
def test_without_a_token_that_somebody_has_nothing_is_told(console: Console, header: str | None, path: str) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = console.http.get(path, headers=headers)
    assert code(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_is_in_no_log_and_no_answer(console: Console, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "rlt_QZXWKVJ"
    with capture_logs() as logged:
        answer = console.http.get("/api/v1/results/rs_0", headers={"Authorization": f"Bearer {secret}"})
        post(console, {**CONFIRM, "kind": "reject"})
    out = capfd.readouterr()
    assert [one["event"] for one in logged] == ["unauthenticated", "override"]
    for token in (secret, console.tokens[READER]):
        assert token not in answer.text + out.out + out.err + str(logged)


def test_what_is_not_there_is_404_and_a_shadow_s_answer_is_never_shown(console: Console) -> None:
    mine = console.as_actor()
    for address in (
        "/api/v1/results/rs_0",
        "/api/v1/results/x",
        "/api/v1/results/rs_%00",
        "/api/v1/studies/sv_0/results",
        "/api/v1/nothing",
    ):
        assert code(console.http.get(address, headers=mine)) == (404, "not-found")
    assert code(console.http.get(f"/api/v1/results/{console.shadow.id}", headers=mine)) == (404, "not-found")
    shown = console.http.get(f"/api/v1/studies/{console.result.version_id}/results", headers=mine).json()
    assert [result["id"] for result in shown] == [console.result.id]
    taken = console.http.post(f"/api/v1/results/{console.shadow.id}/verdicts", json=CONFIRM, headers=mine)
    assert taken.status_code == 201
    assert code(console.http.delete(f"/api/v1/results/{console.result.id}", headers=mine)) == (
        405,
        "method-not-allowed",
    )


SECRET = "QZXWKVJ"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, "malformed"),
        ([], "malformed"),
        ({**CONFIRM, "kind": SECRET}, "malformed"),
        ({**CONFIRM, SECRET: SECRET}, "malformed"),
        ({**CONFIRM, "at": "2026-03-01T13:00:00"}, "malformed"),
        ({**CONFIRM, "id": ""}, "malformed"),
        ({**CONFIRM, "code": {"value": SECRET}}, "malformed"),
        ({**CONFIRM, "finding": SECRET}, "rejected"),
        ({**CONFIRM, "text": f"{SECRET}\0"}, "rejected"),
        ({**CONFIRM, "kind": "modify"}, "rejected"),
    ],
)
def test_what_cannot_be_taken_is_422_without_its_values(console: Console, said: Any, expected: str) -> None:
    answer = post(console, said)
    assert code(answer) == (422, expected)
    assert SECRET not in answer.text
    assert count(console) == 0


def test_no_json_is_422(console: Console) -> None:
    address = f"/api/v1/results/{console.result.id}/verdicts"
    for body in (b"{", b"\xff\xfe", b"", b"[" * 20000):
        answer = console.http.post(
            address, content=body, headers={**console.as_actor(), "Content-Type": "application/json"}
        )
        assert answer.status_code == 422
        assert answer.json()["code"] == "malformed"


def test_a_body_over_64_kib_is_refused_whether_it_says_so_or_not(console: Console) -> None:
    assert code(post(console, {**CONFIRM, "text": "x" * 66000})) == (413, "too-large")
    address = f"/api/v1/results/{console.result.id}/verdicts"
    chunked = console.http.post(address, content=(b"x" * 10000 for _ in range(7)), headers=console.as_actor())
    assert code(chunked) == (413, "too-large")
    assert count(console) == 0


def test_a_head_over_64_kib_is_refused(console: Console) -> None:
    with connect(console.port) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"x" * 70000)
        assert sock.recv(100).startswith(b"HTTP/1.1 400")


def test_a_body_that_never_ends_is_answered_at_the_deadline(console: Console) -> None:
    with listening(console.house, deadline_seconds=0.5) as port, connect(port) as sock:
        path = f"/api/v1/results/{console.result.id}/verdicts"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        sock.sendall(head.encode() + b"{")
        assert sock.recv(100).startswith(b"HTTP/1.1 504")


def test_while_the_ledger_is_away_it_is_503_and_not_ready(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("the ledger is locked or away")

    assert console.http.get("/readyz").status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(console.house.ledger, "read", away)
        answer = post(console)
        assert code(answer) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert console.http.get("/readyz").status_code == 503
        assert console.http.get("/livez").status_code == 200
    assert post(console).status_code == 201


def test_what_nobody_foresaw_is_500_without_a_word_of_it(
    console: Console, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(console.house.ledger, "read", broken)
    with capture_logs() as logged:
        answer = post(console)
        # The answer goes out before the line is written.
        until(lambda: logged, 20)
    assert code(answer) == (500, "error")
    out = capfd.readouterr()
    assert SECRET not in answer.text + out.out + out.err + str(logged)
    assert logged == [{"event": "request failed", "error": "ValueError", "log_level": "error"}]


def test_a_study_is_signed_off_once(console: Console) -> None:
    address, mine = f"/api/v1/studies/{console.result.version_id}/signoff", console.as_actor()
    first = console.http.post(address, json={"conclusion": "No pneumonia."}, headers=mine)
    again = console.http.post(address, json={"conclusion": "No pneumonia."}, headers=mine)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["reader"] == READER
    assert "pneumonia" not in first.text
    assert code(console.http.post(address, json={}, headers=console.as_actor(OTHER))) == (409, "duplicate-conflict")
    with console.house.ledger.read() as conn:
        version = studies.get(conn, console.result.version_id)
    assert version is not None
    assert version.state is StudyState.SIGNED
    assert post(console).status_code == 201


def test_many_at_once_with_one_key_leave_one(console: Console) -> None:
    start, statuses = threading.Barrier(8), list[int]()

    def send() -> None:
        start.wait()
        statuses.append(post(console, **{"Idempotency-Key": "K1"}).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200] * 7 + [201]
    assert count(console) == 1


def test_metrics_count_by_kind_and_name_nobody(console: Console) -> None:
    post(console)
    text = console.http.get("/metrics").text
    assert 'radloop_console_verdicts_total{kind="CONFIRM"}' in text
    assert "# TYPE radloop_alarms gauge" in text
    assert "# TYPE radloop_check_outcomes_total counter" in text
    for word in (READER, console.result.id, console.tokens[READER]):
        assert word not in text


def test_the_interface_describes_itself_and_loads_nothing_from_elsewhere(console: Console) -> None:
    described = console.http.get("/api/v1/openapi.json").json()
    assert set(described["paths"]) >= {
        "/api/v1/results/{result_id}/verdicts",
        "/api/v1/results/{result_id}",
        "/api/v1/studies/{version_id}/results",
        "/api/v1/studies/{version_id}/signoff",
        "/api/v1/alarms",
        "/api/v1/alarms/{alarm_id}",
    }
    for page in ("/docs", "/redoc"):
        assert console.http.get(page).status_code == 404


words = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=40))
bodies = st.dictionaries(
    st.sampled_from(["finding", "kind", "id", "reader", "at", "awareness", "text", "code", "severity", "laterality"]),
    st.one_of(words, st.sampled_from(["pneumonia", "add", "confirm", "modify"]), st.lists(words, max_size=2)),
)


@given(said=st.one_of(words, bodies, st.builds(lambda more: {**CONFIRM, **more}, bodies)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_taken_or_refused_in_our_own_words(console: Console, said: Any) -> None:
    answer = post(console, said)
    assert answer.status_code in (200, 201, 403, 409, 422)
    if not answer.is_success:
        assert set(answer.json()) == {"code", "error"}
