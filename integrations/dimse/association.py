"""An association towards a peer, with a deadline on every step (PS3.8)."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation, AssociationSocket

from integrations.dimse.statuses import refused_context, rejection
from radloop.domain.errors import Permanent, RadloopError, Unavailable
from radloop.settings import Peer
from radloop.tls import client_context

# RESULTS.md: stored bytes are resent. pynetdicom sends a file's data set as it is only with this setting.
_config.STORE_SEND_CHUNKED_DATASET = True
# Its log handlers write every PDU and data set out as text, for nobody: patient data that we never log.
_config.LOG_HANDLER_LEVEL = "none"

DEFAULT_AE_TITLE = "RADLOOP"
MOST_CONTEXTS = 128
"""PS3.8 section 9.3.2.2: context ids are the odd numbers 1 to 255."""
SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""A transfer slower than this counts as stuck: the time that an object may take grows with its size."""
LARGEST_PDU = 1024 * 1024
"""We announce 16 KiB; an A-ASSOCIATE-AC may be longer."""
PARK_SECONDS = 1.0
"""An association's thread comes by its checkpoint every millisecond, unless it has ended."""
GRACE_SECONDS = 2.0
"""How much later than pynetdicom's own timers the socket is cut."""


class Leash:
    """Cuts the connection when a step takes longer than it may.

    pynetdicom clears the socket's timeout once connected, so a peer that stops within a PDU would hold the thread
    for ever, and one that sends a byte a minute would too.
    """

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._made: socket.socket | None = None
        self._socket: socket.socket | None = None
        self.rejected: A_ASSOCIATE_RJ | None = None

    def made(self, sock: socket.socket) -> None:
        """Remember the socket before it is connected."""
        self._made = sock

    def opened(self, event: Event) -> None:
        """Take hold of the connected socket."""
        sock: socket.socket = event.assoc.dul.socket.socket
        sock.settimeout(self._answer_seconds)
        # A request is several small PDUs: Nagle's algorithm would hold each for the peer's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    @contextmanager
    def step(self, seconds: float) -> Iterator[None]:
        """Within, the peer has `seconds`."""
        timer = threading.Timer(seconds + GRACE_SECONDS, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def sent(self, _event: Event) -> None:
        """Acknowledge the answer's first segment at once (tcp(7)); the kernel forgets this with every request.

        dcmtk and Orthanc write a response in two pieces and hold the second until the first is acknowledged: 40 ms
        for each object otherwise.
        """
        if self._socket is not None:
            with suppress(OSError):  # gone already
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def received(self, event: Event) -> None:
        """Keep a rejection: pynetdicom takes one that comes at once for a connection that never stood."""
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self.rejected = event.pdu

    def close(self) -> None:
        """Close what pynetdicom left open: it does so when the peer was quicker to go."""
        for sock in (self._made, self._socket):
            if sock is not None:
                sock.close()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # gone already
                self._socket.shutdown(socket.SHUT_RDWR)


class Checkpoint:
    """Where an association's own thread is parked while we wait for a response; in place of a threading.Event.

    That thread reads the message queue too. pynetdicom asks it to stop and looks at a flag that may be a moment old, so
    that it sometimes takes our response for a request, and we wait for what came already.

    Whoever is let go passes, however soon the next `clear` comes: it raises pynetdicom's flag anew on its way. An event
    report that came while we waited for our response has lowered it (`_serve_request`, in our thread), and a release
    would wait for it for ever.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._parked = False
        self._rounds = 0

    def set(self) -> None:
        """Let the thread go on."""
        with self._changed:
            self._open = True
            self._parked = False
            self._rounds += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop the thread, and return once it stands; a thread that has ended is not waited for long."""
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: self._parked, PARK_SECONDS)

    def wait(self) -> None:
        """Called by the thread: stand here until let go."""
        with self._changed:
            here = self._rounds
            self._parked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open or self._rounds != here)
            self._parked = False


class _CappedSocket(AssociationSocket):  # type: ignore[misc]  # pynetdicom ships no types
    """A socket that reads no PDU longer than any that we have asked for: the length is the peer's word."""

    def recv(self, nr_bytes: int) -> bytearray:
        """The next `nr_bytes`; an OSError, which ends the connection, where that is too many."""
        if nr_bytes > LARGEST_PDU:
            raise OSError("the peer announced a PDU longer than allowed")
        received: bytearray = super().recv(nr_bytes)
        return received


class _LeashedEntity(AE):  # type: ignore[misc]  # pynetdicom ships no types
    """An AE whose sockets are capped and shown to the leash, and whose associations stop when told to."""

    def __init__(self, ae_title: str, leash: Leash) -> None:
        super().__init__(ae_title=ae_title)
        self._leash = leash

    def _create_socket(self, assoc: Association, address: AddressInformation, tls_args: object) -> AssociationSocket:
        made = _CappedSocket(assoc, address=address)
        made.tls_args = tls_args
        self._leash.made(made.socket)
        assoc._reactor_checkpoint = Checkpoint()  # noqa: SLF001 - there is no other way to close that race
        return made


