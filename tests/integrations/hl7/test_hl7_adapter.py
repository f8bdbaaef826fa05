"""ORU and ORM towards peers that acknowledge, refuse, garble and fall silent."""

import time

import pytest

from integrations.hl7 import ADAPTER
from radloop.domain.enums import ObjectKind, PeerRole
from radloop.domain.errors import ContentError, InvalidObject, Permanent, RadloopError, RefusedByPeer, Unavailable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer
from tests.peers.mllp import CLOSE, GARBAGE, OTHER_ID, SILENCE, TWICE, mllp_peer
from tests.peers.parcels import parcel
from tests.peers.sockets import Behaviour, closing, dripping, hostile, refusing, saying, silent


def peer_at(address: str, **more: object) -> Peer:
    given = {"answer_seconds": 20.0, "connect_seconds": 5.0, **more}
    return Peer(name="ris", roles=(PeerRole.REPORTS,), mllp=address, **given)


def message(control_id: str = "MSG1", text: str = "phantom") -> Parcel:
    data = f"MSH|^~\\&|RADLOOP|RAD|RIS|HOSP|20240101||ORU^R01|{control_id}|P|2.5.1\rOBX|1|TX|||{text}\r".encode()
    return parcel(data, identifier=control_id, kind=ObjectKind.ORU)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("AA", Accepted), ("CA", Accepted), ("AR", Unavailable), ("AE", ContentError), ("CE", ContentError),
     ("CR", RefusedByPeer), ("XX", Unavailable)],
)  # fmt: skip
def test_each_acknowledgement_code_has_its_outcome(code: str, expected: type) -> None:
    with mllp_peer(code) as ris:
        (outcome,) = ADAPTER.send(peer_at(ris.address), [message()])
    assert type(outcome) is expected


def test_a_peer_may_have_its_own_table() -> None:
    with mllp_peer("AE", "AR") as ris:
        peer = peer_at(ris.address, acknowledgements={"AE": "accepted", "AR": "refused"})
        outcomes = ADAPTER.send(peer, [message("M1"), message("M2")])
    assert outcomes[0] == Accepted(("AE",))
    assert type(outcomes[1]) is RefusedByPeer


def test_an_error_tells_codes_and_no_text() -> None:
    with mllp_peer("AE") as ris:
        (outcome,) = ADAPTER.send(peer_at(ris.address), [message("SECRET-ID")])
    assert "AE (207)" in str(outcome)
    assert "secret" not in str(outcome).lower()


def test_a_batch_goes_over_one_connection_in_order() -> None:
    parcels = [message(f"M{n}") for n in range(20)]
    with mllp_peer("AA") as ris:
        assert ADAPTER.send(peer_at(ris.address), parcels) == (Accepted(),) * 20
        assert ris.connections == 1
        assert ris.received == [one.data for one in parcels]


@pytest.mark.parametrize("word", [GARBAGE, SILENCE, CLOSE, OTHER_ID])
def test_what_is_no_answer_is_tried_again_and_the_rest_goes_over_a_new_connection(word: str) -> None:
    with mllp_peer(word, "AA") as ris:
        outcomes = ADAPTER.send(peer_at(ris.address, answer_seconds=2.0), [message(f"M{n}") for n in range(3)])
        assert ris.connections == 2
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Accepted, Accepted]


def test_a_peer_that_stays_silent_holds_a_batch_for_two_deadlines_only() -> None:
    with mllp_peer(SILENCE) as ris:
        outcomes = ADAPTER.send(peer_at(ris.address, answer_seconds=0.3), [message(f"M{n}") for n in range(30)])
        assert len(ris.received) == 2
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 30


def test_an_application_acknowledgement_after_the_accept_acknowledgement_is_not_the_next_messages() -> None:
    with mllp_peer(TWICE, TWICE, "AA") as ris:
        assert ADAPTER.send(peer_at(ris.address), [message(f"M{n}") for n in range(3)]) == (Accepted(),) * 3
        assert ris.connections == 1


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        closing,
        saying(b"\x0bMSH"),
        saying(b"\x0b\x1c\r"),
        saying(b"\x0bMSA|AA|MSG1\r\x1c\r"),
        dripping(b"\x0bM"),
    ],
    ids=["silent", "closing", "half", "empty", "no-header", "drip"],
)
def test_a_peer_that_breaks_the_protocol_ends_in_an_outcome_soon(behave: Behaviour) -> None:
    begun = time.monotonic()
    with hostile(behave) as port:
        (outcome,) = ADAPTER.send(peer_at(f"127.0.0.1:{port}", answer_seconds=1.0), [message()])
        taken = time.monotonic() - begun
    assert type(outcome) is Unavailable
    assert taken < 15


def test_an_endless_answer_is_cut_off() -> None:
    with hostile(saying(b"\x0b" + b"A" * (3 * 1024 * 1024))) as port:
        (outcome,) = ADAPTER.send(peer_at(f"127.0.0.1:{port}"), [message()])
    assert "garbage" in str(outcome)


def test_a_peer_that_is_not_there_is_unavailable_for_the_whole_batch() -> None:
    with refusing() as port:
        outcomes = ADAPTER.send(peer_at(f"127.0.0.1:{port}"), [message("M1"), message("M2")])
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 2


def test_a_message_that_would_break_its_frame_is_never_sent() -> None:
    with mllp_peer("AA") as ris:
        outcomes = ADAPTER.send(peer_at(ris.address), [message("M1", "a\x1cb"), message("M2", "a\x0bb"), message("M3")])
        assert len(ris.received) == 1
    assert [type(outcome) for outcome in outcomes] == [InvalidObject, InvalidObject, Accepted]


def test_a_peer_without_address_is_a_permanent_error() -> None:
    peer = Peer(name="ehr", roles=(PeerRole.REPORTS,), fhir="http://127.0.0.1/fhir")
    (outcome,) = ADAPTER.send(peer, [message()])
    assert isinstance(outcome, Permanent)
    assert isinstance(outcome, RadloopError)


def test_nothing_to_send_opens_no_connection() -> None:
    assert ADAPTER.send(peer_at("127.0.0.1:9"), []) == ()
