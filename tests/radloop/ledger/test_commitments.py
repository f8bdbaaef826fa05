"""Storage commitment on record: who is asked when, and what an answer moves."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select

from radloop.domain.enums import DeliveryState, ObjectKind, Urgency
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import Delivery
from radloop.ledger import Ledger, commitments, deliveries, instances, migrations, objects, results, tables
from radloop.ledger.commitments import Answer, Verdict
from tests.radloop.ledger.rows import arrival, result, stored

SR, SC = "2.25.1", "2.25.2"
LEASE = timedelta(seconds=6)
MINUTE = timedelta(seconds=60)
REASON = "not committed: 0x0112 no such object instance"


@pytest.fixture
def sent(ledger: Ledger) -> Ledger:
    """Two objects on their way to `pacs`, not accepted yet."""
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        answer = result(receipt.version_id)
        results.add(conn, answer)
        for made in (stored(answer.id, ObjectKind.SR, SR), stored(answer.id, ObjectKind.SC, SC)):
            objects.add(conn, made)
            deliveries.queue(conn, made, receipt.version_id, "pacs", Urgency.URGENT)
    claim(ledger)
    return ledger


@pytest.fixture
def accepted(sent: Ledger) -> Ledger:
    """The same, accepted, with commitment expected."""
    accept(sent)
    return sent


def claim(ledger: Ledger, now: datetime | None = None) -> list[str]:
    now = now or utc_now()
    with ledger.write() as conn:
        return [one.id for one in deliveries.claim(conn, "pacs", "runner", now, now + LEASE, 10)]


def accept(ledger: Ledger) -> None:
    now = utc_now()
    with ledger.write() as conn:
        for one in deliveries.unfinished(conn):
            if deliveries.accepted(conn, one.id, [], now):
                commitments.expect(conn, one.id, now)


def by_uid(ledger: Ledger) -> dict[str, Delivery]:
    with ledger.read() as conn:
        rows = deliveries.of_ids(conn, list(conn.scalars(select(tables.deliveries.c.id))))
    return {row.object.identifier: row for row in rows}


def due(ledger: Ledger, at: datetime | None = None, *peers: str) -> tuple[str, ...]:
    with ledger.read() as conn:
        return commitments.due_peers(conn, peers or ("pacs",), at or utc_now())


def ask(ledger: Ledger, uid: str, at: datetime | None = None, limit: int = 10) -> set[str]:
    """The identifiers that the question is about."""
    with ledger.write() as conn:
        about = commitments.ask(conn, "pacs", uid, at or utc_now(), limit, lambda n: 60.0 * n)
    return {one.object.identifier for one in about}


def answer(
    ledger: Ledger,
    uid: str,
    *kept: str,
    failed: tuple[str, ...] = (),
    peers: tuple[str, ...] = ("pacs",),
    at: datetime | None = None,
) -> tuple[Verdict, ...]:
    said = Answer(
        transaction_uid=uid, peers=frozenset(peers), kept=frozenset(kept), failed=dict.fromkeys(failed, REASON)
    )
    with ledger.write() as conn:
        return commitments.answer(conn, said, 3, at or utc_now())


def test_only_what_is_accepted_of_a_peer_that_is_asked_is_due(sent: Ledger) -> None:
    assert due(sent, utc_now() + MINUTE) == ()
    accept(sent)
    assert due(sent) == ("pacs",)
    assert due(sent, None, "archive") == ()


def test_a_peer_whose_breaker_is_open_is_not_asked(accepted: Ledger) -> None:
    with accepted.write() as conn:
        deliveries.peer_failed(conn, "pacs", 1, utc_now() + MINUTE)
    assert due(accepted) == ()
    assert due(accepted, utc_now() + 2 * MINUTE) == ("pacs",)


def test_a_question_without_answer_is_asked_again_later_and_later(accepted: Ledger) -> None:
    now = utc_now()
    assert ask(accepted, "1.1", now) == {SR, SC}
    assert due(accepted, now + 0.9 * MINUTE) == ()
    assert ask(accepted, "1.2", now + MINUTE) == {SR, SC}
    assert due(accepted, now + 2.9 * MINUTE) == ()
    assert due(accepted, now + 3 * MINUTE) == ("pacs",)


def test_a_question_is_about_no_more_than_its_limit(accepted: Ledger) -> None:
    assert len(ask(accepted, "1.1", limit=1)) == 1
    assert len(ask(accepted, "1.2", limit=1)) == 1
    assert ask(accepted, "1.3") == set()


def test_what_is_kept_is_committed_and_waits_for_nothing(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    moved = answer(accepted, "1.1", SR, SC)
    assert {one.state for one in moved} == {DeliveryState.COMMITTED}
    assert {one.state for one in by_uid(accepted).values()} == {DeliveryState.COMMITTED}
    assert due(accepted, utc_now() + timedelta(days=1)) == ()


def test_the_same_answer_again_moves_nothing(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    assert len(answer(accepted, "1.1", SR, failed=(SC,))) == 2
    before = by_uid(accepted)
    assert answer(accepted, "1.1", SR, failed=(SC,)) == ()
    assert by_uid(accepted) == before


def test_what_failed_is_sent_again_at_once_with_the_reason_shown(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    answer(accepted, "1.1", SR, failed=(SC,))
    failed = by_uid(accepted)[SC]
    assert (failed.state, failed.error, failed.content_errors) == (DeliveryState.QUEUED, REASON, 1)
    assert due(accepted, utc_now() + timedelta(days=1)) == ()
    assert claim(accepted) == [failed.id]


def test_what_fails_three_times_is_parked_and_a_person_may_send_it_again(accepted: Ledger) -> None:
    now = utc_now()
    for number in range(3):
        now += 10 * MINUTE
        ask(accepted, f"1.{number}", now)
        answer(accepted, f"1.{number}", SR, failed=(SC,), at=now)
        claim(accepted, now + 5 * MINUTE)
        accept(accepted)
    parked = by_uid(accepted)[SC]
    assert (parked.state, parked.error, parked.content_errors) == (DeliveryState.PARKED, REASON, 3)
    with accepted.write() as conn:
        assert deliveries.resend(conn, parked.id)
    assert by_uid(accepted)[SC].content_errors == 0


def test_a_late_failure_says_nothing_of_what_was_sent_again_since(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    answer(accepted, "1.1", failed=(SC,))
    claim(accepted)
    accept(accepted)
    assert answer(accepted, "1.1", failed=(SC,)) == ()
    assert by_uid(accepted)[SC].state is DeliveryState.ACCEPTED


def test_what_an_answer_does_not_name_is_asked_for_again(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    assert len(answer(accepted, "1.1", SR, "2.25.99")) == 1
    assert by_uid(accepted)[SC].state is DeliveryState.ACCEPTED
    assert ask(accepted, "1.2", utc_now() + 2 * MINUTE) == {SC}


def test_an_answer_to_an_earlier_question_counts_as_well(accepted: Ledger) -> None:
    ask(accepted, "1.1")
    ask(accepted, "1.2", utc_now() + 2 * MINUTE)
    assert len(answer(accepted, "1.1", SR, SC)) == 2


@pytest.mark.parametrize(("uid", "peers"), [("1.9", ("pacs",)), ("1.1", ("archive",)), ("1.1", ())])
def test_an_answer_in_no_transaction_with_this_peer_changes_nothing(
    accepted: Ledger, uid: str, peers: tuple[str, ...]
) -> None:
    ask(accepted, "1.1")
    before = by_uid(accepted)
    with pytest.raises(NotFound):
        answer(accepted, uid, SR, SC, peers=peers)
    assert by_uid(accepted) == before


def test_records_of_the_question_show_no_identifier(accepted: Ledger) -> None:
    assert SR not in repr(Answer(transaction_uid="1.1", peers=frozenset(), kept=frozenset((SR,)), failed={}))


def test_an_older_ledger_gets_the_columns_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    upgrade_to(ledger, "0001")
    with closing(sqlite3.connect(path)) as raw:
        names = "id, object_id, version_id, peer, state, urgency_rank, attempts, content_errors, queued_at, next_at"
        at = "2026-03-01 12:00:00.000000"
        row = ("de_1", "ob_1", "sv_1", "pacs", "ACCEPTED", 0, 1, 0, at, at)
        raw.execute(f"INSERT INTO deliveries ({names}) VALUES ({', '.join('?' * len(row))})", row)
        raw.commit()
    ledger.upgrade()
    ledger.upgrade()
    d = tables.deliveries.c
    with ledger.read() as conn:
        found = conn.execute(select(d.id, d.state, d.commit_at, d.commit_asks)).all()
    assert found == [("de_1", "ACCEPTED", None, None)]
    assert due(ledger, utc_now() + timedelta(days=1)) == ()
    ledger.close()


def upgrade_to(ledger: Ledger, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with ledger.engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
