"""One DICOM association, driven by one thread that blocks in recv.

pynetdicom's parts are kept where they are good: the PDUs of association control, the state machine of PS3.8 Table
9-10, ACSE. What is replaced is how they are driven: pynetdicom runs two threads per association that look around every
millisecond, allocates whatever length a PDU claims, and lets a PDU stall for ever. Its DIMSE is replaced by `dimse`.

Private names of pynetdicom 3.0.4 used here: `_process_recv_primitive`, `_decode_pdu`, `_recv_pdu`, `_kill_thread`,
`_accepted_cx`, `_shutdown_socket`. The lock pins the version, and tests/serving/gateway/test_association.py goes
through every one of them.
"""

from collections import deque
from dataclasses import dataclass
from queue import Empty
from typing import Any, Final, Protocol

import structlog
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from radloop.domain.errors import TooLarge, Unparsable
from radloop.settings import GatewaySettings, Peer
from serving.gateway.admission import Doorkeeper, is_holder
from serving.gateway.contexts import is_commitment, supported
from serving.gateway.denials import Denials
from serving.gateway.dimse import P_DATA_TF, PDU_HEADER, Assembler, Message, Operation, response
from serving.gateway.listener import Connection
from serving.gateway.statuses import CALLED_UNKNOWN, CALLING_UNKNOWN, CERTIFICATE, LIMIT, SUCCESS, Rejection
from serving.gateway.wire import Closed

log = structlog.get_logger(__name__)

PDU_TYPES: Final = range(0x01, 0x08)
# An A-ASSOCIATE-RQ with 128 contexts of 40 transfer syntaxes each is some 200 KiB; RELEASE and ABORT have 4 bytes.
ASSOCIATE_LIMIT: Final = 256 << 10
# What we advertise: dcmtk sends 128 KiB at most, and larger ones gain nothing (make bench).
ADVERTISED_PDU: Final = 128 << 10
# PS3.8 Table 9-10: states of the acceptor.
AWAITING_REQUEST: Final = "Sta2"
DATA_TRANSFER: Final = "Sta6"
AWAITING_CLOSE: Final = "Sta13"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """One C-STORE request.

    `data` is the encoded data set as it came, `content_sha256` (hex) its digest; None where it was beyond the limit.
    """

    sop_class_uid: str
    sop_uid: str
    abstract_syntax_uid: str
    transfer_syntax_uid: str
    data: memoryview | None
    content_sha256: str | None
    peer: str


class StoreService(Protocol):
    """What answers C-STORE."""

    def store(self, request: StoreRequest) -> int:
        """The status for one request; durable where it is 0x0000."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """One N-EVENT-REPORT request. `data` is its encoded event information, None where it was beyond the limit.

    `peers` are the names under which the sender is asked for storage commitment.
    """

    sop_class_uid: str
    sop_uid: str
    event_type: int | None
    transfer_syntax_uid: str
    data: memoryview | None
    peers: frozenset[str]


class EventService(Protocol):
    """What answers N-EVENT-REPORT."""

    def report(self, report: EventReport) -> int:
        """The status for one report; on record where it is 0x0000."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What is behind the DICOM door."""

    storage: StoreService
    commitment: EventService
    denials: Denials


class _Transport(AssociationSocket):  # type: ignore[misc] # pynetdicom ships no types
    """Hands the state machine's bytes to the wire."""

    def __init__(self, assoc: Association, connection: Connection) -> None:
        super().__init__(assoc, client_socket=connection)
        self._connection = connection

    def send(self, bytestream: bytes) -> None:
        """Send a PDU; a peer that is gone is PS3.8's event 17."""
        try:
            self._connection.wire.send(bytestream)
        except (Closed, TimeoutError):
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """Nothing: `Acceptor.serve` closes, once the peer had its last PDU."""


