"""Notices: one per alarm and channel, claimed with a lease, tried until sent or dropped."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from radloop.domain.ids import new_id
from radloop.domain.watching import Channel, Notice, NoticeState
from radloop.ledger.once import add_once
from radloop.ledger.watching import notices

_n = notices.c


def queue(conn: Connection, alarm_id: str, channel: Channel, at: datetime) -> bool:
    """Have an alarm told by a channel; False where it is to be told, or was, already."""
    return add_once(
        conn,
        notices,
        id=new_id("no"),
        alarm_id=alarm_id,
        channel=channel,
        state=NoticeState.QUEUED,
        attempts=0,
        next_at=at,
        at=at,
    )


def claim(conn: Connection, owner: str, now: datetime, until: datetime, limit: int) -> tuple[Notice, ...]:
    """Take due notices that nobody holds; each stands as tried once more before anything is sent."""
    free = or_(_n.lease_until.is_(None), _n.lease_until < now)
    due = select(_n.id).where(_n.state == NoticeState.QUEUED, _n.next_at <= now, free).order_by(_n.next_at, _n.id)
    ids = list(conn.scalars(due.limit(limit).with_for_update(skip_locked=True)))
    values = {"lease_owner": owner, "lease_until": until, "attempts": _n.attempts + 1}
    conn.execute(update(notices).where(_n.id.in_(ids)).values(**values))
    query = select(notices).where(_n.id.in_(ids)).order_by(_n.next_at, _n.id)
    return tuple(_notice(row) for row in conn.execute(query))


def sent(conn: Connection, notice_id: str, at: datetime) -> bool:
    """It was told; False where that is on record already."""
    return _leave(conn, notice_id, state=NoticeState.SENT, sent_at=at, error=None)


def again(conn: Connection, notice_id: str, error: str, next_at: datetime) -> bool:
    """It is tried again at `next_at`."""
    return _leave(conn, notice_id, error=error, next_at=next_at)


def drop(conn: Connection, notice_id: str, error: str) -> bool:
    """It is tried no more."""
    return _leave(conn, notice_id, state=NoticeState.DROPPED, error=error)


def of_alarm(conn: Connection, alarm_id: str) -> tuple[Notice, ...]:
    """How an alarm was, or is to be, told."""
    query = select(notices).where(_n.alarm_id == alarm_id).order_by(_n.channel)
    return tuple(_notice(row) for row in conn.execute(query))


def untold(conn: Connection, limit: int) -> tuple[Notice, ...]:
    """Notices that nobody got, given up or still tried, the newest first."""
    query = select(notices).where(_n.state != NoticeState.SENT).order_by(_n.at.desc(), _n.id).limit(limit)
    return tuple(_notice(row) for row in conn.execute(query))


def _leave(conn: Connection, notice_id: str, **values: Any) -> bool:
    condition = (_n.id == notice_id, _n.state == NoticeState.QUEUED)
    free: dict[str, Any] = {"lease_owner": None, "lease_until": None}
    return conn.execute(update(notices).where(*condition).values(**values, **free)).rowcount == 1


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        alarm_id=row.alarm_id,
        channel=Channel(row.channel),
        state=NoticeState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        at=row.at,
        sent_at=row.sent_at,
        error=row.error,
    )
