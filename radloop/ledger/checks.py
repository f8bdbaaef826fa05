"""What the data checks found in a window."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from radloop.domain.ids import new_id, utc_now
from radloop.ledger.tables import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """One check over one window. `outcome` is "pass", "fail" or "insufficient data"; `detail` holds no patient data."""

    suite: str
    check: str
    outcome: str
    rows: int
    unexpected: int
    detail: str
    window_start: datetime
    window_end: datetime


def add(conn: Connection, outcomes: Sequence[CheckOutcome]) -> None:
    """Keep the outcomes of one run."""
    now = utc_now()
    if outcomes:
        conn.execute(insert(checks), [{"id": new_id("ch"), "at": now, **asdict(outcome)} for outcome in outcomes])


def latest(conn: Connection, limit: int) -> tuple[CheckOutcome, ...]:
    """The newest outcomes first."""
    query = select(*(checks.c[name] for name in CheckOutcome.__dataclass_fields__))
    found = conn.execute(query.order_by(checks.c.at.desc(), checks.c.id).limit(limit))
    return tuple(CheckOutcome(**row._mapping) for row in found)  # noqa: SLF001 - public in spite of its name


def counts(conn: Connection) -> dict[tuple[str, str], int]:
    """How many outcomes there ever were, by suite and outcome."""
    query = select(checks.c.suite, checks.c.outcome, func.count()).group_by(checks.c.suite, checks.c.outcome)
    return {(row[0], row[1]): row[2] for row in conn.execute(query)}