class _UpperLayer(DULServiceProvider):  # type: ignore[misc]
    """PS3.8's state machine without a thread: who receives or sends also acts."""

    def __init__(self, assoc: Association, connection: Connection, settings: GatewaySettings) -> None:
        super().__init__(assoc)
        self._connection = connection
        self._settings = settings
        self._assembler = Assembler(settings.max_instance_bytes)
        self.messages: deque[Message] = deque()
        self._header = bytearray(PDU_HEADER.size)
        self._room = bytearray(16 << 10)

    def send_pdu(self, primitive: Any) -> None:
        """Send at once."""
        super().send_pdu(primitive)
        self._process_recv_primitive()
        self.act()

    def act(self) -> None:
        """Let the state machine take every event that waits."""
        while not self._kill_thread and not self.event_queue.empty():
            self.state_machine.do_action(self.event_queue.get_nowait())

    def receive(self) -> None:
        """Wait for one PDU and act on it.

        Raises:
            TimeoutError: nothing came for as long as a peer may be silent, or a PDU did not end in time.
        """
        try:
            self._take(*self._read())
        except Closed:
            self._end()
        except (TooLarge, Unparsable):
            self.event_queue.put("Evt19")
        self.act()

    def _end(self) -> None:
        if self._connection.stopping:
            self.assoc.abort(block=False)
        else:
            self.event_queue.put("Evt17")

    def _read(self) -> tuple[int, memoryview]:
        """The type of the next PDU, and its whole bytes in a buffer that the next call reuses."""
        associated = self.state_machine.current_state != AWAITING_REQUEST
        silent = self._settings.idle_seconds if associated else self._settings.pdu_deadline_seconds
        until = self._connection.wire.begin(memoryview(self._header), silent)
        kind, length = PDU_HEADER.unpack(self._header)
        if kind not in PDU_TYPES:
            raise Unparsable("not a PDU")
        # Before anything is allocated by what a stranger claims.
        if length > (self._settings.max_pdu if kind == P_DATA_TF else ASSOCIATE_LIMIT):
            raise TooLarge("a PDU beyond the limit")
        if len(self._room) < PDU_HEADER.size + length:
            self._room = bytearray(PDU_HEADER.size + length)
        pdu = memoryview(self._room)[: PDU_HEADER.size + length]
        pdu[: PDU_HEADER.size] = self._header
        self._connection.wire.fill(pdu[PDU_HEADER.size :], until)
        self._connection.speaks = True
        return kind, pdu

    def _take(self, kind: int, pdu: memoryview) -> None:
        if kind == P_DATA_TF and self.state_machine.current_state == DATA_TRANSFER:
            # PS3.8 Table 9-8, DT-2, on views of the buffer: the data set is copied once, into its message.
            self.messages.extend(self._assembler.take(pdu))
            return
        try:
            decoded, event = self._decode_pdu(bytearray(pdu))
        except Exception as error:  # pynetdicom's codecs document no errors for a stranger's bytes
            raise Unparsable("a PDU that cannot be decoded") from error
        self._recv_pdu.put(decoded)
        self.event_queue.put(event)


