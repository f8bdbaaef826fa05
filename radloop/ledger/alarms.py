"""Alarms: one per cause until a person has closed it, whatever is seen of it meanwhile."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from radloop.domain.errors import NotFound, Rejected, Unavailable
from radloop.domain.ids import new_id
from radloop.domain.watching import Alarm, AlarmState, Cause, Choice, Evidence, Sighting
from radloop.ledger.copies import in_parts
from radloop.ledger.once import add_once
from radloop.ledger.watching import alarm_studies, alarms

_a = alarms.c
DELIVERIES: Final = "deliveries"
"""The suite that looks at peers, not at images."""


def see(conn: Connection, sighting: Sighting, at: datetime) -> tuple[Alarm, bool]:
    """Open an alarm for a cause, or add the sighting to the one that is there; whether it was opened just now.

    Raises:
        Unavailable: the alarm is being closed by somebody.
    """
    alarm_id, opened = _opened(conn, sighting, at) or _opened(conn, sighting, at) or ("", False)
    if not alarm_id:
        raise Unavailable("an alarm of this cause is being closed: look again")
    _add_studies(conn, alarm_id, sighting.versions, at)
    counted = select(func.count()).where(alarm_studies.c.alarm_id == alarm_id).scalar_subquery()
    seen: dict[str, object] = {} if opened else asdict(sighting.evidence)
    conn.execute(update(alarms).where(_a.id == alarm_id).values(last_seen=at, studies=counted, **seen))
    return get(conn, alarm_id), opened


def _opened(conn: Connection, sighting: Sighting, at: datetime) -> tuple[str, bool] | None:
    """The id of the cause's alarm, locked, and whether it is new; None where a person closed it in this very moment."""
    opened = add_once(
        conn,
        alarms,
        id=new_id("al"),
        cause_key=sighting.key,
        **asdict(sighting.cause),
        **asdict(sighting.evidence),
        since=sighting.since,
        first_version=sighting.versions[0] if sighting.versions else None,
        studies=0,
        state=AlarmState.OPEN,
        opened_at=at,
        last_seen=at,
    )
    same = (_a.cause_key == sighting.key, _a.state != AlarmState.CLOSED)
    alarm_id = conn.scalar(select(_a.id).where(*same).with_for_update())
    return None if alarm_id is None else (alarm_id, opened)


def key_of(*parts: str) -> str:
    """SHA-256 (hex) of what makes a cause this one and no other."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def decide(conn: Connection, alarm_id: str, choice: Choice, actor: str, why: str, at: datetime) -> Alarm:
    """Write down what a person decided. Compare-and-set against an alarm that was closed meanwhile.

    ACKNOWLEDGE, SHADOW and RETRAIN acknowledge it; EXTEND and CLOSE close it.

    Raises:
        NotFound: there is no such alarm.
        Rejected: it is closed already, or no reason is given.
    """
    if not why.strip():
        raise Rejected("a reason is needed")
    after = AlarmState.CLOSED if choice in (Choice.EXTEND, Choice.CLOSE) else AlarmState.ACKNOWLEDGED
    get(conn, alarm_id)
    values = {"state": after, "choice": choice, "who": actor, "why": why, "decided_at": at}
    condition = (_a.id == alarm_id, _a.state != AlarmState.CLOSED)
    if conn.execute(update(alarms).where(*condition).values(**values)).rowcount != 1:
        raise Rejected(f"{alarm_id} is closed already")
    return get(conn, alarm_id)


def get(conn: Connection, alarm_id: str) -> Alarm:
    """One alarm.

    Raises:
        NotFound: there is no such alarm.
    """
    found = next(iter(_alarms(conn, select(alarms).where(_a.id == alarm_id))), None)
    if found is None:
        raise NotFound("there is no such alarm")
    return found


def known(
    conn: Connection, states: Collection[AlarmState] = tuple(AlarmState), limit: int | None = None
) -> tuple[Alarm, ...]:
    """Every alarm in one of these states, the newest first."""
    query = select(alarms).where(_a.state.in_(states)).order_by(_a.opened_at.desc(), _a.id)
    return _alarms(conn, query.limit(limit))


def open_at(conn: Connection, model: str, site: str, device: str) -> dict[str, Alarm]:
    """The open alarms on one scanner as one model sees it, by the key of their cause."""
    place = (_a.state == AlarmState.OPEN, _a.model == model, _a.site == site, _a.device == device)
    return {row.cause_key: _alarm(row) for row in conn.execute(select(alarms).where(*place).order_by(_a.opened_at))}


def blocking(conn: Connection, model: str) -> tuple[Alarm, ...]:
    """The open alarms that block the promotion of a model, the oldest first: on it, or on images of whatever model.

    That a peer takes no objects says nothing of the model that is to be promoted.
    """
    condition = (_a.state == AlarmState.OPEN, _a.model.in_([model, ""]), _a.suite != DELIVERIES)
    return _alarms(conn, select(alarms).where(*condition).order_by(_a.opened_at, _a.id))


def counts(conn: Connection) -> dict[tuple[str, str, str], int]:
    """How many alarms there are, by state, suite and model."""
    query = select(_a.state, _a.suite, _a.model, func.count()).group_by(_a.state, _a.suite, _a.model)
    return {(row[0], row[1], row[2]): row[3] for row in conn.execute(query)}


def studies_of(conn: Connection, alarm_id: str) -> tuple[str, ...]:
    """The study versions that an alarm's cause touched, in the order in which they were found."""
    s = alarm_studies.c
    query = select(s.version_id).where(s.alarm_id == alarm_id).order_by(s.at, s.version_id)
    return tuple(conn.scalars(query))


def _add_studies(conn: Connection, alarm_id: str, versions: Sequence[str], at: datetime) -> None:
    s = alarm_studies.c
    for some in in_parts(dict.fromkeys(versions)):
        there = set(conn.scalars(select(s.version_id).where(s.alarm_id == alarm_id, s.version_id.in_(some))))
        fresh = [{"alarm_id": alarm_id, "version_id": one, "at": at} for one in some if one not in there]
        if fresh:
            conn.execute(insert(alarm_studies), fresh)


def _alarms(conn: Connection, query: Select[Any]) -> tuple[Alarm, ...]:
    return tuple(_alarm(row) for row in conn.execute(query))


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        id=row.id,
        cause=Cause(
            suite=row.suite, check=row.check, model=row.model, site=row.site, device=row.device, words=row.words
        ),
        evidence=Evidence(
            statistic=row.statistic, value=row.value, p=row.p, n=row.n, m=row.m, smallest_shift=row.smallest_shift
        ),
        since=row.since,
        first_version=row.first_version,
        studies=row.studies,
        state=AlarmState(row.state),
        opened_at=row.opened_at,
        last_seen=row.last_seen,
        choice=Choice(row.choice) if row.choice else None,
        who=row.who,
        why=row.why,
        decided_at=row.decided_at,
    )
