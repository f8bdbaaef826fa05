"""The outbox: what is to be sent to whom, when next, and the breaker of each peer."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, insert, or_, select, update

from radloop.domain.enums import DeliveryState, Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Delivery, StoredObject
from radloop.ledger import objects as object_rows
from radloop.ledger.tables import breakers, deliveries, objects

_d = deliveries.c
OPEN_STATES = (DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.PARKED)


def queue(conn: Connection, made: StoredObject, version_id: str, peer: str, urgency: Urgency) -> bool:
    """Queue an object for a peer, due at once; False where it was queued before."""
    if conn.scalar(select(_d.id).where(_d.object_id == made.id, _d.peer == peer)) is not None:
        return False
    now = utc_now()
    conn.execute(
        insert(deliveries).values(
            id=new_id("de"),
            object_id=made.id,
            version_id=version_id,
            peer=peer,
            state=DeliveryState.QUEUED,
            urgency_rank=urgency.rank,
            attempts=0,
            content_errors=0,
            queued_at=now,
            next_at=now,
        )
    )
    return True


def due_peers(conn: Connection, now: datetime) -> tuple[str, ...]:
    """Peers for which something is due and whose breaker lets a try through."""
    shut = select(breakers.c.peer).where(breakers.c.open_until > now)
    query = select(_d.peer).where(_due(now), _d.peer.not_in(shut)).distinct()
    return tuple(conn.scalars(query.order_by(_d.peer)))


def claim(conn: Connection, peer: str, owner: str, now: datetime, until: datetime, limit: int) -> tuple[Delivery, ...]:
    """Take up to `limit` due deliveries of a peer, urgent first: they are SENT from here on.

    A peer whose breaker has been open gets one try at a time (half-open).
    """
    if conn.scalar(select(breakers.c.open_until).where(breakers.c.peer == peer)) is not None:
        limit = 1
    query = select(_d.id).where(_d.peer == peer, _due(now)).order_by(_d.urgency_rank.desc(), _d.queued_at).limit(limit)
    ids = list(conn.scalars(query.with_for_update(skip_locked=True)))
    conn.execute(
        update(deliveries)
        .where(_d.id.in_(ids))
        .values(state=DeliveryState.SENT, attempts=_d.attempts + 1, lease_owner=owner, lease_until=until)
    )
    found = {delivery.id: delivery for delivery in _deliveries(conn, _select().where(_d.id.in_(ids)))}
    return tuple(found[delivery_id] for delivery_id in ids)


def renew(conn: Connection, owner: str, ids: Collection[str], until: datetime) -> None:
    """Keep the leases of `owner` on these deliveries."""
    conn.execute(update(deliveries).where(_d.id.in_(ids), _d.lease_owner == owner).values(lease_until=until))


def release(conn: Connection, owner_prefix: str) -> int:
    """Give back all claims of owners that are known to be dead; they are sent again with the same identifiers."""
    condition = and_(_d.state == DeliveryState.SENT, _d.lease_owner.startswith(owner_prefix, autoescape=True))
    values = {"state": DeliveryState.QUEUED, "next_at": utc_now(), "lease_owner": None, "lease_until": None}
    return conn.execute(update(deliveries).where(condition).values(**values)).rowcount


def accepted(conn: Connection, delivery_id: str, warnings: Sequence[str], at: datetime) -> bool:
    """SENT -> ACCEPTED."""
    values = {"accepted_at": at, "warnings": list(warnings), "error": None}
    return _leave(conn, delivery_id, DeliveryState.ACCEPTED, values)


def retry(conn: Connection, delivery_id: str, error: str, next_at: datetime, *, content_errors: int = 0) -> bool:
    """SENT -> QUEUED, due at `next_at`; `content_errors` is added to those counted so far."""
    values = {"error": error, "next_at": next_at, "content_errors": _d.content_errors + content_errors}
    return _leave(conn, delivery_id, DeliveryState.QUEUED, values)


def park(conn: Connection, delivery_id: str, error: str) -> bool:
    """SENT -> PARKED: a person decides."""
    return _leave(conn, delivery_id, DeliveryState.PARKED, {"error": error})


def resend(conn: Connection, delivery_id: str) -> bool:
    """A person says again: PARKED, DROPPED or waiting -> QUEUED, due at once, with fresh counts of errors."""
    states = (DeliveryState.PARKED, DeliveryState.DROPPED, DeliveryState.QUEUED)
    values = {"state": DeliveryState.QUEUED, "next_at": utc_now(), "queued_at": utc_now(), "content_errors": 0}
    condition = and_(_d.id == delivery_id, _d.state.in_(states))
    return conn.execute(update(deliveries).where(condition).values(**values)).rowcount == 1


def drop(conn: Connection, delivery_id: str) -> bool:
    """A person says never: PARKED or QUEUED -> DROPPED. The reason belongs in the audit."""
    condition = and_(_d.id == delivery_id, _d.state.in_((DeliveryState.PARKED, DeliveryState.QUEUED)))
    return conn.execute(update(deliveries).where(condition).values(state=DeliveryState.DROPPED)).rowcount == 1


def get(conn: Connection, delivery_id: str) -> Delivery | None:
    """One delivery."""
    return next(iter(_deliveries(conn, _select().where(_d.id == delivery_id))), None)


def of_ids(conn: Connection, ids: Collection[str]) -> tuple[Delivery, ...]:
    """These deliveries, in the order they were queued."""
    return _deliveries(conn, _select().where(_d.id.in_(ids)).order_by(_d.queued_at, _d.id))


def unfinished(conn: Connection, limit: int | None = None) -> tuple[Delivery, ...]:
    """Due, under way and parked deliveries, the parked first, then by when they are due."""
    query = _select().where(_d.state.in_(OPEN_STATES)).order_by(_d.state != DeliveryState.PARKED, _d.next_at)
    return _deliveries(conn, query.limit(limit))


def parked(conn: Connection, limit: int, after: str | None = None) -> tuple[Delivery, ...]:
    """Deliveries that wait for a person, the oldest first; those after the one of this id where it is given."""
    query = _select().where(_d.state == DeliveryState.PARKED).order_by(_d.queued_at, _d.id)
    if after is not None:
        last = select(_d.queued_at).where(_d.id == after).scalar_subquery()
        query = query.where(or_(_d.queued_at > last, and_(_d.queued_at == last, _d.id > after)))
    return _deliveries(conn, query.limit(limit))


def of_versions(conn: Connection, version_ids: Collection[str]) -> tuple[Delivery, ...]:
    """Every delivery of these versions, in the order they were queued."""
    return _deliveries(conn, _select().where(_d.version_id.in_(version_ids)).order_by(_d.queued_at, _d.id))


def counts(conn: Connection) -> dict[str, int]:
    """How many deliveries stand in each state; every state is named."""
    found: dict[str, int] = dict(conn.execute(select(_d.state, func.count()).group_by(_d.state)).all())
    return {state.value: found.get(state.value, 0) for state in DeliveryState}


def queued_at(conn: Connection, delivery_id: str) -> datetime | None:
    """When a delivery was queued (again): its retries are counted from there."""
    return conn.scalar(select(_d.queued_at).where(_d.id == delivery_id))


def peer_answered(conn: Connection, peer: str) -> None:
    """The peer is well: its breaker closes, and what waited out the peer's absence waits no longer."""
    was_open = conn.scalar(select(breakers.c.open_until).where(breakers.c.peer == peer)) is not None
    conn.execute(update(breakers).where(breakers.c.peer == peer).values(failures=0, open_until=None))
    if was_open:
        # An error in the content is not the peer's absence: it keeps its wait.
        waiting = and_(_d.peer == peer, _d.state == DeliveryState.QUEUED, _d.content_errors == 0)
        conn.execute(update(deliveries).where(waiting, _d.next_at > utc_now()).values(next_at=utc_now()))


