"""What the delivery flow sees: messages in, one outcome each, over MLLP."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from integrations.hl7.acknowledgements import outcome_of, read_acknowledgement
from integrations.hl7.framing import Decoder, frame
from radloop.domain.errors import InvalidObject, Permanent, RadloopError, Rejected, Unavailable, Unparsable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer
from radloop.tls import client_context

LARGEST_ANSWER = 1024 * 1024
READ_BYTES = 65536
MOST_LOSSES = 2
"""Connections lost in a row before the rest of a batch waits: one may be a message's fault."""


@dataclass(frozen=True, slots=True)
class Hl7Adapter:
    """Sends messages over MLLP and reads what the peer says of them."""

    def send(self, peer: Peer, parcels: Sequence[Parcel]) -> tuple[Accepted | RadloopError, ...]:
        """Send every parcel, its data one message, over one connection, and give one outcome each, in order.

        `object.identifier` is the message's MSH-10, which the answer must name. A connection that fails is opened
        again for what is left. Never raises for what a peer does.
        """
        outcomes: list[Accepted | RadloopError] = []
        failure: RadloopError = Unavailable(f"peer {peer.name} failed twice in a row")
        losses = 0
        while len(outcomes) < len(parcels) and losses < MOST_LOSSES:
            try:
                with _connected(peer) as connection:
                    for parcel in parcels[len(outcomes) :]:
                        outcomes.append(connection.exchange(parcel))
                        losses = 0 if connection.usable else losses + 1
                        if not connection.usable:
                            break
            except RadloopError as error:
                failure, losses = error, MOST_LOSSES
        return (*outcomes, *[failure] * (len(parcels) - len(outcomes)))


def reach(peer: Peer) -> None:
    """Open a connection, with TLS where it is set, and close it: HL7 has no question that leaves no trace there.

    Raises:
        Unavailable: it cannot be reached.
        Permanent: it has no address, or its TLS files cannot be used.
    """
    with _connected(peer):
        pass


class _Connection:
    """One connection; not `usable` once an answer failed to come: a late one would be taken for the next message's."""

    def __init__(self, peer: Peer, sock: socket.socket) -> None:
        self._peer = peer
        self._socket = sock
        self._decoder = Decoder(LARGEST_ANSWER)
        self._answered: set[str] = set()
        self._waiting: list[bytes] = []
        self.usable = True

    def exchange(self, parcel: Parcel) -> Accepted | RadloopError:
        """Send a message and wait for its answer."""
        try:
            framed = frame(parcel.data)
        except Unparsable as error:
            return InvalidObject(f"object {parcel.object.id}: {error}")
        try:
            return self._exchange(framed, parcel.object.identifier)
        except (OSError, Rejected) as error:
            self.usable = False
            word = "garbage" if isinstance(error, Rejected) else type(error).__name__
            return Unavailable(f"peer {self._peer.name} gave no acknowledgement: {word}")

    def _exchange(self, framed: bytes, control_id: str) -> Accepted | RadloopError:
        deadline = time.monotonic() + self._peer.answer_seconds
        self._socket.settimeout(self._peer.answer_seconds)
        self._socket.sendall(framed)
        while True:
            acknowledgement = read_acknowledgement(self._next_message(deadline))
            if acknowledgement.control_id == control_id:
                self._answered.add(control_id)
                return outcome_of(self._peer, acknowledgement)
            # HL7 2.5.1 section 2.9.3: an application acknowledgement may follow the accept acknowledgement.
            if acknowledgement.control_id not in self._answered:
                raise Unparsable("an answer to another message")

    def _next_message(self, deadline: float) -> bytes:
        while not self._waiting:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining)
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError
            self._waiting = self._decoder.feed(data)
        return self._waiting.pop(0)


@contextmanager
def _connected(peer: Peer) -> Iterator[_Connection]:
    host, port = _address(peer)
    context = client_context(peer, peer.tls) if peer.tls else None
    try:
        sock = socket.create_connection((host, port), timeout=peer.connect_seconds)
    except OSError as error:
        raise Unavailable(f"peer {peer.name} cannot be reached: {type(error).__name__}") from None
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            yield _Connection(peer, sock)
            return
        try:
            secure = context.wrap_socket(sock, server_hostname=host)
        except OSError as error:
            raise Unavailable(f"peer {peer.name}: TLS failed: {type(error).__name__}") from None
        with secure:
            yield _Connection(peer, secure)


def _address(peer: Peer) -> tuple[str, int]:
    if peer.mllp is None:
        raise Permanent(f"peer {peer.name} has no mllp address")
    host, _, port = peer.mllp.rpartition(":")
    return host.strip("[]"), int(port)


ADAPTER = Hl7Adapter()
