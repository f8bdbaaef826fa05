"""Scanners in the shadow: their studies are read, and nobody is shown or sent the answers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from radloop.domain.ids import new_id
from radloop.domain.watching import Shadowed
from radloop.ledger.once import add_once
from radloop.ledger.watching import shadowed

_s = shadowed.c


def begin(conn: Connection, site: str, device: str, alarm_id: str, actor: str, why: str, at: datetime) -> bool:
    """Put a scanner into the shadow; False where it is there already."""
    values = {"site": site, "device": device, "alarm_id": alarm_id, "actor": actor, "why": why, "at": at}
    return add_once(conn, shadowed, id=new_id("sh"), **values)


def end(conn: Connection, site: str, device: str, actor: str, at: datetime) -> bool:
    """Show its answers again; False where it is not in the shadow."""
    now = (_s.site == site, _s.device == device, _s.ended_at.is_(None))
    return conn.execute(update(shadowed).where(*now).values(ended_by=actor, ended_at=at)).rowcount == 1


def known(conn: Connection) -> tuple[Shadowed, ...]:
    """The scanners that are in the shadow now, the oldest first."""
    query = select(shadowed).where(_s.ended_at.is_(None)).order_by(_s.at, _s.id)
    return tuple(_shadowed(row) for row in conn.execute(query))


def any_of(conn: Connection, scanners: Iterable[tuple[str, str]]) -> bool:
    """Whether one of these (site, device) is in the shadow now."""
    wanted = set(scanners)
    return any((one.site, one.device) in wanted for one in known(conn)) if wanted else False


def _shadowed(row: Row[Any]) -> Shadowed:
    return Shadowed(
        id=row.id,
        site=row.site,
        device=row.device,
        alarm_id=row.alarm_id,
        actor=row.actor,
        why=row.why,
        at=row.at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
    )
