"""The acquisition table: how each instance was made, typed, for the data checks."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition
from radloop.ledger.tables import acquisitions

FIELDS = tuple(field.name for field in fields(Acquisition))


def add(conn: Connection, rows: Sequence[Acquisition]) -> int:
    """Keep rows for instances that have none yet; how many were new."""
    wanted = [row.instance_id for row in rows]
    have = set(conn.scalars(select(acquisitions.c.instance_id).where(acquisitions.c.instance_id.in_(wanted))))
    now = utc_now()
    fresh = [
        {**asdict(row), "missing_tags": list(row.missing_tags), "at": now}
        for row in rows
        if row.instance_id not in have
    ]
    if fresh:
        conn.execute(insert(acquisitions), fresh)
    return len(fresh)


def of_instances(conn: Connection, instance_ids: Sequence[str]) -> tuple[Acquisition, ...]:
    """The rows of these instances."""
    query = select(acquisitions).where(acquisitions.c.instance_id.in_(instance_ids))
    return tuple(_acquisition(row) for row in conn.execute(query))


def _acquisition(row: Row[Any]) -> Acquisition:
    values = {name: getattr(row, name) for name in FIELDS}
    return Acquisition(**{**values, "missing_tags": tuple(values["missing_tags"])})
