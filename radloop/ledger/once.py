"""One insert that two may race for: the first one counts, and the other is told."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def add_once(conn: Connection, table: Table, **values: Any) -> bool:
    """Insert a row; False where one of the table's unique keys is taken (ON CONFLICT DO NOTHING).

    On PostgreSQL it waits for another transaction that inserts the same, so that what it finds taken is committed.
    """
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return conn.execute(statement).first() is not None
