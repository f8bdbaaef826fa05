"""What does not move: counts of what should have gone on by now, and since when. Cheap questions, without a lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from radloop.domain.enums import DeliveryState, StudyState
from radloop.domain.watching import NoticeState
from radloop.ledger.tables import audit_events, breakers, deliveries, instances, quarantine, study_versions
from radloop.ledger.watching import notices

_v, _d, _n = study_versions.c, deliveries.c, notices.c
WAITING: Final = (DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.PARKED)


@dataclass(frozen=True, slots=True)
class Stalled:
    """How many do not move, and since when the oldest does not."""

    count: int = 0
    since: datetime | None = None


NOTHING: Final = Stalled()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A peer that failed too often in a row; one try is let through at `open_until`."""

    peer: str
    failures: int
    open_until: datetime
    waiting: Stalled


def unanswered(conn: Connection, before: datetime) -> Stalled:
    """Study versions that were whole before a time and have no answer."""
    states = _v.state.in_((StudyState.COMPLETE, StudyState.READING))
    return _stalled(conn, _v.completed_at, states, _v.completed_at < before)


def receiving(conn: Connection, before: datetime) -> Stalled:
    """Study versions that nothing was added to since a time, and that were not judged whole either."""
    later = exists().where(instances.c.version_id == _v.id, instances.c.received_at >= before)
    return _stalled(conn, _v.received_at, _v.state == StudyState.RECEIVING, _v.received_at < before, ~later)


def abandoned(conn: Connection, before: datetime) -> Stalled:
    """Claims on study versions and deliveries that ended before a time and that nobody took over."""
    read = _stalled(conn, _v.lease_until, _v.state == StudyState.READING, _v.lease_until < before)
    sent = _stalled(conn, _d.lease_until, _d.state == DeliveryState.SENT, _d.lease_until < before)
    return Stalled(read.count + sent.count, min((one.since for one in (read, sent) if one.since), default=None))


def parked(conn: Connection) -> Stalled:
    """Deliveries that wait for a person."""
    return _stalled(conn, _d.queued_at, _d.state == DeliveryState.PARKED)


def overdue(conn: Connection, now: datetime, before: datetime) -> Stalled:
    """Deliveries that were due before a time, to peers whose breaker is closed."""
    shut = select(breakers.c.peer).where(or_(breakers.c.open_until > now, breakers.c.failures > 0))
    return _stalled(conn, _d.next_at, _d.state == DeliveryState.QUEUED, _d.next_at < before, _d.peer.not_in(shut))


def breakers_open(conn: Connection) -> tuple[Breaker, ...]:
    """Peers whose breaker is open, or lets single tries through."""
    query = select(breakers).where(breakers.c.open_until.is_not(None)).order_by(breakers.c.peer)
    return tuple(
        Breaker(
            peer=row.peer, failures=row.failures, open_until=row.open_until, waiting=_waiting_for(conn, str(row.peer))
        )
        for row in conn.execute(query)
    )


def set_aside(conn: Connection, since: datetime, until: datetime) -> int:
    """How many were put into quarantine in a time."""
    query = select(func.count()).select_from(quarantine)
    return conn.scalar(query.where(quarantine.c.at >= since, quarantine.c.at < until)) or 0


def unsealed(conn: Connection, before: datetime) -> Stalled:
    """Audit records of before a time that no seal covers."""
    return _stalled(conn, audit_events.c.at, audit_events.c.sealed.is_(False), audit_events.c.at < before)


def untold(conn: Connection, since: datetime) -> Stalled:
    """Notices that people did not get: tried in vain, or given up since a time."""
    tried = and_(_n.state == NoticeState.QUEUED, _n.error.is_not(None))
    return _stalled(conn, _n.at, or_(tried, and_(_n.state == NoticeState.DROPPED, _n.at >= since)))


def _waiting_for(conn: Connection, peer: str) -> Stalled:
    return _stalled(conn, _d.queued_at, _d.state.in_(WAITING), _d.peer == peer)


def _stalled(conn: Connection, moment: Any, *conditions: ColumnElement[bool]) -> Stalled:
    count, since = conn.execute(select(func.count(), func.min(moment)).where(*conditions)).one()
    return Stalled(count, since)
