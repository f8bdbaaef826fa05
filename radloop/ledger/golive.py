"""Steps of going live: which modalities' studies are answered to people. The newest step holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from radloop.domain.ids import new_id
from radloop.ledger.operations import golive_steps

_g = golive_steps.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is live from `at` on: `modalities` None means all, empty none."""

    modalities: tuple[str, ...] | None
    actor: str
    why: str
    at: datetime

    def covers(self, modalities: Iterable[str]) -> bool:
        """Whether images of these modalities, all of them, are live."""
        return self.modalities is None or {one.strip().upper() for one in modalities} <= set(self.modalities)


def take(conn: Connection, step: Step) -> str:
    """From here on this step holds; its id."""
    step_id = new_id("gl")
    values = {"modalities": None if step.modalities is None else list(step.modalities)}
    conn.execute(insert(golive_steps).values(id=step_id, actor=step.actor, why=step.why, at=step.at, **values))
    return step_id


def in_force(conn: Connection) -> Step | None:
    """The step that holds; None where none was ever taken: everything is live."""
    return next(iter(history(conn, 1)), None)


def history(conn: Connection, limit: int | None = None) -> tuple[Step, ...]:
    """Every step, the newest first."""
    query = select(golive_steps).order_by(_g.at.desc(), _g.id.desc()).limit(limit)
    return tuple(
        Step(
            modalities=None if row.modalities is None else tuple(row.modalities),
            actor=row.actor,
            why=row.why,
            at=row.at,
        )
        for row in conn.execute(query)
    )
