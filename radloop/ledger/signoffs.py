"""Which study versions a reader has closed, and when retention took their pictures."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from radloop.domain.enums import VerdictSource
from radloop.domain.records import SignOff
from radloop.ledger.learning import signoffs
from radloop.ledger.once import add_once

_s = signoffs.c


def add(conn: Connection, signoff: SignOff) -> bool:
    """Keep a sign-off; False where the version has one already. Retention counts from its time."""
    return add_once(conn, signoffs, **asdict(signoff))


def of_version(conn: Connection, version_id: str) -> SignOff | None:
    """The sign-off of a version."""
    row = conn.execute(select(signoffs).where(_s.version_id == version_id)).first()
    return _signoff(row) if row else None


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, SignOff]:
    """The sign-offs of those versions that have one, by version id."""
    rows = conn.execute(select(signoffs).where(_s.version_id.in_(version_ids)))
    return {row.version_id: _signoff(row) for row in rows}


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
