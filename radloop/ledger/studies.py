"""Study versions: RECEIVING -> COMPLETE -> READING -> ANSWERED -> SIGNED, and the leases on them.

A sign-off skips what is left before it: a reader never waits for a model.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from radloop.domain.enums import Signal, StudyState, Urgency
from radloop.domain.records import Evidence, StudyVersion
from radloop.ledger.tables import studies, study_versions

_v = study_versions.c


def receiving(conn: Connection) -> tuple[StudyVersion, ...]:
    """Every version that still receives."""
    return _versions(conn, _select().where(_v.state == StudyState.RECEIVING))


def complete(conn: Connection, version_id: str, evidence: Evidence, at: datetime, seen: int) -> bool:
    """RECEIVING -> COMPLETE, unless another instance arrived since `seen` of them were counted."""
    return _change(
        conn,
        and_(_v.id == version_id, _v.state == StudyState.RECEIVING, _v.instances == seen),
        state=StudyState.COMPLETE,
        signal=evidence.signal,
        expected=evidence.expected,
        missing=evidence.missing,
        completed_at=at,
    )


def due(conn: Connection, now: datetime) -> bool:
    """Whether `claim` would find something: a cheap question that takes no lock."""
    return conn.scalar(select(_v.id).where(_due(now)).limit(1)) is not None


def claim(
    conn: Connection, owner: str, now: datetime, until: datetime, limit: int, only: Collection[str] | None = None
) -> tuple[StudyVersion, ...]:
    """Take up to `limit` versions that are due, urgent first: COMPLETE ones, and READING ones whose lease ended.

    `only` leaves all others alone.
    """
    due = _due(now) if only is None else and_(_due(now), _v.id.in_(only))
    query = select(_v.id).where(due).order_by(_v.priority_rank.desc(), _v.completed_at).limit(limit)
    ids = list(conn.scalars(query.with_for_update(skip_locked=True)))
    if not ids:
        return ()
    conn.execute(
        update(study_versions)
        .where(_v.id.in_(ids))
        .values(state=StudyState.READING, lease_owner=owner, lease_until=until, attempts=_v.attempts + 1)
    )
    found = {version.id: version for version in _versions(conn, _select().where(_v.id.in_(ids)))}
    return tuple(found[version_id] for version_id in ids)


def renew(conn: Connection, owner: str, version_ids: Collection[str], until: datetime) -> None:
    """Keep the leases of `owner` on these versions."""
    conn.execute(
        update(study_versions).where(_v.id.in_(version_ids), _v.lease_owner == owner).values(lease_until=until)
    )


def release(conn: Connection, owner_prefix: str) -> int:
    """Give back all claims of owners that are known to be dead; how many there were."""
    condition = and_(_v.state == StudyState.READING, _v.lease_owner.startswith(owner_prefix, autoescape=True))
    values = {"state": StudyState.COMPLETE, "lease_owner": None, "lease_until": None}
    return conn.execute(update(study_versions).where(condition).values(**values)).rowcount


def postpone(conn: Connection, version_id: str, owner: str, reason: str, not_before: datetime) -> bool:
    """READING -> COMPLETE with the reason shown: another attempt is made from `not_before` on."""
    return _change(
        conn,
        and_(_v.id == version_id, _v.state == StudyState.READING, _v.lease_owner == owner),
        state=StudyState.COMPLETE,
        reason=reason,
        not_before=not_before,
        lease_owner=None,
        lease_until=None,
    )


def answer(conn: Connection, version_id: str, owner: str, reason: str | None, urgency: Urgency, at: datetime) -> bool:
    """READING -> ANSWERED; False where the claim has gone to another owner meanwhile."""
    return _change(
        conn,
        and_(_v.id == version_id, _v.state == StudyState.READING, _v.lease_owner == owner),
        state=StudyState.ANSWERED,
        reason=reason,
        urgency=urgency,
        answered_at=at,
        not_before=None,
        lease_owner=None,
        lease_until=None,
    )


def sign(conn: Connection, version_id: str) -> bool:
    """COMPLETE, READING or ANSWERED -> SIGNED, and never back; False where it stands elsewhere.

    A reader never waits for a model: whoever holds a claim on it finds it gone. `signoffs` says by whom and when.
    """
    whole = _v.state.in_((StudyState.COMPLETE, StudyState.READING, StudyState.ANSWERED))
    free = {"lease_owner": None, "lease_until": None, "not_before": None}
    return _change(conn, and_(_v.id == version_id, whole), state=StudyState.SIGNED, **free)


def raise_priority(conn: Connection, accession_number: str, patient_id: str, urgency: Urgency) -> None:
    """An order arrived after the images: its study is read by the order's priority. It only ever rises."""
    wanted = select(studies.c.id).where(
        studies.c.accession_number == accession_number, studies.c.patient_id == patient_id
    )
    waiting = _v.state.in_((StudyState.RECEIVING, StudyState.COMPLETE))
    conn.execute(
        update(study_versions)
        .where(_v.study_id.in_(wanted), waiting, _v.priority_rank < urgency.rank)
        .values(priority_rank=urgency.rank)
    )


