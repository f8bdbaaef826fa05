"""A RIS stand-in: takes HL7 messages over MLLP and acknowledges them, by a script where one is given."""

import itertools
import socketserver
import threading
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from integrations.hl7 import Decoder, frame, parse
from radloop.domain.errors import Rejected
from radloop.domain.ids import new_id
from serving.standins.files import keep, made
from serving.standins.listener import Listener
from serving.standins.script import Script


class Answer(StrEnum):
    """What it may answer."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"
    GARBAGE = "GARBAGE"
    """Bytes that are no HL7."""
    SILENCE = "SILENCE"
    """Nothing: the connection stays open."""
    CLOSE = "CLOSE"
    """Nothing: the connection is closed."""


class RisStandIn:
    """Keeps every message as `folder/NNNNNN.hl7`, in the order of arrival, resends included.

    `script` is what the first messages are answered with; later ones get AA.
    """

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, script: Iterable[Answer] = ()) -> None:
        self.folder = made(folder)
        self._script = Script(script, Answer.AA)
        self._numbers = itertools.count(1 + len(list(self.folder.glob("*.hl7"))))
        self._lock = threading.Lock()
        self._listener = Listener((host, port), _handler(self))
        self.port = self._listener.port

    def __enter__(self) -> Self:
        """Start listening."""
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self._listener.__exit__(kind, error, traceback)

    @property
    def messages(self) -> tuple[bytes, ...]:
        """What it got, in order."""
        return tuple(path.read_bytes() for path in sorted(self.folder.glob("*.hl7")))

    def take(self, message: bytes) -> Answer:
        """Keep a message and say how to answer it."""
        with self._lock:
            keep(self.folder, f"{next(self._numbers):06}.hl7", message)
        return self._script.next()


def _handler(ris: RisStandIn) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            decoder = Decoder()
            try:
                while data := self.request.recv(65536):
                    for message in decoder.feed(data):
                        if (answer := ris.take(message)) is Answer.CLOSE:
                            return
                        if answer is not Answer.SILENCE:
                            self.request.sendall(_reply(answer, message))
            except (OSError, Rejected):
                return  # the peer went away, or does not speak MLLP

    return Handler


def _reply(answer: Answer, message: bytes) -> bytes:
    if answer is Answer.GARBAGE:
        return b"this is no HL7"
    try:
        control_id = parse(message).control_id
    except Rejected:
        answer, control_id = Answer.AR, ""
    header = f"MSH|^~\\&|STANDIN|RIS||||||ACK|{new_id('A')[:20]}|P|2.5.1"
    return frame(f"{header}\rMSA|{answer}|{control_id}\r".encode())