class Acceptor(Association):  # type: ignore[misc]
    """An association that a peer asks for. `serve` runs it to its end."""

    is_established: bool

    def __init__(
        self,
        entity: ApplicationEntity,
        connection: Connection,
        settings: GatewaySettings,
        doorkeeper: Doorkeeper,
        services: Services,
    ) -> None:
        super().__init__(entity, MODE_ACCEPTOR)
        self._connection = connection
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._services = services
        self._peer: Peer | None = None
        self._asked: frozenset[str] = frozenset()
        self.dul = _UpperLayer(self, connection, settings)
        self.set_socket(_Transport(self, connection))
        self.acceptor.maximum_length = min(ADVERTISED_PDU, settings.max_pdu)
        self.acceptor.ae_title = settings.ae_title
        self.acceptor.implementation_class_uid = entity.implementation_class_uid
        self.acceptor.implementation_version_name = entity.implementation_version_name
        self.acceptor.address_info = self.requestor.address_info = AddressInformation(connection.address, 0)

    def serve(self) -> None:
        """Negotiate, answer, and return when the association is over."""
        try:
            self.dul.act()
            self.dul.receive()
            self._negotiate()
            while self.is_established:
                self._turn()
        except InvalidEventError:
            log.info("association ended out of order")
        self._connection.wire.linger()

    def _negotiate(self) -> None:
        try:
            request = self.dul.to_user_queue.get_nowait()
        except Empty:
            return
        if not isinstance(request, A_ASSOCIATE):
            return
        self.requestor.primitive = request
        rejection = self._refusal(request)
        if rejection is not None:
            log.warning("association rejected", reason=rejection.code)
            self.acse.send_reject(rejection.result, rejection.source, rejection.reason)
            return
        proposed = request.presentation_context_definition_list
        self.acceptor.supported_contexts = supported(proposed, self._known_peer, self._asked)
        self.acse.negotiate_association()

    def _refusal(self, request: A_ASSOCIATE) -> Rejection | None:
        if (request.called_ae_title or "").strip() != self._settings.ae_title.strip():
            return CALLED_UNKNOWN
        calling = self._doorkeeper.calling(request.calling_ae_title or "", self._connection.address)
        peers = [peer for peer in calling if is_holder(peer, self._connection.holder)]
        if not calling:
            return CALLING_UNKNOWN
        if not peers:
            self._services.denials.foreign_certificate(calling[0], "dicom.deny")
            return CERTIFICATE
        self._peer = peers[0]
        self._asked = frozenset(peer.name for peer in peers if peer.commitment)
        return None if self._connection.admit() else LIMIT

    @property
    def _known_peer(self) -> Peer:
        assert self._peer is not None  # noqa: S101 - no association is accepted without one
        return self._peer

    def _turn(self) -> None:
        """One PDU, and what it asks for."""
        try:
            self.dul.receive()
        except TimeoutError:
            log.warning("association timed out", peer=self._known_peer.name)
            self.abort(block=False)
            return
        while self.is_established and self.dul.messages:
            self._answer(self.dul.messages.popleft())
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_established = False
        if self.acse.is_aborted() or self.dul.state_machine.current_state != DATA_TRANSFER:
            self.is_established = False
        if self.is_established and self._connection.stopping:
            self.abort(block=False)

    def _answer(self, message: Message) -> None:
        context, operation = self._accepted_cx.get(message.context_id), message.command.operation
        if context is None:
            self.abort(block=False)
        elif operation == Operation.C_ECHO:
            self._respond(message, SUCCESS.code)
        elif is_commitment(str(context.abstract_syntax)) and operation == Operation.N_EVENT_REPORT:
            self._respond(message, self._services.commitment.report(_report(message, context, self._asked)))
        elif not is_commitment(str(context.abstract_syntax)) and _is_store(message):
            self._respond(message, self._services.storage.store(_request(message, context, self._known_peer)))
        else:
            self.abort(block=False)

    def _respond(self, message: Message, status: int) -> None:
        # PS3.8 Table 9-8, DT-1.
        self.dul.socket.send(response(message, status))
        self.dul.act()


def _is_store(message: Message) -> bool:
    return message.command.operation == Operation.C_STORE and message.command.has_data


def _report(message: Message, context: PresentationContext, asked: frozenset[str]) -> EventReport:
    return EventReport(
        sop_class_uid=message.command.sop_class_uid,
        sop_uid=message.command.sop_uid,
        event_type=message.command.event_type,
        transfer_syntax_uid=str(context.transfer_syntax[0]),
        data=message.data if message.command.has_data else memoryview(b""),
        peers=asked,
    )


def _request(message: Message, context: PresentationContext, peer: Peer) -> StoreRequest:
    return StoreRequest(
        sop_class_uid=message.command.sop_class_uid,
        sop_uid=message.command.sop_uid,
        abstract_syntax_uid=str(context.abstract_syntax),
        transfer_syntax_uid=str(context.transfer_syntax[0]),
        data=message.data,
        content_sha256=message.sha256,
        peer=peer.name,
    )
