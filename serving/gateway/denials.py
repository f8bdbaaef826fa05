"""Denials on record: a known address that sent what it may not, or showed a certificate that is another's."""

from dataclasses import dataclass
from typing import Literal

import structlog

from radloop import audit
from radloop.domain.errors import Transient
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.settings import Peer
from serving.gateway.aside import ACTOR

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Denials:
    """Writes them down. Strangers are not written down: anybody could fill the record."""

    ledger: Ledger

    def record(self, peer: Peer, action: Literal["dicom.deny", "hl7.deny"], why: str) -> None:
        """One denial of whoever claimed to be `peer`; `why` quotes nothing that was sent.

        Raises:
            Unavailable: the ledger is away.
        """
        event = AuditEvent(
            at=utc_now(), actor=ACTOR, action=action, object_kind="peer", object_id=peer.name, detail=why
        )
        with self.ledger.write() as conn:
            audit.append(conn, event)

    def foreign_certificate(self, peer: Peer, action: Literal["dicom.deny", "hl7.deny"]) -> None:
        """Whoever claimed to be `peer` showed another's certificate. They are refused, on record or not."""
        log.warning("refused", reason="certificate", peer=peer.name)
        try:
            self.record(peer, action, "the certificate is another's")
        except Transient as error:
            log.error("denial not recorded", reason=error.code)  # noqa: TRY400 - the reason is the error
