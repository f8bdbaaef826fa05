"""How far the audit record was forwarded, by target. The record itself is the spool: nothing else waits anywhere."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from radloop.ledger.tables import audit_forwarded

_f = audit_forwarded.c


def position(conn: Connection, target: str) -> int:
    """The number of the last record that the target has; 0 for none."""
    return conn.scalar(select(_f.number).where(_f.target == target)) or 0


def advance(conn: Connection, target: str, number: int, at: datetime) -> None:
    """The target has all records up to `number`. It never goes back."""
    known = conn.scalar(select(_f.number).where(_f.target == target))
    if known is None:
        conn.execute(insert(audit_forwarded).values(target=target, number=number, at=at))
    else:
        conn.execute(
            update(audit_forwarded).where(_f.target == target, _f.number < number).values(number=number, at=at)
        )
