"""An MLLP peer that answers each message by a script: what a RIS may do, well-behaved or not."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SILENCE = "SILENCE"
CLOSE = "CLOSE"
GARBAGE = "GARBAGE"
OTHER_ID = "OTHER_ID"
TWICE = "TWICE"
"""CA, and AA a moment later: the enhanced mode's two acknowledgements."""


@dataclass
class MllpPeer:
    """A running peer: its address, what it received, and how many connections it saw."""

    port: int
    script: list[str]
    received: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        """As the settings name it."""
        return f"127.0.0.1:{self.port}"

    def next_behaviour(self) -> str:
        """The next word of the script; its last one is repeated."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def mllp_peer(*script: str) -> Iterator[MllpPeer]:
    """A peer that answers message n with `script[n]`: an acknowledgement code, or one of the words above."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer = MllpPeer(int(listener.getsockname()[1]), list(script or ("AA",)))
    stop = threading.Event()
    sockets: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            peer.connections += 1
            sockets.append(sock)
            threading.Thread(target=_serve, args=(sock, peer, stop), daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield peer
    finally:
        stop.set()
        for sock in (listener, *sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        acceptor.join(5.0)


def answer(code: str, control_id: str, *more: str) -> bytes:
    """An acknowledgement in its frame."""
    segments = [
        f"MSH|^~\\&|RIS|HOSP|RADLOOP|RAD|20240101||ACK|X{control_id}|P|2.5.1",
        f"MSA|{code}|{control_id}",
        *more,
    ]
    return b"\x0b" + ("\r".join(segments) + "\r").encode() + b"\x1c\r"


def _serve(sock: socket.socket, peer: MllpPeer, stop: threading.Event) -> None:
    buffer = b""
    with contextlib.suppress(OSError):
        while data := sock.recv(65536):
            buffer += data
            while b"\x1c\r" in buffer:
                message, buffer = buffer.split(b"\x1c\r", 1)
                peer.received.append(message.lstrip(b"\x0b"))
                if not _react(sock, peer, peer.received[-1], stop):
                    return
    sock.close()


def _react(sock: socket.socket, peer: MllpPeer, message: bytes, stop: threading.Event) -> bool:
    """Answer one message; False where the connection ends."""
    word, control_id = peer.next_behaviour(), message.split(b"\r")[0].split(b"|")[9].decode()
    if word == CLOSE:
        sock.close()
        return False
    if word == SILENCE:
        stop.wait()
        return False
    replies = {
        GARBAGE: b"HTTP/1.1 200 OK\r\n\r\n",
        OTHER_ID: answer("AA", "SOMEBODY-ELSES"),
        TWICE: answer("CA", control_id) + answer("AA", control_id),
    }
    sock.sendall(replies.get(word) or answer(word, control_id, *(["ERR|||207^secret text^HL70357|E"] * (word != "AA"))))
    return True
