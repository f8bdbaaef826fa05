"""Bad input that was set aside."""

from sqlalchemy import Connection, and_, func, insert, or_, select

from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Blob, Quarantined
from radloop.ledger.tables import quarantine


def add(conn: Connection, reason: str, peer: str, blob: Blob | None, detail: str = "") -> str:
    """Set bytes aside; `reason` is a code of `radloop.domain.errors`, `detail` free text without patient data."""
    row_id = new_id("qu")
    conn.execute(
        insert(quarantine).values(
            id=row_id,
            reason=reason,
            detail=detail,
            peer=peer,
            blob_key=blob.key if blob else None,
            blob_sha256=blob.sha256 if blob else None,
            blob_size=blob.size if blob else None,
            at=utc_now(),
        )
    )
    return row_id


def counts(conn: Connection) -> dict[str, int]:
    """How many were set aside, by reason."""
    query = (
        select(quarantine.c.reason, func.count().label("number"))
        .group_by(quarantine.c.reason)
        .order_by(quarantine.c.reason)
    )
    return {row.reason: row.number for row in conn.execute(query)}


def latest(conn: Connection, limit: int | None = None, before: str | None = None) -> tuple[Quarantined, ...]:
    """What was set aside, newest first; before the one of this id where it is given."""
    query = select(quarantine).order_by(quarantine.c.at.desc(), quarantine.c.id).limit(limit)
    if before is not None:
        last = select(quarantine.c.at).where(quarantine.c.id == before).scalar_subquery()
        same = and_(quarantine.c.at == last, quarantine.c.id > before)
        query = query.where(or_(quarantine.c.at < last, same))
    return tuple(
        Quarantined(
            id=row.id,
            reason=f"{row.reason}: {row.detail}" if row.detail else row.reason,
            peer=row.peer,
            blob=Blob(row.blob_key, row.blob_sha256, row.blob_size) if row.blob_key else None,
            at=row.at,
        )
        for row in conn.execute(query)
    )
