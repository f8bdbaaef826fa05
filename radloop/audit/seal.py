"""Sealing: a moment after they were written, rows are chained, and the end of the chain is kept outside the ledger."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, bindparam, insert, update

from radloop.audit import anchor as anchors
from radloop.audit.anchor import Anchor
from radloop.audit.chain import GENESIS, Chain, facts_of, tip
from radloop.ledger import Ledger
from radloop.ledger.tables import audit_events, audit_seals

BATCH: Final = 1000


class Sealer:
    """Seals what was appended. One at a time per ledger; a second one loses its transaction and tries again.

    Args:
        key: 32 bytes, `Keyring.audit_key`.
        anchor: the file that keeps the end of the chain.
    """

    def __init__(self, ledger: Ledger, key: bytes, anchor: Path) -> None:
        self._ledger = ledger
        self._key = key
        self._chain = Chain(key)
        self._anchor = anchor

    def begin(self) -> None:
        """Write the first anchor where nothing was sealed yet, so that a missing anchor is always a fault.

        Raises:
            Unavailable: the ledger's.
        """
        with self._ledger.read() as conn:
            number, _ = tip(conn)
        if number == 0 and not self._anchor.exists():
            anchors.write(self._anchor, self._key, Anchor(0, GENESIS))

    def seal(self) -> int:
        """Seal what waits, at most BATCH rows; how many there were.

        Raises:
            Unavailable, StorageFull: the ledger's.
        """
        with self._ledger.write() as conn:
            ids, end = self._chained(conn)
        if ids:
            # After the commit: a crash in between leaves the anchor behind the chain, never before it.
            anchors.write(self._anchor, self._key, end)
        return len(ids)

    def _chained(self, conn: Connection) -> tuple[list[str], Anchor]:
        number, link = tip(conn)
        seals = []
        for facts in conn.exec_driver_sql(_waiting(conn)):
            number, link = number + 1, self._chain.link(link, number + 1, facts)
            seals.append({"number": number, "event_id": facts[0], "chain": link})
        if seals:
            conn.execute(insert(audit_seals), seals)
            mark = update(audit_events).where(audit_events.c.id == bindparam("event"))
            conn.execute(mark.values(sealed=True), [{"event": seal["event_id"]} for seal in seals])
        return [str(seal["event_id"]) for seal in seals], Anchor(number, link)


def _waiting(conn: Connection) -> str:
    no = "0" if conn.dialect.name == "sqlite" else "false"
    which = f"FROM audit_events e WHERE e.sealed IS {no} ORDER BY e.at, e.id LIMIT {BATCH}"
    return f"SELECT {facts_of(conn)} {which}"