class Session:
    """An established association: what is accepted on it, and how to wait for its answers."""

    def __init__(self, peer: Peer, assoc: Association, leash: Leash) -> None:
        self.peer = peer
        self.assoc = assoc
        self._leash = leash
        self._message_id = 0
        self._lost = False

    @property
    def open(self) -> bool:
        """Whether the peer still talks to us."""
        return not self._lost and bool(self.assoc.is_established)

    def read(self, response: Dataset) -> int | None:
        """The status of a response; None, and the end of the session, where it never came or is none.

        pynetdicom ends the association then, but in another thread, and may say a moment longer that it stands.
        """
        status: int | None = response.get("Status")
        self._lost = self._lost or status is None
        return status

    def next_message_id(self) -> int:
        """PS3.7 section 9.1: unique among the operations of an association; 1 to 65535."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def accepts(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether an object of this class goes over as it is encoded."""
        return any(
            cx.abstract_syntax == sop_class_uid and cx.transfer_syntax[0] == transfer_syntax_uid
            for cx in self.assoc.accepted_contexts
        )

    def refusal(self, sop_class_uid: str, transfer_syntax_uid: str) -> RadloopError:
        """Why `accepts` says no."""
        results = (
            cx.result
            for cx in self.assoc.rejected_contexts
            if cx.abstract_syntax == sop_class_uid and transfer_syntax_uid in cx.transfer_syntax
        )
        return refused_context(self.peer.name, next(results, None))

    @contextmanager
    def waiting(self, seconds: float | None = None, size: int = 0) -> Iterator[None]:
        """Within, one response may take `seconds` (the peer's own by default) and the time to move `size` bytes."""
        allowed = (seconds or self.peer.answer_seconds) + size / SLOWEST_BYTES_PER_SECOND
        self.assoc.dimse_timeout = allowed
        with self._leash.step(allowed):
            yield


def contexts_for(pairs: Sequence[tuple[str, str]]) -> list[PresentationContext]:
    """One presentation context per (SOP class, transfer syntax), so that each object goes over as it is encoded."""
    return [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in dict.fromkeys(pairs)]


@contextmanager
def associate(peer: Peer, ae_title: str, contexts: Sequence[PresentationContext]) -> Iterator[Session]:
    """An association with `peer`, released at the end.

    Raises:
        Unavailable: not reachable, silent, aborted, or rejected for now.
        RefusedByPeer: rejected for good, or none of the contexts is accepted.
        Permanent: the peer's settings name no DICOM address, or its TLS files cannot be used.
    """
    leash = Leash(peer.answer_seconds)
    assoc = _request(peer, ae_title, contexts, leash)
    session = Session(peer, assoc, leash)
    try:
        if not assoc.is_established:
            raise _why_not(peer, assoc, leash)
        yield session
    finally:
        _end(session, leash)
        leash.close()


def _request(peer: Peer, ae_title: str, contexts: Sequence[PresentationContext], leash: Leash) -> Association:
    if not (peer.host and peer.port and peer.ae_title):
        raise Permanent(f"peer {peer.name} has no ae_title, host and port")
    tls_args = (client_context(peer, peer.tls), peer.host) if peer.tls else None
    try:
        with leash.step(peer.connect_seconds + peer.answer_seconds):
            return _entity(peer, ae_title, leash).associate(
                peer.host,
                peer.port,
                contexts=list(contexts),
                ae_title=peer.ae_title,
                tls_args=tls_args,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, leash.opened),
                    (evt.EVT_DATA_SENT, leash.sent),
                    (evt.EVT_PDU_RECV, leash.received),
                ],
            )
    except OSError as error:  # the name does not resolve, or no socket is to be had
        raise Unavailable(f"peer {peer.name} cannot be reached: {type(error).__name__}") from None


def _entity(peer: Peer, ae_title: str, leash: Leash) -> AE:
    ae = _LeashedEntity(ae_title, leash)
    ae.connection_timeout = peer.connect_seconds
    ae.acse_timeout = peer.answer_seconds
    ae.dimse_timeout = peer.answer_seconds
    ae.network_timeout = None  # every wait of ours is on the leash; pynetdicom's idle timer would race with a release
    return ae


def _why_not(peer: Peer, assoc: Association, leash: Leash) -> RadloopError:
    answer = assoc.acceptor.primitive
    if (said := leash.rejected) is not None:
        return rejection(peer.name, said.result or 0, said.source or 0, said.reason_diagnostic or 0)
    if answer is not None and answer.result == 0 and not assoc.accepted_contexts:
        return refused_context(peer.name, next((cx.result for cx in assoc.rejected_contexts), None))
    return Unavailable(f"peer {peer.name} opened no association")


def _end(session: Session, leash: Leash) -> None:
    assoc = session.assoc
    with leash.step(session.peer.answer_seconds):
        if session.open:
            assoc.release()
        for thread in (assoc, assoc.dul):  # they end it by themselves where the peer already did
            if thread.is_alive():
                thread.join(GRACE_SECONDS)
        if assoc.is_established:
            assoc.abort()