def peer_failed(conn: Connection, peer: str, threshold: int, open_until: datetime) -> bool:
    """One more failure in a row; from `threshold` on the breaker is open until `open_until`. Whether it is open."""
    failures = conn.scalar(select(breakers.c.failures).where(breakers.c.peer == peer).with_for_update())
    if failures is None:
        conn.execute(insert(breakers).values(peer=peer, failures=0))
    total = (failures or 0) + 1
    opened = total >= threshold
    values = {"failures": total, "open_until": open_until if opened else None}
    conn.execute(update(breakers).where(breakers.c.peer == peer).values(**values))
    return opened


def _due(now: datetime) -> Any:
    return or_(
        and_(_d.state == DeliveryState.QUEUED, _d.next_at <= now),
        and_(_d.state == DeliveryState.SENT, _d.lease_until < now),
    )


def _leave(conn: Connection, delivery_id: str, state: DeliveryState, values: dict[str, Any]) -> bool:
    condition = and_(_d.id == delivery_id, _d.state == DeliveryState.SENT)
    lease = {"lease_owner": None, "lease_until": None}
    return conn.execute(update(deliveries).where(condition).values(state=state, **values, **lease)).rowcount == 1


def _select() -> Select[Any]:
    columns = [column for column in objects.c if column.name not in ("id", "at")]
    return select(deliveries, *columns).join(objects, _d.object_id == objects.c.id)


def _deliveries(conn: Connection, query: Select[Any]) -> tuple[Delivery, ...]:
    return tuple(_delivery(row) for row in conn.execute(query))


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        object=object_rows.from_row(row),
        version_id=row.version_id,
        peer=row.peer,
        state=DeliveryState(row.state),
        urgency=tuple(Urgency)[row.urgency_rank],
        attempts=row.attempts,
        content_errors=row.content_errors,
        next_at=row.next_at,
        accepted_at=row.accepted_at,
        error=row.error,
    )
