"""What somebody with the database's own rights does before bending the record: takes away what keeps it."""

from sqlalchemy import Connection, text

TRIGGERS = {
    "audit_events": ("audit_events_fact", "audit_events_unseal", "audit_events_delete"),
    "audit_seals": ("audit_seals_update", "audit_seals_delete"),
}


def unprotect(conn: Connection) -> None:
    """Drop the triggers; those of PostgreSQL, whose database other tests use too, sleep in this transaction."""
    if conn.dialect.name == "postgresql":
        # Replication's rights: no trigger of ours fires until the transaction ends.
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        return
    for names in TRIGGERS.values():
        for name in names:
            conn.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