def get(conn: Connection, version_id: str) -> StudyVersion | None:
    """One version."""
    return next(iter(_versions(conn, _select().where(_v.id == version_id))), None)


def latest_of(conn: Connection, study_uid: str) -> StudyVersion | None:
    """The newest version of a study."""
    query = _select().where(studies.c.study_uid == study_uid).order_by(_v.number.desc()).limit(1)
    return next(iter(_versions(conn, query)), None)


def latest(conn: Connection, limit: int | None, since: datetime | None) -> tuple[StudyVersion, ...]:
    """The newest version of every study, newest first, received since a time where one is given."""
    newest = select(_v.study_id, func.max(_v.number).label("number")).group_by(_v.study_id).subquery()
    query = _select().join(newest, and_(_v.study_id == newest.c.study_id, _v.number == newest.c.number))
    if since is not None:
        query = query.where(_v.received_at >= since)
    return _versions(conn, query.order_by(_v.received_at.desc(), _v.id).limit(limit))


def counts(conn: Connection) -> dict[str, int]:
    """How many versions stand in each state; every state is named."""
    found: dict[str, int] = dict(conn.execute(select(_v.state, func.count()).group_by(_v.state)).all())
    return {state.value: found.get(state.value, 0) for state in StudyState}


def _due(now: datetime) -> Any:
    return or_(
        and_(_v.state == StudyState.COMPLETE, or_(_v.not_before.is_(None), _v.not_before <= now)),
        and_(_v.state == StudyState.READING, _v.lease_until < now),
    )


def _change(conn: Connection, condition: Any, **values: Any) -> bool:
    return conn.execute(update(study_versions).where(condition).values(**values)).rowcount == 1


def _select() -> Select[Any]:
    return select(study_versions, studies.c.study_uid).join(studies, _v.study_id == studies.c.id)


def _versions(conn: Connection, query: Select[Any]) -> tuple[StudyVersion, ...]:
    return tuple(_version(row) for row in conn.execute(query))


def _version(row: Row[Any]) -> StudyVersion:
    return StudyVersion(
        id=row.id,
        study_id=row.study_id,
        study_uid=row.study_uid,
        number=row.number,
        state=StudyState(row.state),
        reason=row.reason,
        urgency=Urgency(row.urgency),
        evidence=Evidence(
            signal=Signal(row.signal) if row.signal else None, expected=row.expected, missing=row.missing
        ),
        received_at=row.received_at,
        completed_at=row.completed_at,
        answered_at=row.answered_at,
        instances=row.instances,
        modalities=_text_tuple(row.modalities),
        peer=row.peer,
    )


def _text_tuple(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
