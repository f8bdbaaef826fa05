"""Which study versions a reader has closed, and when their pictures may go."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, or_, select, update

from radloop.domain.enums import StudyState, VerdictSource
from radloop.domain.records import SignOff
from radloop.ledger.learning import signoffs
from radloop.ledger.once import add_once
from radloop.ledger.tables import results, study_versions

_s = signoffs.c
ANSWERED = (StudyState.ANSWERED, StudyState.SIGNED)


def add(conn: Connection, signoff: SignOff, forget_at: datetime | None = None) -> bool:
    """Keep a sign-off; False where the version has one already. From `forget_at` on its pictures may go."""
    return add_once(conn, signoffs, **asdict(signoff), forget_at=forget_at)


def of_version(conn: Connection, version_id: str) -> SignOff | None:
    """The sign-off of a version."""
    row = conn.execute(select(signoffs).where(_s.version_id == version_id)).first()
    return _signoff(row) if row else None


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, SignOff]:
    """The sign-offs of those versions that have one, by version id."""
    rows = conn.execute(select(signoffs).where(_s.version_id.in_(version_ids)))
    return {row.version_id: _signoff(row) for row in rows}


def to_forget(conn: Connection, now: datetime, limit: int) -> tuple[str, ...]:
    """Versions whose pictures are due to go, the longest due first.

    A later version of the study is made of the same images: while one that a model read, or has yet to, is not due
    itself, nothing of it goes.
    """
    this, later, kept = study_versions, study_versions.alias("later"), signoffs.alias("kept")
    waits = (
        select(later.c.id)
        .outerjoin(kept, kept.c.version_id == later.c.id)
        .where(
            later.c.study_id == this.c.study_id,
            later.c.number > this.c.number,
            or_(kept.c.forget_at.is_(None), kept.c.forget_at > now),
            or_(later.c.state.not_in(ANSWERED), exists().where(results.c.version_id == later.c.id)),
        )
    )
    query = (
        select(_s.version_id)
        .join(this, _s.version_id == this.c.id)
        .where(_s.forget_at <= now, _s.forgotten_at.is_(None), ~exists(waits))
        .order_by(_s.forget_at, _s.version_id)
        .limit(limit)
    )
    return tuple(conn.scalars(query))


def forgotten(conn: Connection, version_id: str, at: datetime) -> bool:
    """The pictures of a version are gone; False where that was noted before, or they are not to go."""
    open_ones = and_(_s.version_id == version_id, _s.forget_at.is_not(None), _s.forgotten_at.is_(None))
    return conn.execute(update(signoffs).where(open_ones).values(forgotten_at=at)).rowcount == 1


def forgotten_at(conn: Connection, version_id: str) -> datetime | None:
    """When the pictures of a version were deleted; None while they are kept."""
    return conn.scalar(select(_s.forgotten_at).where(_s.version_id == version_id))


def _signoff(row: Row[Any]) -> SignOff:
    return SignOff(
        version_id=row.version_id,
        reader=row.reader,
        actor=row.actor,
        at=row.at,
        source=VerdictSource(row.source),
        conclusion=row.conclusion,
    )
