"""The one way into quarantine: bytes kept, a row, and an audit event in the same transaction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from radloop import audit
from radloop.domain.errors import RadloopError, StorageFull
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, Blob
from radloop.ledger import Ledger, quarantine
from radloop.store import LocalStore

log = structlog.get_logger(__name__)

ACTOR = "gateway"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Sets bad input aside."""

    store: LocalStore
    ledger: Ledger

    def set_aside(self, reason: RadloopError, peer: str, parts: Sequence[bytes | memoryview] | None) -> None:
        """Keep bad input: its bytes (joined `parts`; None where none could be kept), why, and who sent it.

        Raises:
            StorageFull, Unavailable: it could not be kept; nothing is left behind.
        """
        self.keep(reason, peer, None if parts is None else self.store.put_parts(parts))

    def keep(self, reason: RadloopError, peer: str, blob: Blob | None) -> None:
        """As `set_aside`, of bytes that are in the store already; they are removed where this fails.

        Raises:
            StorageFull, Unavailable: it could not be kept.
        """
        try:
            row_id = self._record(reason, peer, blob)
        except RadloopError:
            self.discard(blob)
            raise
        log.warning("set aside", quarantine_id=row_id, reason=reason.code, peer=peer)

    def discard(self, blob: Blob | None) -> None:
        """Remove bytes that nothing will name. What cannot be removed now, the next start's sweep finds."""
        if blob is not None:
            with suppress(StorageFull):
                self.store.delete(blob.key)

    def _record(self, reason: RadloopError, peer: str, blob: Blob | None) -> str:
        with self.ledger.write() as conn:
            row_id = quarantine.add(conn, reason.code, peer, blob, str(reason))
            event = AuditEvent(
                at=utc_now(),
                actor=ACTOR,
                action="quarantine.add",
                object_kind="quarantine",
                object_id=row_id,
                detail=f"{reason.code} from {peer}",
            )
            audit.append(conn, event)
        return row_id
