"""Whether a result was of use, by one click of each reader; the newest click counts."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from radloop.ledger.admitted import votes
from radloop.ledger.once import add_once

_v = votes.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one reader said of the use of one result."""

    result_id: str
    actor: str
    useful: bool
    at: datetime


def cast(conn: Connection, vote: Vote) -> bool:
    """Keep a vote; False where the same was said before. Whoever changes their mind is taken at the new word."""
    values = {"useful": vote.useful, "at": vote.at}
    if add_once(conn, votes, result_id=vote.result_id, actor=vote.actor, **values):
        return True
    mine = (_v.result_id == vote.result_id, _v.actor == vote.actor, _v.useful != vote.useful)
    return conn.execute(update(votes).where(*mine).values(**values)).rowcount == 1


def of_results(conn: Connection, result_ids: Collection[str]) -> dict[str, list[Vote]]:
    """The votes on these results, by result id, in order of time."""
    grouped: dict[str, list[Vote]] = defaultdict(list)
    for row in conn.execute(select(votes).where(_v.result_id.in_(result_ids)).order_by(_v.at, _v.actor)):
        grouped[row.result_id].append(_vote(row))
    return grouped


def _vote(row: Row[Any]) -> Vote:
    return Vote(result_id=row.result_id, actor=row.actor, useful=row.useful, at=row.at)
