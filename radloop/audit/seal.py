"""Sealing: every row gets a number and a keyed link to the row before, and the end of the chain is kept outside.

link(n) = HMAC-SHA256(key, link(n-1) || canonical JSON of row n and n). An edit, a deletion or a reorder breaks a link;
cutting the tail shows against the anchor, a small file beside the ledger that holds the last number and its link.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from radloop.ledger import Ledger
from radloop.ledger.tables import audit_events, audit_seals

GENESIS = bytes(32)
BATCH = 1000
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many sealed rows hold, how many wait for the sealer, and the first fault, if any."""

    sealed: int
    waiting: int
    fault: str | None

    @property
    def sound(self) -> bool:
        """Whether nothing was bent."""
        return self.fault is None


class Sealer:
    """Seals what was appended. One at a time per ledger; a second one loses its transaction and tries again.

    Args:
        key: 32 bytes, `Keyring.audit_key`.
        anchor: the file that keeps the end of the chain.
    """

    def __init__(self, ledger: Ledger, key: bytes, anchor: Path) -> None:
        self._ledger = ledger
        self._key = key
        self._anchor = anchor

    def begin(self) -> None:
        """Write the first anchor where nothing was sealed yet, so that a missing anchor is always a fault.

        Raises:
            Unavailable: the ledger's.
        """
        with self._ledger.read() as conn:
            number, _ = _tip(conn)
        if number == 0 and not self._anchor.exists():
            self._write_anchor(0, GENESIS)

    def seal(self) -> int:
        """Seal what waits, at most BATCH rows; how many there were.

        Raises:
            Unavailable, StorageFull: the ledger's.
        """
        with self._ledger.write() as conn:
            rows = conn.execute(_events().where(audit_events.c.sealed.is_(False)).limit(BATCH)).all()
            number, link = _tip(conn)
            seals = []
            for row in rows:
                number, link = number + 1, _next_link(self._key, link, number + 1, row)
                seals.append({"number": number, "event_id": row.id, "chain": link})
            if seals:
                conn.execute(insert(audit_seals), seals)
                mark = update(audit_events).where(audit_events.c.id == bindparam("event"))
                conn.execute(mark.values(sealed=True), [{"event": row.id} for row in rows])
        if seals:
            self._write_anchor(number, link)
        return len(seals)

    def _write_anchor(self, number: int, link: bytes) -> None:
        # After the commit: a crash in between leaves the anchor behind the chain, never before it.
        temporary = self._anchor.with_suffix(".new")
        mac = _anchor_mac(self._key, number, link)
        with temporary.open("w", encoding="ascii") as file:
            json.dump({"number": number, "link": link.hex(), "mac": mac}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(self._anchor)
        folder = os.open(self._anchor.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def verify(ledger: Ledger, key: bytes, anchor: Path) -> Verdict:
    """Walk the whole chain and compare its end with the anchor.

    Raises:
        Unavailable: the ledger's.
    """
    with ledger.read() as conn:
        waiting = (
            conn.scalar(select(func.count()).select_from(audit_events).where(audit_events.c.sealed.is_(False))) or 0
        )
        marked = conn.scalar(select(func.count()).select_from(audit_events).where(audit_events.c.sealed.is_(True))) or 0
        promised = _read_anchor(key, anchor)
        if isinstance(promised, str):
            return Verdict(0, waiting, promised)
        count, fault = _walk(conn, key, promised)
    if fault is None and count != marked:
        fault = "rows claim to be sealed that the chain does not hold"
    return Verdict(count, waiting, fault)


def _walk(conn: Connection, key: bytes, promised: tuple[int, bytes]) -> tuple[int, str | None]:
    link, count = GENESIS, 0
    for row in _sealed(conn):
        count += 1
        if row.number != count:
            return count - 1, f"record {count} is missing"
        link = _next_link(key, link, count, row)
        if not hmac.compare_digest(link, row.chain):
            return count - 1, f"record {count} was changed, moved or follows a deleted one"
        if count == promised[0] and not hmac.compare_digest(link, promised[1]):
            return count, f"record {count} is not the one that the anchor holds"
    if count < promised[0]:
        return count, f"the chain ends at {count}, the anchor says {promised[0]}: its end was cut off"
    return count, None


def _sealed(conn: Connection) -> Iterator[Row[Any]]:
    number = 0
    columns = (audit_seals.c.number, audit_seals.c.chain, *_columns())
    # An outer join: a deleted event must show as a fault, not as a shorter list.
    base = select(*columns).select_from(audit_seals.outerjoin(audit_events)).order_by(audit_seals.c.number).limit(PAGE)
    while rows := conn.execute(base.where(audit_seals.c.number > number)).all():
        yield from rows
        number = rows[-1].number


def _columns() -> tuple[Any, ...]:
    c = audit_events.c
    return (c.id, c.at, c.actor, c.action, c.object_kind, c.object_id, c.detail, c.role, c.address)


def _events() -> Any:
    return select(*_columns()).order_by(audit_events.c.at, audit_events.c.id)


def _tip(conn: Connection) -> tuple[int, bytes]:
    newest = select(audit_seals.c.number, audit_seals.c.chain).order_by(audit_seals.c.number.desc()).limit(1)
    row = conn.execute(newest).first()
    return (row.number, bytes(row.chain)) if row else (0, GENESIS)


def _next_link(key: bytes, link: bytes, number: int, row: Row[Any]) -> bytes:
    at = row.at.isoformat() if row.at else None
    facts = [number, row.id, at, row.actor, row.action, row.object_kind, row.object_id, row.detail]
    # Rows of before, and those from inside the house, have neither: their links are as they were made.
    if row.role or row.address:
        facts += [row.role, row.address]
    message = link + json.dumps(facts, ensure_ascii=True, separators=(",", ":")).encode()
    return hmac.digest(key, message, hashlib.sha256)


def _anchor_mac(key: bytes, number: int, link: bytes) -> str:
    return hmac.digest(key, b"anchor" + number.to_bytes(8, "big") + link, hashlib.sha256).hex()


def _read_anchor(key: bytes, anchor: Path) -> tuple[int, bytes] | str:
    """The promised end of the chain, or a fault in words."""
    try:
        said = json.loads(anchor.read_text(encoding="ascii"))
        number, link, mac = int(said["number"]), bytes.fromhex(said["link"]), str(said["mac"])
    except FileNotFoundError:
        return "the anchor is missing"
    except (ValueError, KeyError, TypeError):
        return "the anchor cannot be read"
    if not hmac.compare_digest(mac, _anchor_mac(key, number, link)):
        return "the anchor was changed"
    return number, link
