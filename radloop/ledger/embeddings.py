"""Where a model puts the images that it read: 64 numbers per result and instance."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, insert, select

from radloop.domain.records import Result
from radloop.ledger.acquired import DIMENSIONS, embeddings

_FORMAT: Final = f"<{DIMENSIONS}f"


def add(conn: Connection, result: Result, found: Iterable[tuple[str, Sequence[float]]]) -> None:
    """Keep the embeddings of a result that is new in this transaction, by instance id.

    Raises:
        ValueError: one of them has another number of numbers than `DIMENSIONS`.
    """
    rows = [
        {
            "result_id": result.id,
            "instance_id": instance_id,
            "at": result.created_at,
            "model": result.model.name,
            "digest": result.model.digest,
            "vector": packed(vector),
        }
        for instance_id, vector in found
    ]
    if rows:
        conn.execute(insert(embeddings), rows)


def of_result(conn: Connection, result_id: str) -> dict[str, tuple[float, ...]]:
    """The embeddings of a result, by instance id."""
    query = select(embeddings.c.instance_id, embeddings.c.vector).where(embeddings.c.result_id == result_id)
    return {row.instance_id: unpacked(row.vector) for row in conn.execute(query)}


def packed(vector: Sequence[float]) -> bytes:
    """`DIMENSIONS` numbers as little-endian float32.

    Raises:
        ValueError: there are more or fewer.
    """
    if len(vector) != DIMENSIONS:
        raise ValueError(f"an embedding has {DIMENSIONS} numbers")
    return struct.pack(_FORMAT, *vector)


def unpacked(data: bytes) -> tuple[float, ...]:
    """The numbers in `packed` bytes."""
    return struct.unpack(_FORMAT, data)
