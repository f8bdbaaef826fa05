"""Schedules that were made in the console or by `radloop schedule add`; those of radloop.toml are not here."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select

from radloop.ledger.once import add_once
from radloop.ledger.operations import kept_schedules

_k = kept_schedules.c
Body = Mapping[str, str | bool]
"""What stands in a table `[schedules.NAME]`, as JSON."""


def keep(conn: Connection, name: str, body: Body, actor: str, at: datetime) -> bool:
    """Keep a schedule; False where one of this name is kept already."""
    return add_once(conn, kept_schedules, name=name, body=dict(body), actor=actor, at=at)


def forget(conn: Connection, name: str) -> bool:
    """Keep it no longer; False where none of this name is kept."""
    return conn.execute(delete(kept_schedules).where(_k.name == name)).rowcount == 1


def known(conn: Connection) -> dict[str, Body]:
    """Every kept schedule by its name."""
    return {row.name: row.body for row in conn.execute(select(kept_schedules).order_by(_k.name))}
