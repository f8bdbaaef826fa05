"""Appending: the audit row is committed with the change it records, or neither is."""

from sqlalchemy import Connection, insert

from radloop.audit.acting import acting_now
from radloop.domain.ids import new_id
from radloop.domain.records import AuditEvent
from radloop.ledger.tables import audit_events


def append(conn: Connection, *events: AuditEvent) -> None:
    """Record events in the transaction of the change. They are sealed a moment later, off the hot path."""
    acting = acting_now()
    rows = [
        {
            "id": new_id("au"),
            "at": event.at,
            "actor": event.actor,
            "action": event.action,
            "object_kind": event.object_kind,
            "object_id": event.object_id,
            "detail": event.detail,
            "role": event.role or acting.role,
            "address": event.address or acting.address,
            "sealed": False,
        }
        for event in events
    ]
    conn.execute(insert(audit_events), rows)
