"""Deliveries: every outcome has its consequence, over a real ledger, store and real peers."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from flows import claims, deliver, policies
from flows.house import House
from radloop.domain.enums import DeliveryState, ObjectKind, Urgency
from radloop.domain.errors import (
    ContentError,
    IntegrityError,
    InvalidObject,
    Permanent,
    RadloopError,
    RefusedByPeer,
    StorageFull,
    Transient,
    Unavailable,
)
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Accepted, Delivery, StoredObject
from radloop.ledger import deliveries, objects, results, studies
from radloop.ledger.tables import breakers
from radloop.settings import DeliverySettings
from tests.flows import cards, place
from tests.peers.fhir import FhirPeer, Reply, fhir_peer
from tests.peers.mllp import SILENCE, MllpPeer, mllp_peer
from tests.peers.sockets import refusing
from tests.radloop.ledger import rows

RIS = '[peers.ris]\nmllp = "{address}"\nroles = ["reports"]\nanswer_seconds = 0.5\nconnect_seconds = 0.5\n'
EHR = '[peers.ehr]\nfhir = "{url}"\nroles = ["reports"]\nanswer_seconds = 2.0\n'
MESSAGE = "MSH|^~\\&|RADLOOP|RAD|RIS|RAD|20260101||ORU^R01^ORU_R01|{id}|P|2.5.1\rPID|1\r"


def open_home(factory: pytest.TempPathFactory, more: str, **options: object) -> House:
    return place.make_home(factory.mktemp("deliver"), more=more, **options)


@pytest.fixture
def ris() -> Iterator[MllpPeer]:
    with mllp_peer("AA") as peer:
        yield peer


@pytest.fixture
def with_ris(tmp_path_factory: pytest.TempPathFactory, ris: MllpPeer) -> Iterator[House]:
    house = open_home(tmp_path_factory, RIS.format(address=ris.address))
    yield house
    house.ledger.close()


def queue(
    house: House, peer: str = "ris", kind: ObjectKind = ObjectKind.ORU, urgency: Urgency = Urgency.ROUTINE
) -> StoredObject:
    """One object of a result, queued."""
    (receipt,) = place.arrive(house, place.chest_study(int(time.monotonic_ns() % 10**9)))
    assert receipt.version_id is not None
    result = rows.result(receipt.version_id, model=cards.version())
    identifier = new_id("M")[:20]
    body = MESSAGE.format(id=identifier) if kind is ObjectKind.ORU else '{"resourceType": "DiagnosticReport"}'
    made = StoredObject(
        id=new_id("ob"),
        result_id=result.id,
        kind=kind,
        ordinal=0,
        identifier=identifier,
        media_type="x-application/hl7-v2+er7" if kind is ObjectKind.ORU else "application/fhir+json",
        blob=house.store.put(body.encode()),
    )
    with house.ledger.write() as conn:
        results.add(conn, result)
        objects.add(conn, made)
        deliveries.queue(conn, made, receipt.version_id, peer, urgency)
    return made


def only(house: House) -> Delivery:
    with house.ledger.read() as conn:
        (version,) = studies.latest(conn, None, None)
        (delivery,) = deliveries.of_versions(conn, [version.id])
    return delivery


def deliver_until(house: House, fine: Callable[[], bool], peer: str = "ris", seconds: float = 8.0) -> None:
    """Deliver whatever is due, as the runner does, until `fine`."""

    async def run() -> None:
        deadline = time.monotonic() + seconds
        while not fine() and time.monotonic() < deadline:
            with house.ledger.read() as conn:
                due = deliveries.due_peers(conn, utc_now())
            if peer in due:
                await deliver.deliver_due(house, peer)
            await asyncio.sleep(0.02)
        assert fine()

    asyncio.run(run())


def test_an_accepted_object_is_sent_once(with_ris: House, ris: MllpPeer) -> None:
    queue(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.ACCEPTED)
    assert only(with_ris).accepted_at is not None
    assert only(with_ris).attempts == 1
    assert asyncio.run(deliver.deliver_due(with_ris, "ris")) == 0
    assert len(ris.received) == 1


def test_a_lost_answer_resends_the_same_bytes_under_the_same_identifier(with_ris: House, ris: MllpPeer) -> None:
    ris.script = [SILENCE, "AA"]
    made = queue(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.ACCEPTED)
    assert len(ris.received) == 2
    assert ris.received[0] == ris.received[1]
    assert made.identifier.encode() in ris.received[0]


def test_an_error_in_the_content_gets_three_tries_then_a_person(with_ris: House, ris: MllpPeer) -> None:
    ris.script = ["AE"]
    queue(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.PARKED)
    assert len(ris.received) == 3
    assert only(with_ris).error is not None
    assert "secret" not in str(only(with_ris).error)


def test_a_refusal_for_good_parks_at_once(with_ris: House, ris: MllpPeer) -> None:
    ris.script = ["CR"]
    queue(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.PARKED)
    assert len(ris.received) == 1


def test_a_parked_delivery_is_sent_again_when_a_person_says_so(with_ris: House, ris: MllpPeer) -> None:
    ris.script = ["CR", "AA"]
    queue(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.PARKED)
    with with_ris.ledger.write() as conn:
        assert deliveries.resend(conn, only(with_ris).id)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.ACCEPTED)
    assert ris.received[0] == ris.received[1]


def test_a_crash_between_wire_and_commit_sends_the_same_message_again(
    with_ris: House, ris: MllpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(with_ris)
    with monkeypatch.context() as patch:
        patch.setattr(deliver, "_settle", lambda *_: (_ for _ in ()).throw(ZeroDivisionError))
        with pytest.raises(ZeroDivisionError):
            asyncio.run(deliver.deliver_due(with_ris, "ris"))
    assert only(with_ris).state is DeliveryState.SENT
    claims.release(with_ris)
    deliver_until(with_ris, lambda: only(with_ris).state is DeliveryState.ACCEPTED)
    assert len(ris.received) == 2
    assert ris.received[0] == ris.received[1]


def test_urgent_goes_first(with_ris: House, ris: MllpPeer) -> None:
    made = [queue(with_ris, urgency=urgency) for urgency in (Urgency.ROUTINE, Urgency.CRITICAL, Urgency.URGENT)]
    asyncio.run(deliver.deliver_due(with_ris, "ris"))
    order = [next(n for n, one in enumerate(made) if one.identifier.encode() in m) for m in ris.received]
    assert order == [1, 2, 0]


def test_one_peer_that_is_away_delays_no_other(tmp_path_factory: pytest.TempPathFactory, ris: MllpPeer) -> None:
    with refusing() as port:
        more = RIS.format(address=ris.address) + EHR.format(url=f"http://127.0.0.1:{port}/fhir")
        house = open_home(tmp_path_factory, more)
        queue(house, "ehr", ObjectKind.DIAGNOSTIC_REPORT)
        queue(house, "ris")

        async def both() -> float:
            begun = time.monotonic()
            away = asyncio.create_task(deliver.deliver_due(house, "ehr"))
            await deliver.deliver_due(house, "ris")
            took = time.monotonic() - begun
            await away
            return took

        assert asyncio.run(both()) < 2.0
        assert len(ris.received) == 1
        house.ledger.close()


def test_the_breaker_opens_and_lets_one_through(tmp_path_factory: pytest.TempPathFactory) -> None:
    with refusing() as port:
        house = open_home(tmp_path_factory, RIS.format(address=f"127.0.0.1:{port}"), breaker_failures=2)
        for _ in range(4):
            queue(house)

        def is_open() -> bool:
            with house.ledger.read() as conn:
                return conn.scalar(breakers.select().with_only_columns(breakers.c.open_until)) is not None

        deliver_until(house, is_open)
        with house.ledger.read() as conn:
            assert deliveries.due_peers(conn, utc_now()) == ()
        time.sleep(0.8)
        assert asyncio.run(deliver.deliver_due(house, "ris")) == 1, "half-open: one try"
        house.ledger.close()


def test_the_wait_that_a_peer_asks_for_is_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    with fhir_peer(Reply(429, {"Retry-After": "120"})) as peer:
        house = open_home(tmp_path_factory, EHR.format(url=peer.url))
        queue(house, "ehr", ObjectKind.DIAGNOSTIC_REPORT)
        asyncio.run(deliver.deliver_due(house, "ehr"))
        assert only(house).state is DeliveryState.QUEUED
        assert only(house).next_at - utc_now() > timedelta(seconds=110)
        house.ledger.close()


def test_retries_end_when_the_site_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with refusing() as port:
        more = RIS.format(address=f"127.0.0.1:{port}") + "park_after_seconds = 0.4\n"
        house = open_home(tmp_path_factory, more)
        queue(house)
        deliver_until(house, lambda: only(house).state is DeliveryState.PARKED)
        house.ledger.close()


def test_a_peer_that_left_the_settings_parks(with_ris: House) -> None:
    queue(with_ris, "gone")
    asyncio.run(deliver.deliver_due(with_ris, "gone"))
    assert only(with_ris).state is DeliveryState.PARKED


def test_bytes_that_rotted_are_never_sent(with_ris: House, ris: MllpPeer) -> None:
    made = queue(with_ris)
    path = next(with_ris.settings.store_path.rglob(made.blob.key))
    rotten = bytearray(path.read_bytes())
    rotten[-1] ^= 1
    path.write_bytes(rotten)
    asyncio.run(deliver.deliver_due(with_ris, "ris"))
    assert only(with_ris).state is DeliveryState.PARKED
    assert ris.received == []


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (Accepted(), "_accept"),
        (ContentError("x"), "_try_content_again"),
        (RefusedByPeer("x"), "_park"),
        (Unavailable("x"), "_try_later"),
        (StorageFull("x"), "_try_later"),
        (Transient("x"), "_try_later"),
        (InvalidObject("x"), "_park"),
        (IntegrityError("x"), "_park"),
        (Permanent("x"), "_park"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_every_outcome_has_its_consequence(outcome: Accepted | RadloopError, then: str) -> None:
    assert deliver.consequence(outcome) is getattr(deliver, then)


def test_waits_double_up_to_the_longest_and_are_drawn_from_zero() -> None:
    backoff = policies.delivery(DeliverySettings(first_retry_seconds=1.0, longest_retry_seconds=300.0))
    assert [backoff.cap(n) for n in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]
    drawn = [backoff.wait(4) for _ in range(500)]
    assert 0 <= min(drawn) < 1.0
    assert 7.0 < max(drawn) <= 8.0


def test_a_conditional_create_is_repeated_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    peer: FhirPeer
    with fhir_peer(Reply(503), Reply(201)) as peer:
        house = open_home(tmp_path_factory, EHR.format(url=peer.url))
        queue(house, "ehr", ObjectKind.DIAGNOSTIC_REPORT)
        deliver_until(house, lambda: only(house).state is DeliveryState.ACCEPTED, "ehr")
        assert peer.received[0].body == peer.received[1].body
        house.ledger.close()
