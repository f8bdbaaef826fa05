"""A bounded TCP server on loopback, one thread per connection."""

import socket
import socketserver
import threading
from types import TracebackType
from typing import Self

CONNECTIONS = 64
IDLE_SECONDS = 60.0


class Listener(socketserver.ThreadingTCPServer):
    """Serves at most `CONNECTIONS` at once, closes idle ones, and ends all of them with the block."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(address, handler)
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """The port that it took."""
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving, and close what is open."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for sock in self._open:
                _shut(sock)
        self._thread.join(5.0)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Take a connection where there is room for it; close it at once where there is none."""
        if not self._room.acquire(blocking=False):
            super().shutdown_request(request)
            return
        request.settimeout(IDLE_SECONDS)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection and make room."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)
        self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that goes away is nothing to tell."""


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
