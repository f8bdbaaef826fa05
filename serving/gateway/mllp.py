"""HL7 over MLLP: orders and patient updates in, acknowledged once they are committed (HL7 2.5.1 section 2.9.2)."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection as Transaction

from integrations.hl7 import (
    AckCode,
    Decoder,
    Message,
    MessageKind,
    acknowledge,
    acknowledge_unreadable,
    frame,
    kind_of,
    parse,
    read_order,
    read_patient_update,
    refusal_of,
)
from radloop import audit
from radloop.domain.errors import RadloopError, Rejected, TooLarge, Transient, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger, orders
from radloop.settings import GatewaySettings, Peer
from serving.gateway.admission import Doorkeeper
from serving.gateway.aside import ACTOR, Quarantine
from serving.gateway.listener import Connection
from serving.gateway.readiness import Readiness

log = structlog.get_logger(__name__)

# An order has some kilobytes; what carries more carries a document, and none is taken here.
LARGEST_MESSAGE: Final = 1 << 20
READ_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """MSA-1, and the code of table 0357 with its words."""

    code: AckCode
    reason_code: str = "0"
    text: str = ""


# HL7 table 0357.
TAKEN: Final = Answer("AA")
NOT_ALLOWED: Final = Answer("AR", "207", "this sender may not send orders")
NOT_COMMITTED: Final = Answer("AE", "207", "not stored: send it again later")
BAD_CONTENT: Final = Answer("AE", "101", "a required field is missing or cannot be read")


class MllpService:
    """Serves one HL7 connection."""

    def __init__(
        self,
        settings: GatewaySettings,
        doorkeeper: Doorkeeper,
        ledger: Ledger,
        quarantine: Quarantine,
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._ledger = ledger
        self._quarantine = quarantine
        self._readiness = readiness

    def __call__(self, connection: Connection) -> None:
        """Answer messages until the sender closes, falls silent, or breaks the framing."""
        peers = self._doorkeeper.ordering(connection.address)
        if not peers:
            log.warning("HL7 connection refused", reason="unknown address")
        elif not connection.admit():
            log.warning("HL7 connection refused", reason="local-limit")
        else:
            self._converse(connection, peers)

    def _converse(self, connection: Connection, peers: tuple[Peer, ...]) -> None:
        try:
            for message in _messages(connection, self._settings.idle_seconds):
                connection.wire.send(frame(self._answer(message, peers)))
        except (Unparsable, TooLarge) as error:
            # Past a framing error nobody knows where the next message begins.
            self._set_aside(error, peers[0].name, None)

    def _answer(self, data: bytes, peers: tuple[Peer, ...]) -> bytes:
        try:
            message = parse(data)
        except Unparsable as error:
            self._set_aside(error, peers[0].name, data)
            return acknowledge_unreadable()
        said = self._take(message, data, peers)
        return acknowledge(message, said.code, said.reason_code, said.text)

    def _take(self, message: Message, data: bytes, peers: tuple[Peer, ...]) -> Answer:
        peer = next((peer for peer in peers if peer.hl7_from in (None, message.sender)), None)
        try:
            if peer is None:
                return self._deny(peers[0])
            if refusal := refusal_of(message):
                return Answer(refusal.code, refusal.reason_code, refusal.text)
            self._commit(message, data, peer.name)
        except Transient as error:
            log.error("message not stored", reason=error.code)  # noqa: TRY400 - the reason is the error
            self._readiness.failed(error)
            return NOT_COMMITTED
        except Rejected as error:
            self._set_aside(error, peers[0].name, data)
            return BAD_CONTENT
        self._readiness.worked()
        return TAKEN

    def _commit(self, message: Message, data: bytes, peer: str) -> None:
        """One transaction: the message's number and its effect, or neither."""
        kind = kind_of(message)
        apply = _EFFECTS[kind](message, peer)
        digest = hashlib.sha256(data).hexdigest()
        with self._ledger.write() as conn:
            if orders.first_time(conn, peer, message.control_id, digest, kind.name):
                apply(conn)

    def _deny(self, peer: Peer) -> Answer:
        """From a known address, but not from whom that peer's settings name."""
        event = AuditEvent(
            at=utc_now(),
            actor=ACTOR,
            action="hl7.deny",
            object_kind="peer",
            object_id=peer.name,
            detail="MSH-3/4 is not what hl7_from names",
        )
        with self._ledger.write() as conn:
            audit.append(conn, event)
        log.warning("message refused", reason="sender", peer=peer.name)
        return NOT_ALLOWED

    def _set_aside(self, error: RadloopError, peer: str, data: bytes | None) -> None:
        try:
            self._quarantine.set_aside(error, peer, None if data is None else [data])
        except Transient as full:
            self._readiness.failed(full)


def _messages(connection: Connection, idle_seconds: float) -> Iterator[bytes]:
    """Messages without their frames; each must end in time once it began."""
    decoder = Decoder(LARGEST_MESSAGE)
    room = memoryview(bytearray(READ_BYTES))
    until = 0.0
    while True:
        if decoder.partial:
            got = connection.wire.read_some(room, until)
        else:
            got, until = connection.wire.first(room, idle_seconds)
        yield from decoder.feed(bytes(room[:got]))


_Effect = Callable[[Transaction], object]


def _order_effect(message: Message, peer: str) -> _Effect:
    found = read_order(message)
    return lambda conn: [orders.record(conn, order, peer) for order in found]


def _patient_effect(message: Message, _peer: str) -> _Effect:
    update = read_patient_update(message)
    return lambda conn: orders.update_patient(conn, update.patient_id, update.issuer)


_EFFECTS: Final[Mapping[MessageKind, Callable[[Message, str], _Effect]]] = {
    MessageKind.ORDER: _order_effect,
    MessageKind.PATIENT_UPDATE: _patient_effect,
}
