"""A connected socket whose every read and write has a deadline."""

import select
import socket
import time
from contextlib import suppress
from typing import Final

LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 1 << 16


class Closed(Exception):
    """The other side closed the connection, or we did."""


class Wire:
    """Reads and writes with a total deadline, however slowly the other side drips.

    Args:
        sock: a connected socket, plain or TLS.
        unit_seconds: a PDU or frame that began must end within this time; also the deadline of one write.
    """

    def __init__(self, sock: socket.socket, unit_seconds: float) -> None:
        self._sock = sock
        self._unit_seconds = unit_seconds

    def begin(self, view: memoryview, idle_seconds: float) -> float:
        """Wait for the first bytes of a unit, then fill `view`; says when the unit must end (monotonic).

        Raises:
            Closed: there is no more.
            TimeoutError: nothing came in `idle_seconds`, or the rest did not come in time.
        """
        got, until = self.first(view, idle_seconds)
        self.fill(view[got:], until)
        return until

    def first(self, view: memoryview, idle_seconds: float) -> tuple[int, float]:
        """Wait for the first bytes of a unit: how many came, and when the unit must end (monotonic).

        Raises:
            Closed: there is no more.
            TimeoutError: nothing came in `idle_seconds`.
        """
        self._sock.settimeout(idle_seconds)
        return self._read(view), time.monotonic() + self._unit_seconds

    def fill(self, view: memoryview, until: float) -> None:
        """Read until `view` is full.

        Raises:
            Closed: there is no more.
            TimeoutError: `until` (monotonic) passed.
        """
        while view:
            view = view[self.read_some(view, until) :]

    def read_some(self, view: memoryview, until: float) -> int:
        """Read what there is, at least one byte.

        Raises:
            Closed, TimeoutError: as `fill`.
        """
        self._sock.settimeout(_left(until))
        return self._read(view)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`.

        Raises:
            Closed: the other side is gone.
            TimeoutError: it did not take the bytes in time.
        """
        self._sock.settimeout(self._unit_seconds)
        try:
            self._sock.sendall(data)  # its timeout is a total (socket.sendall, since Python 3.5)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed from error

    def waits(self) -> bool:
        """Whether bytes, or the end, can be read at once."""
        poll = select.poll()  # not select.select: it fails for descriptors from 1024 on
        with suppress(OSError, ValueError):
            poll.register(self._sock, select.POLLIN)
            return bool(poll.poll(0))
        return True

    def linger(self) -> None:
        """Say that no more comes from us, and give the other side a moment to close.

        Closing over unread bytes would reset the connection, and our last PDU would be lost with it.
        """
        until = time.monotonic() + LINGER_SECONDS
        room = memoryview(bytearray(4096))
        with suppress(OSError, Closed):
            self._sock.shutdown(socket.SHUT_WR)
            for _ in range(_LINGER_BYTES // len(room)):
                self.read_some(room, until)

    def _read(self, view: memoryview) -> int:
        try:
            got = self._sock.recv_into(view)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed from error
        if not got:
            raise Closed
        return got


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
