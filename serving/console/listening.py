"""The socket that the console listens on, taken before anything slow is imported: a taken port is said at once."""

import socket


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound, not listening yet: whoever connects before we are ready is refused at once.

    Raises:
        OSError: the port is taken, or the host is no address of ours.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    return sock
