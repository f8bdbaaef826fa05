"""Reports and assessments of which no verdict could be made: each once, with the reason, never its words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from radloop.ledger.learning import unmatched_reports
from radloop.ledger.once import add_once

ID_DIGITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """Why nothing was made of (a part of) what `peer` sent; `version_id` where the study version is known."""

    id: str
    version_id: str | None
    peer: str
    reason: str
    at: datetime


def derive_id(*parts: str) -> str:
    """The id of a row about one thing that was sent: the same parts, the same row, whatever happened in between."""
    return f"um_{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:ID_DIGITS]}"


def add(conn: Connection, row: Unmatched) -> bool:
    """Keep a row; False where it is kept already."""
    values = {"version_id": row.version_id, "peer": row.peer, "reason": row.reason, "at": row.at}
    return add_once(conn, unmatched_reports, id=row.id, **values)


def of_version(conn: Connection, version_id: str) -> tuple[Unmatched, ...]:
    """What was sent about one study version and not understood, oldest first."""
    query = select(unmatched_reports).where(unmatched_reports.c.version_id == version_id)
    return _rows(conn.execute(query.order_by(unmatched_reports.c.at, unmatched_reports.c.id)).all())


def latest(conn: Connection, limit: int | None = None) -> tuple[Unmatched, ...]:
    """The newest first."""
    query = select(unmatched_reports).order_by(unmatched_reports.c.at.desc(), unmatched_reports.c.id)
    return _rows(conn.execute(query.limit(limit)).all())


def counts(conn: Connection) -> dict[str, int]:
    """How many there are, by reason."""
    query = select(unmatched_reports.c.reason, func.count().label("number")).group_by(unmatched_reports.c.reason)
    return {row.reason: row.number for row in conn.execute(query.order_by(unmatched_reports.c.reason))}


def _rows(rows: Sequence[Row[Any]]) -> tuple[Unmatched, ...]:
    return tuple(
        Unmatched(id=row.id, version_id=row.version_id, peer=row.peer, reason=row.reason, at=row.at) for row in rows
    )
