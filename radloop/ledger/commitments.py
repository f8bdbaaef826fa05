"""Storage commitment: what a peer was asked to keep, and what it said of it (PS3.4 Annex J).

A delivery that waits for it is ACCEPTED and has `commit_at`, when its peer is asked (again). One row of `commitments`
is one question, kept before it goes on the wire: the answer may come before the peer has confirmed the question.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from radloop.domain.enums import DeliveryState
from radloop.domain.errors import NotFound
from radloop.domain.ids import new_id
from radloop.domain.records import Delivery
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger.tables import breakers, commitments, deliveries

_d = deliveries.c
_c = commitments.c

RESEND_SECONDS = 60.0
"""The first resend is at once; before each further one the peer has this much longer to recover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a peer says in one transaction.

    `peers` are the names that may answer here. `kept` are SOP Instance UIDs that it commits to; `failed` are those
    that it does not, with the reason in words without patient data.
    """

    transaction_uid: str
    peers: frozenset[str]
    kept: frozenset[str] = field(repr=False)
    failed: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One delivery that an answer moved: to COMMITTED, or to QUEUED or PARKED with the reason."""

    delivery: Delivery
    state: DeliveryState
    error: str | None = None


def expect(conn: Connection, delivery_id: str, ask_at: datetime) -> None:
    """An ACCEPTED delivery waits for its peer's commitment; the peer is asked from `ask_at` on."""
    _move(conn, delivery_id, {"commit_at": ask_at, "commit_asks": 0})


def due_peers(conn: Connection, peers: Collection[str], now: datetime) -> tuple[str, ...]:
    """Those of `peers` that have something to be asked now, and whose breaker is not open."""
    shut = select(breakers.c.peer).where(breakers.c.open_until > now)
    query = select(_d.peer).where(_d.commit_at <= now, _d.peer.in_(peers), _d.peer.not_in(shut))
    return tuple(conn.scalars(query.distinct().order_by(_d.peer)))


def ask(
    conn: Connection, peer: str, transaction_uid: str, now: datetime, limit: int, wait: Callable[[int], float]
) -> tuple[Delivery, ...]:
    """Note one question about what is due, the longest waiting first; what it is about, nothing where nothing is due.

    Where no answer comes it is due again, `wait(n)` seconds after question number n (from 1).
    """
    query = select(_d.id, _d.commit_asks).where(_d.commit_at <= now, _d.peer == peer)
    due = conn.execute(query.order_by(_d.commit_at).limit(limit).with_for_update(skip_locked=True)).all()
    for row in due:
        asks = row.commit_asks + 1
        _move(conn, row.id, {"commit_asks": asks, "commit_at": now + timedelta(seconds=wait(asks))})
    if due:
        _note(conn, peer, transaction_uid, [row.id for row in due], now)
    return delivery_rows.of_ids(conn, [row.id for row in due])


def answer(conn: Connection, said: Answer, tries: int, at: datetime) -> tuple[Verdict, ...]:
    """Take an answer; what it moved. The same answer once more moves nothing, and neither does one that came late.

    An object that was not kept is sent again, `tries` times in all; then a person looks at it.

    Raises:
        NotFound: none of these peers was asked in such a transaction.
    """
    asked = select(commitments).where(_c.transaction_uid == said.transaction_uid, _c.peer.in_(said.peers))
    row = conn.execute(asked.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("no such transaction")
    conn.execute(update(commitments).where(_c.id == row.id, _c.answered_at.is_(None)).values(answered_at=at))
    waiting = [one for one in delivery_rows.of_ids(conn, row.delivery_ids) if _concerns(one, row.asked_at)]
    verdicts = [verdict for one in waiting if (verdict := _verdict(said, one, tries)) is not None]
    for verdict in verdicts:
        _carry_out(conn, verdict, at)
    return tuple(verdicts)


def _note(conn: Connection, peer: str, transaction_uid: str, ids: list[str], now: datetime) -> None:
    row = {"id": new_id("co"), "transaction_uid": transaction_uid, "peer": peer, "delivery_ids": ids, "asked_at": now}
    conn.execute(insert(commitments).values(row))


def _concerns(delivery: Delivery, asked_at: datetime) -> bool:
    """Not what was accepted (again) after the question: the answer is about an earlier copy."""
    accepted_at = delivery.accepted_at
    return delivery.state is DeliveryState.ACCEPTED and accepted_at is not None and accepted_at <= asked_at


def _verdict(said: Answer, delivery: Delivery, tries: int) -> Verdict | None:
    """What is in both lists failed; what is in neither stays as it was, and is asked for again."""
    reason = said.failed.get(delivery.object.identifier)
    if reason is not None:
        last = delivery.content_errors + 1 >= tries
        return Verdict(delivery, DeliveryState.PARKED if last else DeliveryState.QUEUED, reason)
    return Verdict(delivery, DeliveryState.COMMITTED) if delivery.object.identifier in said.kept else None


def _carry_out(conn: Connection, verdict: Verdict, at: datetime) -> None:
    values: dict[str, Any] = {"state": verdict.state, "commit_at": None}
    if verdict.error is not None:
        so_far = verdict.delivery.content_errors
        again = at + timedelta(seconds=RESEND_SECONDS * so_far)
        values |= {"error": verdict.error, "content_errors": so_far + 1, "queued_at": at, "next_at": again}
    _move(conn, verdict.delivery.id, values)


def _move(conn: Connection, delivery_id: str, values: dict[str, Any]) -> None:
    """Only what is ACCEPTED waits for commitment."""
    accepted = (_d.id == delivery_id, _d.state == DeliveryState.ACCEPTED)
    conn.execute(update(deliveries).where(*accepted).values(**values))
