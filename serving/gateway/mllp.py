"""HL7 over MLLP: orders, patient updates and reports in, acknowledged once committed (HL7 2.5.1 section 2.9.2)."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import httpx
import structlog
from sqlalchemy import Connection as Transaction

from flows import ris_reports
from flows.house import House
from flows.ris_reports import Received
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
    read_reports,
    refusal_of,
)
from radloop.domain.enums import PeerRole
from radloop.domain.errors import RadloopError, Rejected, TooLarge, Transient, Unparsable
from radloop.domain.ids import utc_now
from radloop.ledger import Ledger, orders, references
from radloop.settings import Peer, Settings
from serving.gateway.admission import Doorkeeper, is_holder
from serving.gateway.aside import ACTOR, Quarantine
from serving.gateway.denials import Denials
from serving.gateway.listener import Connection
from serving.gateway.readiness import Readiness

log = structlog.get_logger(__name__)

# An order has some kilobytes, a report some more; what is larger carries a document, and none is taken here.
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
NOT_ALLOWED: Final = Answer("AR", "207", "this sender may not send this")
NOT_COMMITTED: Final = Answer("AE", "207", "not stored: send it again later")
BAD_CONTENT: Final = Answer("AE", "101", "a required field is missing or cannot be read")

# Who may send what.
SENDERS: Final[Mapping[MessageKind, frozenset[PeerRole]]] = {
    MessageKind.ORDER: frozenset((PeerRole.ORDERS,)),
    MessageKind.PATIENT_UPDATE: frozenset((PeerRole.ORDERS,)),
    MessageKind.REPORT: frozenset((PeerRole.ORDERS, PeerRole.REPORTS)),
}


class MllpService:
    """Serves one HL7 connection."""

    def __init__(
        self,
        settings: Settings,
        doorkeeper: Doorkeeper,
        ledger: Ledger,
        quarantine: Quarantine,
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._ledger = ledger
        self._denials = Denials(ledger)
        self._quarantine = quarantine
        self._readiness = readiness

    @cached_property
    def _house(self) -> House:
        """What the flows work with; made when the first report comes."""
        return House(
            settings=self._settings,
            ledger=self._ledger,
            store=self._quarantine.store,
            owner=ACTOR,
            http=httpx.AsyncClient(trust_env=False),
        )

    def __call__(self, connection: Connection) -> None:
        """Answer messages until the sender closes, falls silent, or breaks the framing."""
        known = self._doorkeeper.speaking(connection.address)
        peers = tuple(peer for peer in known if is_holder(peer, connection.holder))
        if not known:
            log.warning("HL7 connection refused", reason="unknown address")
        elif not peers:
            self._denials.foreign_certificate(known[0], "hl7.deny")
        elif not connection.admit():
            log.warning("HL7 connection refused", reason="local-limit")
        else:
            self._converse(connection, peers)

    def _converse(self, connection: Connection, peers: tuple[Peer, ...]) -> None:
        try:
            for message in _messages(connection, self._settings.gateway.idle_seconds):
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
                return self._deny(peers[0], "MSH-3/4 is not what hl7_from names")
            if refusal := refusal_of(message):
                return Answer(refusal.code, refusal.reason_code, refusal.text)
            if not SENDERS[kind_of(message)] & {*peer.roles}:
                return self._deny(peer, f"{kind_of(message)} without the role for it")
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
        if kind is MessageKind.REPORT:
            self._receive(message, data, peer)
            return
        apply = _EFFECTS[kind](message, peer)
        digest = hashlib.sha256(data).hexdigest()
        with self._ledger.write() as conn:
            if orders.first_time(conn, peer, message.control_id, digest, kind.name):
                apply(conn)

    def _receive(self, message: Message, data: bytes, peer: str) -> None:
        """Several transactions, each harmless when done again; the message's number is the last one.

        The same MSH-10 with the same report is the same message, whatever else its header says.
        """
        body = _body(data)
        digest = hashlib.sha256(body).hexdigest()
        reports = read_reports(message, ZoneInfo(self._settings.site.timezone))
        with self._ledger.read() as conn:
            if references.message_taken(conn, peer, message.control_id, digest):
                return
        for number, report in enumerate(reports):
            key = ris_reports.key_of(peer, message.control_id, digest, number)
            ris_reports.receive(self._house, Received(report=report, key=key, peer=peer, at=utc_now()))
        with self._ledger.write() as conn:
            orders.first_time(conn, peer, message.control_id, digest, MessageKind.REPORT.name)

    def _deny(self, peer: Peer, why: str) -> Answer:
        """From a known address, but not from whom that peer's settings name, or not what they let it send."""
        self._denials.record(peer, "hl7.deny", why)
        log.warning("message refused", reason="sender", peer=peer.name)
        return NOT_ALLOWED

    def _set_aside(self, error: RadloopError, peer: str, data: bytes | None) -> None:
        try:
            self._quarantine.set_aside(error, peer, None if data is None else [data])
        except Transient as full:
            self._readiness.failed(full)


def _body(data: bytes) -> bytes:
    """A message without its header segment."""
    parts = re.split(rb"[\r\n]", data.strip(b"\r\n"), maxsplit=1)
    return parts[1] if len(parts) > 1 else b""


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
