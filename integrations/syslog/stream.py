"""A TLS connection in one direction, with an end that tells whether the other side has read everything.

`ssl.SSLSocket` cannot do that: it says goodbye and hears the other side's with one call, and takes a refusal (a fatal
alert) for a goodbye. In TLS 1.3 a server refuses our certificate only after we may have begun to send.
"""

import fcntl
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from typing import Final

PIECE: Final = 1 << 16
LOOK_SECONDS: Final = 0.01


class Stream:
    """Over a connected socket. Every wait ends at `deadline` (monotonic), and none is longer than `seconds`."""

    def __init__(self, sock: socket.socket, seconds: float, deadline: float) -> None:
        self._sock = sock
        self._seconds = seconds
        self._deadline = deadline
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def shake_hands(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on.

        Raises:
            OSError: no handshake came about; `ssl.SSLError` is one.
        """
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._hear()
            else:
                return self._flush()

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: the other side went away, or takes too long.
        """
        view = memoryview(data)
        for begin in range(0, len(view), PIECE):
            piece = view[begin : begin + PIECE]
            while piece:
                piece = piece[self._tls.write(piece) :]
            self._flush()

    def finish(self) -> None:
        """Say goodbye, and return once the other side has read everything and ended the connection.

        Its kernel ends a connection by a reset where its process left something unread, and acknowledges nothing that
        comes after the end. So an orderly end, with everything acknowledged, means that everything was read.

        Raises:
            OSError: it was not, as far as can be known; `ssl.SSLError` where the other side refused us.
        """
        self._listen()
        # It wants to read theirs at once, which is not heard yet: so that it cannot take a refusal for one.
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()
        self._sock.shutdown(socket.SHUT_WR)
        while self._hear():
            self._listen()
        while self._unacknowledged():
            time.sleep(min(LOOK_SECONDS, self._left()))

    def _listen(self) -> None:
        """Take in what was heard: tickets, a goodbye; syslog sends nothing else.

        Raises:
            ssl.SSLError: it was a refusal.
        """
        try:
            while self._tls.read(PIECE):
                pass
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return

    def _hear(self) -> bool:
        """Wait for bytes; False at the end of the connection."""
        self._sock.settimeout(self._left())
        data = self._sock.recv(PIECE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)

    def _flush(self) -> None:
        data = memoryview(self._outgoing.read())
        while data:
            self._sock.settimeout(self._left())
            data = data[self._sock.send(data) :]

    def _unacknowledged(self) -> bool:
        """Whether the other side's kernel has yet to acknowledge bytes of ours.

        Raises:
            OSError: it reset the connection.
        """
        if error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise ConnectionError(error)
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(4)))
        return bool(waiting)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._seconds)
