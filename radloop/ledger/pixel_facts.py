"""How the pixels of instances are spread: one row per instance, whichever model looked first."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from operator import itemgetter

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from radloop.domain.acquired import PixelFacts
from radloop.domain.ids import utc_now
from radloop.ledger.acquired import PIXEL_COLUMNS, pixel_facts


def add(conn: Connection, facts: Iterable[tuple[str, PixelFacts]]) -> None:
    """Keep the facts of instances that have none yet, by instance id.

    Two models may read an image at the same time: what both found is the same, and the first one's is kept.
    """
    now = utc_now()
    # In the order of their ids, so that two transactions never wait for each other.
    rows = [{"instance_id": one, "at": now, **asdict(found)} for one, found in sorted(facts, key=itemgetter(0))]
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    if rows:
        conn.execute(insert(pixel_facts).on_conflict_do_nothing(), rows)


def of_instances(conn: Connection, instance_ids: Collection[str]) -> dict[str, PixelFacts]:
    """The facts of those of these instances that were looked at, by instance id."""
    query = select(pixel_facts).where(pixel_facts.c.instance_id.in_(instance_ids))
    return {
        row.instance_id: PixelFacts(**{name: getattr(row, name) for name in PIXEL_COLUMNS})
        for row in conn.execute(query)
    }
