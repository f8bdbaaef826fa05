"""Who opened which study version first, when, whether without the AI, and when they were shown it."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from radloop.ledger.admitted import openings
from radloop.ledger.once import add_once

_o = openings.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first time that somebody opened a study version.

    `blinded`: the AI was not shown at once. `ai_shown_at`: when it was; None where it was not yet.
    """

    version_id: str
    actor: str
    at: datetime
    blinded: bool
    ai_shown_at: datetime | None


def record(conn: Connection, opening: Opening) -> bool:
    """Keep an opening; False where this actor has opened this version before: the first time counts."""
    return add_once(
        conn,
        openings,
        version_id=opening.version_id,
        actor=opening.actor,
        at=opening.at,
        blinded=opening.blinded,
        ai_shown_at=opening.ai_shown_at,
    )


def show_ai(conn: Connection, version_id: str, actor: str, at: datetime) -> bool:
    """The AI's answer is shown from now on; False where it was shown before, or the version was never opened."""
    mine = (_o.version_id == version_id, _o.actor == actor, _o.ai_shown_at.is_(None))
    return conn.execute(update(openings).where(*mine).values(ai_shown_at=at)).rowcount == 1


def find(conn: Connection, version_id: str, actor: str) -> Opening | None:
    """This actor's opening of this version."""
    row = conn.execute(select(openings).where(_o.version_id == version_id, _o.actor == actor)).first()
    return _opening(row) if row else None


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, list[Opening]]:
    """Who opened these versions, the first one first, by version id. Ask for some hundreds at a time."""
    grouped: dict[str, list[Opening]] = defaultdict(list)
    for row in conn.execute(select(openings).where(_o.version_id.in_(version_ids)).order_by(_o.at, _o.actor)):
        grouped[row.version_id].append(_opening(row))
    return grouped


def _opening(row: Row[Any]) -> Opening:
    return Opening(
        version_id=row.version_id, actor=row.actor, at=row.at, blinded=row.blinded, ai_shown_at=row.ai_shown_at
    )
