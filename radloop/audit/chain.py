"""The chain: every sealed record gets a number and a keyed link to the record before.

link(n) = HMAC-SHA256(key, link(n-1) || canonical JSON of row n and n). An edit, a deletion or a reorder breaks a link.
"""

import hashlib
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from sqlalchemy import Connection, select

from radloop.ledger.tables import audit_seals

GENESIS: Final = bytes(32)
"""What stands before the first record."""
_BLOCK: Final = 64

# Both databases give a time as the same text, so that no time is made an object and a text again for every record.
_AT: Final = {
    "sqlite": "e.at",
    "postgresql": "to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
}


def facts_of(conn: Connection) -> str:
    """SQL: what of an event `e` is chained, as `Chain.link` takes it."""
    return f"e.id, {_AT[conn.dialect.name]}, e.actor, e.action, e.object_kind, e.object_id, e.detail, e.role, e.address"


class Chain:
    """Makes links. `key`: 32 bytes, `Keyring.audit_key`."""

    def __init__(self, key: bytes) -> None:
        # RFC 2104: both hashes have read their padded key once, and are copied for each link.
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def link(self, before: bytes, number: int, facts: Sequence[Any]) -> bytes:
        """The link of record `number`, whose facts stand in the order of `facts_of`.

        Raises:
            TypeError, ValueError: a fact is not what a record holds: somebody wrote it past us.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(before + canonical(number, *facts))
        outer.update(inner.digest())
        return outer.digest()


def canonical(
    number: int,
    id_: str,
    at: str,
    actor: str,
    action: str,
    kind: str,
    object_id: str,
    detail: str,
    role: str,
    address: str,
) -> bytes:
    """The JSON that is chained, byte for byte as `json.dumps` with ASCII only and no spaces writes it.

    Raises:
        TypeError, ValueError: as `Chain.link`.
    """
    said = f'[{number},{quoted(id_)},"{_iso(at)}",{quoted(actor)},{quoted(action)},{quoted(kind)}'
    said += f",{quoted(object_id)},{quoted(detail)}"
    # Rows of before, and those from inside the house, have neither: their links are as they were made.
    said += f",{quoted(role)},{quoted(address)}]" if role or address else "]"
    return said.encode()


def tip(conn: Connection) -> tuple[int, bytes]:
    """Number and link of the newest sealed record."""
    newest = select(audit_seals.c.number, audit_seals.c.chain).order_by(audit_seals.c.number.desc()).limit(1)
    row = conn.execute(newest).first()
    return (row.number, bytes(row.chain)) if row else (0, GENESIS)


def _iso(at: str) -> str:
    """`datetime.isoformat` of a time in UTC, of the text that the database keeps."""
    if at[10] != " ":
        raise ValueError("not a time as the ledger keeps it")
    return f"{at[:10]}T{at[11:-7] if at.endswith('.000000') else at[11:]}+00:00"
