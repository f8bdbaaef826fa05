"""One place in the pool: a running child, or the next one on its way."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import radloop
from radloop.domain.errors import Rejected, TooLarge, Unavailable, Undecodable
from radloop.pixels.limits import Limits

Buffer = bytes | bytearray | memoryview
Answer = dict[str, int | float | str | None]

_START_SECONDS: Final = 60.0
_LONGEST_MESSAGE: Final = 4096
_REFUSALS: Final[dict[str, type[Rejected]]] = {kind.code: kind for kind in (TooLarge, Undecodable)}
# One decode is one thread's work; a BLAS pool per child would only take address space.
_ENVIRONMENT: Final = {
    "PYTHONPATH": str(Path(radloop.__path__[0]).parent),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
# What a child's end, its silence or its nonsense looks like from here.
_BROKEN: Final = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frame (None: the middle one), and whether a colour image comes as its planes or as luminance."""

    frame: int | None
    colour: bool = False


class Child:
    """One running child and the two ways to it: `control` for messages, `memory` for bytes."""

    def __init__(self, limits: Limits) -> None:
        self.memory = os.fdopen(os.memfd_create("pixels"), "r+b", buffering=0)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [*_COMMAND, str(theirs.fileno()), str(self.memory.fileno()), json.dumps(asdict(limits))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                pass_fds=(theirs.fileno(), self.memory.fileno()),
            )
        try:
            self._receive(_START_SECONDS)
        except _BROKEN:
            self.end()
            raise

    def ask(self, data: Buffer, wanted: "Wanted", seconds: float) -> Answer:
        """Send a file and wait for the answer; one of `_BROKEN` where none comes."""
        self.memory.truncate(0)
        _write_all(self.memory.fileno(), data)
        self.control.send(json.dumps({"size": len(data), **asdict(wanted)}).encode())
        return self._receive(seconds)

    def pixels(self, rows: int, columns: int) -> NDArray[np.float32]:
        """(rows, columns) float32, read and not mapped: a child that cuts the memory makes a short read, no SIGBUS."""
        array = np.empty((rows, columns), dtype=np.float32)
        view = array.reshape(-1).view(np.uint8).data
        at = 0
        while read := os.preadv(self.memory.fileno(), [view[at:]], at):
            at += read
        self.memory.truncate(0)
        if at != len(view):
            raise ConnectionResetError
        return array

    def end(self) -> None:
        """Kill and reap; a second time does nothing."""
        self.process.kill()
        self.process.wait()
        self.control.close()
        self.memory.close()

    def _receive(self, seconds: float) -> Answer:
        self.control.settimeout(seconds)
        message = self.control.recv(_LONGEST_MESSAGE)
        if not message:
            raise ConnectionResetError
        answer: Answer = json.loads(message)
        return answer


_COMMAND: Final = (sys.executable, "-m", "radloop.pixels.child")


class Slot:
    """Serves one caller at a time. A child that crashed, hung or lied is killed, and the next one started."""

    def __init__(self, starter: ThreadPoolExecutor, limits: Limits) -> None:
        self._starter = starter
        self._limits = limits
        self._child = self._start()

    def decode(self, data: Buffer, wanted: Wanted) -> tuple[Answer, NDArray[np.float32]]:
        """What the child says of the frame, and its pixels.

        Raises:
            TooLarge: the header asks for more than the limits.
            Undecodable: no decoder could read it, or none within its memory and time.
            Unavailable: no child could be started.
        """
        child = self._running()
        try:
            answer = child.ask(data, wanted, self._limits.seconds)
            if "code" not in answer:
                return answer, child.pixels(*self._claimed_size(answer))
            refusal = _REFUSALS[str(answer["code"])]
        except _BROKEN as error:
            self._replace(child)
            raise Undecodable(f"the decoder crashed or overran its limits ({type(error).__name__})") from None
        raise refusal(str(answer["reason"]))

    def end(self) -> None:
        """End the child, running or on its way."""
        with suppress(*_BROKEN):
            self._child.result().end()

    def _claimed_size(self, answer: Answer) -> tuple[int, int]:
        rows, columns = answer["rows"], answer["columns"]
        if isinstance(rows, int) and isinstance(columns, int) and 0 < rows * columns <= 8 * self._limits.frame:
            return rows, columns
        raise ValueError("the child claims an image that no limit allows")

    def _start(self) -> "Future[Child]":
        try:
            return self._starter.submit(Child, self._limits)
        except RuntimeError:  # the pool was closed meanwhile
            closed: Future[Child] = Future()
            closed.set_exception(ConnectionAbortedError())
            return closed

    def _replace(self, child: Child) -> None:
        child.end()
        self._child = self._start()

    def _running(self) -> Child:
        with suppress(*_BROKEN):
            child = self._child.result()
            if child.process.poll() is None:
                return child
            self._replace(child)
        return self._second_try()

    def _second_try(self) -> Child:
        if self._child.done() and self._child.exception():
            self._child = self._start()
        try:
            return self._child.result()
        except _BROKEN as error:
            raise Unavailable(f"no decoding process could be started ({type(error).__name__})") from None


def _write_all(fd: int, data: Buffer) -> None:
    view = memoryview(data).cast("B")
    at = 0
    while at < len(view):
        at += os.pwrite(fd, view[at:], at)
