"""Objects made from results, encoded once."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from radloop.domain.enums import ObjectKind
from radloop.domain.ids import utc_now
from radloop.domain.records import Blob, StoredObject
from radloop.ledger.tables import objects


def add(conn: Connection, made: StoredObject) -> bool:
    """Keep an object; False where this result has one of that kind and ordinal already."""
    same = (objects.c.result_id == made.result_id, objects.c.kind == made.kind, objects.c.ordinal == made.ordinal)
    if conn.scalar(select(objects.c.id).where(*same)) is not None:
        return False
    conn.execute(
        insert(objects).values(
            id=made.id,
            result_id=made.result_id,
            kind=made.kind,
            ordinal=made.ordinal,
            identifier=made.identifier,
            media_type=made.media_type,
            blob_key=made.blob.key,
            blob_sha256=made.blob.sha256,
            blob_size=made.blob.size,
            at=utc_now(),
        )
    )
    return True


def of_result(conn: Connection, result_id: str) -> tuple[StoredObject, ...]:
    """Every object of a result."""
    query = select(objects).where(objects.c.result_id == result_id).order_by(objects.c.kind, objects.c.ordinal)
    return tuple(from_row(row) for row in conn.execute(query))


def from_row(row: Row[Any]) -> StoredObject:
    """A record from a row that has the columns of `objects` (its id as `object_id` where joined)."""
    return StoredObject(
        id=getattr(row, "object_id", None) or row.id,
        result_id=row.result_id,
        kind=ObjectKind(row.kind),
        ordinal=row.ordinal,
        identifier=row.identifier,
        media_type=row.media_type,
        blob=Blob(row.blob_key, row.blob_sha256, row.blob_size),
    )
