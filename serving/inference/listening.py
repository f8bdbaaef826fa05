"""The socket that the service listens on, taken before anything slow is imported: a taken port is said at once."""

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"


def listening_socket(port: int) -> socket.socket:
    """Bound to loopback, not listening yet: whoever connects before we are ready is refused at once.

    Raises:
        OSError: the port is taken.
    """
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each answer waits 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock
