"""DiagnosticReports towards servers that create, conflict, throttle, redirect and fall silent."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.fhir import ADAPTER
from integrations.fhir.responses import outcome_of, read_retry_after
from radloop.domain.enums import ObjectKind, PeerRole
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer
from tests.peers.fhir import Reply, fhir_peer, operation_outcome
from tests.peers.parcels import parcel
from tests.peers.sockets import Behaviour, closing, dripping, hostile, refusing, saying, silent


def peer_at(url: str, **more: object) -> Peer:
    given = {"answer_seconds": 20.0, "connect_seconds": 5.0, **more}
    return Peer(name="ehr", roles=(PeerRole.REPORTS,), fhir=url, **given)


def report(number: int = 1) -> Parcel:
    data = b'{"resourceType": "DiagnosticReport", "status": "partial"}'
    return parcel(data, identifier=f"urn:radloop|re {number}", kind=ObjectKind.DIAGNOSTIC_REPORT)


def test_a_report_is_created_on_condition_of_its_identifier() -> None:
    with fhir_peer() as ehr:
        assert ADAPTER.send(peer_at(ehr.url + "/"), [report()]) == (Accepted(),)
        (request,) = ehr.received
    assert request.path == "/fhir/DiagnosticReport"
    assert request.headers["if-none-exist"] == "identifier=urn%3Aradloop%7Cre%201"
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=minimal"
    assert "authorization" not in request.headers
    assert request.body == report().data


@pytest.mark.parametrize(
    "reply",
    [Reply(201), Reply(200), Reply(201, {"Location": "elsewhere"}), Reply(200, body=b"<html>created</html>"),
     Reply(201, body=b'{"resourceType": "DiagnosticReport"}'), Reply(201, {"Content-Type": "nonsense"}, b"\xff\xfe")],
)  # fmt: skip
def test_a_created_or_found_report_is_accepted_whatever_else_is_said(reply: Reply) -> None:
    with fhir_peer(reply) as ehr:
        assert ADAPTER.send(peer_at(ehr.url), [report()]) == (Accepted(),)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_tried_again(status: int) -> None:
    with fhir_peer(Reply(status, {"Retry-After": "17"}, operation_outcome("throttled"))) as ehr:
        (outcome,) = ADAPTER.send(peer_at(ehr.url), [report()])
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after == 17.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 412, 413, 415, 422])
def test_a_server_that_says_no_parks_the_report_and_only_codes_are_kept(status: int) -> None:
    body = operation_outcome("invariant", "code-invalid", "Patient Phantom^Ann!")
    with fhir_peer(Reply(status, body=body)) as ehr:
        (outcome,) = ADAPTER.send(peer_at(ehr.url), [report()])
    assert isinstance(outcome, RefusedByPeer)
    assert f"answered {status}" in str(outcome)
    assert "invariant, code-invalid" in str(outcome)
    assert "secret" not in str(outcome)
    assert "Phantom" not in str(outcome)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    with fhir_peer() as elsewhere, fhir_peer(Reply(status, {"Location": f"{elsewhere.url}/DiagnosticReport"})) as ehr:
        (outcome,) = ADAPTER.send(peer_at(ehr.url), [report()])
        assert elsewhere.received == []
    assert isinstance(outcome, RefusedByPeer)
    assert "redirects are not followed" in str(outcome)


def test_each_report_of_a_batch_has_its_own_outcome() -> None:
    with fhir_peer(Reply(201), Reply(412), Reply(503), Reply(200)) as ehr:
        outcomes = ADAPTER.send(peer_at(ehr.url), [report(n) for n in range(4)])
    assert [type(outcome) for outcome in outcomes] == [Accepted, RefusedByPeer, Unavailable, Accepted]


@pytest.mark.parametrize(
    "behave",
    [silent, closing, saying(b"\x00garbage\r\n\r\n"), saying(b"HTTP/1.1 201"), dripping(b"HTTP/1.1 400 No\r\nX: ")],
    ids=["silent", "closing", "garbage", "half", "drip"],
)
def test_a_server_that_breaks_the_protocol_ends_in_an_outcome_soon(behave: Behaviour) -> None:
    begun = time.monotonic()
    with hostile(behave) as port:
        peer = peer_at(f"http://127.0.0.1:{port}/fhir", answer_seconds=1.0, connect_seconds=1.0)
        outcomes = ADAPTER.send(peer, [report(n) for n in range(5)])
        taken = time.monotonic() - begun
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    assert taken < 15


def test_an_endless_refusal_is_cut_off() -> None:
    with fhir_peer(Reply(400, body=b"x" * (4 * 1024 * 1024))) as ehr:
        (outcome,) = ADAPTER.send(peer_at(ehr.url), [report()])
    assert isinstance(outcome, RefusedByPeer)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with refusing() as port:
        (outcome,) = ADAPTER.send(peer_at(f"http://127.0.0.1:{port}/fhir"), [report()])
    assert isinstance(outcome, Unavailable)


def test_a_plain_server_behind_https_is_unavailable() -> None:
    with fhir_peer() as ehr:
        (outcome,) = ADAPTER.send(peer_at(ehr.url.replace("http:", "https:")), [report()])
        assert ehr.received == []
    assert isinstance(outcome, Unavailable)


def test_the_token_comes_from_its_file_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with fhir_peer() as ehr:
        for value in ("first", "second\n"):
            token.write_text(value)
            ADAPTER.send(peer_at(ehr.url, token_file=token), [report()])
        assert [one.headers["authorization"] for one in ehr.received] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
def test_a_token_file_that_holds_none_is_a_permanent_error(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    outcomes = ADAPTER.send(peer_at("http://127.0.0.1:9/fhir", token_file=token), [report(1), report(2)])
    assert all(isinstance(outcome, Permanent) for outcome in outcomes)


def test_a_peer_without_address_is_a_permanent_error() -> None:
    peer = Peer(name="ris", roles=(PeerRole.REPORTS,), mllp="127.0.0.1:1")
    assert isinstance(ADAPTER.send(peer, [report()])[0], Permanent)


def test_nothing_to_send_asks_nobody() -> None:
    assert ADAPTER.send(peer_at("http://127.0.0.1:9/fhir"), []) == ()


def test_retry_after_may_be_a_date() -> None:
    wait = read_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert wait is not None
    assert 80 < wait <= 90
    assert read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@given(st.text())
@example("99999999999999999999")
@example("-5")
@example("Wed, 99 Foo 2015 07:28:00 GMT")
@example("\u0663")
def test_any_retry_after_is_a_wait_of_at_most_a_day_or_none(value: str) -> None:
    wait = read_retry_after(value)
    assert wait is None or 0 <= wait <= 86400


@given(st.integers(200, 599), st.binary(max_size=100))
@example(400, b'{"issue": [1, {"code": 5}, {"code": "a b"}]}')
@example(400, b'{"issue": {}}')
@example(400, b"[" * 100000)
def test_any_response_has_an_outcome(status: int, body: bytes) -> None:
    outcome = outcome_of("ehr", status, "", body)
    assert isinstance(outcome, Accepted) == (status in {200, 201, 202, 204})
