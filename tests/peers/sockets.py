"""Peers that break the rules: they accept a connection and then do what `behave` says."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, threading.Event], None]


def silent(sock: socket.socket, stop: threading.Event) -> None:
    """Accept, and say nothing."""
    stop.wait()


def closing(sock: socket.socket, stop: threading.Event) -> None:
    """Accept, and close at once."""


def saying(data: bytes) -> Behaviour:
    """Read something, answer `data`, and say nothing more."""

    def behave(sock: socket.socket, stop: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(data)
        stop.wait()

    return behave


def dripping(data: bytes, every: float = 0.3) -> Behaviour:
    """Read something, and answer `data` over and over, one byte at a time."""

    def behave(sock: socket.socket, stop: threading.Event) -> None:
        sock.recv(65536)
        while not stop.is_set():
            for byte in data:
                sock.sendall(bytes([byte]))
                if stop.wait(every):
                    return

    return behave


@contextmanager
def hostile(behave: Behaviour) -> Iterator[int]:
    """The port of a listener whose every connection meets `behave`."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve_one(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            behave(sock, stop)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve_one, args=(sock,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5.0)
        deadline = time.monotonic() + 5.0
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def refusing() -> Iterator[int]:
    """A port on which nothing listens, kept from others for the while."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
