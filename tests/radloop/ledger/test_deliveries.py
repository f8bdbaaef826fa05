from datetime import timedelta

import pytest

from radloop.domain.enums import DeliveryState, ObjectKind, Urgency
from radloop.domain.ids import utc_now
from radloop.ledger import Ledger, deliveries, instances, objects, results
from tests.radloop.ledger.rows import arrival, result, stored

LEASE = timedelta(seconds=6)


@pytest.fixture
def queued(ledger: Ledger) -> str:
    """A delivery to `pacs`."""
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        answer = result(receipt.version_id)
        results.add(conn, answer)
        made = stored(answer.id)
        assert objects.add(conn, made)
        assert not objects.add(conn, stored(answer.id))
        assert deliveries.queue(conn, made, receipt.version_id, "pacs", Urgency.URGENT)
        assert not deliveries.queue(conn, made, receipt.version_id, "pacs", Urgency.URGENT)
        (delivery,) = deliveries.unfinished(conn)
    return delivery.id


def claim(ledger: Ledger, at: object = None) -> tuple[str, ...]:
    now = at or utc_now()
    with ledger.write() as conn:
        return tuple(d.id for d in deliveries.claim(conn, "pacs", "runner", now, now + LEASE, 10))


def test_a_delivery_goes_from_queued_over_sent_to_accepted_and_keeps_the_warnings(ledger: Ledger, queued: str) -> None:
    assert claim(ledger) == (queued,)
    with ledger.write() as conn:
        assert deliveries.get(conn, queued).state is DeliveryState.SENT
        assert deliveries.accepted(conn, queued, ["B000"], utc_now())
        assert deliveries.get(conn, queued).state is DeliveryState.ACCEPTED
        assert deliveries.unfinished(conn) == ()


def test_a_sent_delivery_without_an_answer_is_due_again_when_its_lease_ends(ledger: Ledger, queued: str) -> None:
    claim(ledger)
    assert claim(ledger) == ()
    assert claim(ledger, utc_now() + 2 * LEASE) == (queued,)


def test_a_retry_waits_and_counts_content_errors(ledger: Ledger, queued: str) -> None:
    claim(ledger)
    with ledger.write() as conn:
        deliveries.retry(conn, queued, "content-error", utc_now() + LEASE, content_errors=1)
        assert deliveries.get(conn, queued).content_errors == 1
    assert claim(ledger) == ()
    assert claim(ledger, utc_now() + 2 * LEASE) == (queued,)


def test_a_parked_delivery_waits_for_a_person_who_resends_or_drops_it(ledger: Ledger, queued: str) -> None:
    claim(ledger)
    with ledger.write() as conn:
        deliveries.park(conn, queued, "refused-by-peer")
    assert claim(ledger, utc_now() + 2 * LEASE) == ()
    with ledger.write() as conn:
        assert deliveries.resend(conn, queued)
    assert claim(ledger) == (queued,)
    with ledger.write() as conn:
        assert not deliveries.drop(conn, queued)
        deliveries.park(conn, queued, "refused-by-peer")
        assert deliveries.drop(conn, queued)
        assert deliveries.counts(conn)["DROPPED"] == 1


def test_an_open_breaker_holds_one_peer_back_and_then_lets_one_try_through(ledger: Ledger, queued: str) -> None:
    with ledger.write() as conn:
        first = deliveries.get(conn, queued)
        other = stored(first.object.result_id, ObjectKind.SC, "2.25.2")
        objects.add(conn, other)
        deliveries.queue(conn, other, first.version_id, "pacs", Urgency.ROUTINE)
        deliveries.queue(conn, other, first.version_id, "archive", Urgency.ROUTINE)
        now = utc_now()
        assert not deliveries.peer_failed(conn, "pacs", 2, now + LEASE)
        assert deliveries.peer_failed(conn, "pacs", 2, now + LEASE)
        assert deliveries.due_peers(conn, now) == ("archive",)
        assert deliveries.due_peers(conn, now + 2 * LEASE) == ("archive", "pacs")
    assert claim(ledger, utc_now() + 2 * LEASE) == (queued,)
    with ledger.write() as conn:
        deliveries.peer_answered(conn, "pacs")
    assert len(claim(ledger, utc_now() + 2 * LEASE)) == 1


def test_what_waited_for_an_absent_peer_is_due_when_it_is_back(ledger: Ledger, queued: str) -> None:
    claim(ledger)
    with ledger.write() as conn:
        first = deliveries.get(conn, queued)
        other = stored(first.object.result_id, ObjectKind.SC, "2.25.2")
        objects.add(conn, other)
        deliveries.queue(conn, other, first.version_id, "pacs", Urgency.ROUTINE)
    (second,) = claim(ledger)
    with ledger.write() as conn:
        later = utc_now() + 10 * LEASE
        deliveries.retry(conn, queued, "unavailable", later)
        deliveries.retry(conn, second, "content-error", later, content_errors=1)
        deliveries.peer_answered(conn, "pacs")
        assert deliveries.due_peers(conn, utc_now()) == (), "no breaker was open"
        deliveries.peer_failed(conn, "pacs", 1, utc_now() + LEASE)
        deliveries.peer_answered(conn, "pacs")
    assert claim(ledger) == (queued,), "an error in the content keeps its wait"
