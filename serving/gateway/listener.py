"""One port: an accept loop, a thread per connection, and limits that a stranger cannot get past.

A connection is pending until its protocol has found out who is there (`Connection.admit`). Pending ones are capped per
address and in all; at the cap the oldest goes, silent ones first, so that a flood pushes out its own sockets and not
the peer that comes from the same address and speaks at once.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from radloop.tls import Holder, holder_of, reason_of
from serving.gateway.wire import Closed, Wire

log = structlog.get_logger(__name__)

BACKLOG: Final = 1024
# Pending connections in all, as a multiple of those of one address.
ADDRESSES: Final = 8
ACCEPT_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What one port allows. `pending` counts connections per address, `admitted` connections of known peers."""

    pending: int
    admitted: int
    unit_seconds: float


class Connection:
    """One accepted connection."""

    def __init__(self, listener: "Listener", sock: socket.socket, address: str) -> None:
        self._listener = listener
        self._sock = sock
        self.address = address
        # Whose certificate the handshake showed; None without TLS, and where no certificate is asked for.
        self.holder: Holder | None = None
        # It has said something whole, and is being answered.
        self.speaks = False
        self.wire = Wire(sock, listener.limits.unit_seconds)

    def secure(self, context: ssl.SSLContext) -> None:
        """TLS handshake, in this connection's own thread, with a total deadline.

        Raises:
            OSError: it failed, or took too long.
        """
        sock = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        self._sock, self.wire = sock, Wire(sock, self._listener.limits.unit_seconds)
        sock.settimeout(self._listener.limits.unit_seconds)
        sock.do_handshake()
        self.holder = holder_of(sock)

    def admit(self) -> bool:
        """The protocol knows who is there. False where as many as may be are admitted already."""
        return self._listener.admit(self)

    @property
    def stopping(self) -> bool:
        """Whether the process is on its way out: finish what began, begin nothing."""
        return self._listener.stopping.is_set()

    def stop_reading(self) -> None:
        """Wake the connection's thread; an answer that is due can still be written."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """End both directions; the connection's thread wakes and closes."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        with suppress(OSError):
            self._sock.close()


Serve = Callable[[Connection], None]


class Listener:
    """Accepts on one port and calls `serve` for each connection, in a thread of its own.

    Args:
        sock: bound, not yet listening.
        serve: speaks the protocol; the connection is closed when it returns.
        tls: where given, every connection begins with a handshake.
    """

    def __init__(self, sock: socket.socket, serve: Serve, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._sock = sock
        self._serve = serve
        self._tls = tls
        self.limits = limits
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._pending: dict[Connection, None] = {}
        self._admitted: dict[Connection, None] = {}
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._sock.getsockname()[1])

    @property
    def admitted(self) -> int:
        """How many connections of known peers are open."""
        return len(self._admitted)

    def start(self) -> None:
        """Listen."""
        self._sock.listen(BACKLOG)
        self._acceptor.start()

    def stop(self, grace_seconds: float) -> None:
        """Accept no more, let what began end, and return when all are gone or `grace_seconds` are over."""
        self.stopping.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(grace_seconds)
        self._sock.close()
        for connection in self._open():
            connection.stop_reading()
        until = time.monotonic() + grace_seconds
        while self._open() and time.monotonic() < until:
            time.sleep(0.01)
        for connection in self._open():
            connection.cut()

    def admit(self, connection: Connection) -> bool:
        """Move a connection from the pending to the admitted ones."""
        with self._lock:
            if len(self._admitted) >= self.limits.admitted:
                return False
            self._pending.pop(connection, None)
            self._admitted[connection] = None
            return True

    def _open(self) -> tuple[Connection, ...]:
        with self._lock:
            return (*self._pending, *self._admitted)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, address = self._sock.accept()
            except OSError:
                # No descriptors left, or the port is closed: the loop must outlive the first.
                self.stopping.wait(ACCEPT_PAUSE_SECONDS)
                continue
            self._welcome(sock, _plain(address[0]))

    def _welcome(self, sock: socket.socket, address: str) -> None:
        # Responses are small: without this each waits for the acknowledgement of the one before (Nagle).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, sock, address)
        with self._lock:
            victims = self._victims(address)
            self._pending[connection] = None
        for victim in victims:
            victim.cut()
        try:
            threading.Thread(target=self._run, args=(connection,), name="connection", daemon=True).start()
        except RuntimeError:  # no thread can be started
            self._forget(connection)

    def _victims(self, address: str) -> list[Connection]:
        """Who must go so that one more may wait; taken off the list at once."""
        same = [connection for connection in self._pending if connection.address == address]
        crowds = ((same, self.limits.pending), (list(self._pending), self.limits.pending * ADDRESSES))
        victims = [_oldest(crowd) for crowd, cap in crowds if len(crowd) >= cap]
        for victim in victims:
            self._pending.pop(victim, None)
        return victims

    def _run(self, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.secure(self._tls)
            self._serve(connection)
        except Closed:
            pass
        except OSError as error:  # a deadline passed, or a handshake failed
            log.info("connection lost", reason=reason_of(error))
        except Exception as error:  # noqa: BLE001 - a stranger's bytes went through other people's parsers
            log.error("connection failed", error=type(error).__name__)  # noqa: TRY400 - a traceback shows values
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._pending.pop(connection, None)
            self._admitted.pop(connection, None)
        connection.close()


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """A bound TCP socket; `shared` lets several processes listen on one port (SO_REUSEPORT, socket(7))."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    return sock


def _oldest(crowd: list[Connection]) -> Connection:
    return next((one for one in crowd if not one.speaks and not one.wire.waits()), crowd[0])


def _plain(address: str) -> str:
    """An IPv4 address that came over IPv6, as IPv4 (RFC 4291 section 2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address
