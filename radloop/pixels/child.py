"""The process that decodes: `python -m radloop.pixels.child CONTROL MEMORY LIMITS`.

CONTROL is a sequenced-packet socket that carries requests and answers as JSON; MEMORY is a memory file that carries the
bytes: the file on the way in, the float32 pixels on the way out. The process has a bounded address space, a deadline
that the kernel keeps, dies with its parent, and writes nothing anywhere else.
"""

import json
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from typing import Final

import numpy as np

from radloop.domain.errors import Rejected, Undecodable
from radloop.pixels.decoding import decode_coloured, decode_frame
from radloop.pixels.limits import Limits
from radloop.process import die_with_parent

LONGEST_MESSAGE: Final = 4096


def main(control: int, memory: int, limits: Limits) -> None:
    """Answer requests until the other end closes."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.memory, limits.memory))
    with socket.socket(fileno=control) as peer:
        peer.send(b"{}")
        while request := peer.recv(LONGEST_MESSAGE):
            # SIGALRM ends a process that has no handler for it: also one that hangs inside a decoder.
            signal.setitimer(signal.ITIMER_REAL, limits.seconds + 1.0)
            answer = _answer(json.loads(request), memory, limits)
            signal.setitimer(signal.ITIMER_REAL, 0)
            peer.send(json.dumps(answer).encode())


def _answer(request: dict[str, int | None], memory: int, limits: Limits) -> dict[str, object]:
    try:
        decode = decode_coloured if request["colour"] else decode_frame
        facts, pixels = decode(_read(memory, request["size"] or 0), request["frame"], limits)
        _write(memory, pixels.reshape(-1).view(np.uint8).data)
    except Rejected as error:
        return {"code": error.code, "reason": str(error)}
    except (MemoryError, OSError):
        return {"code": Undecodable.code, "reason": "the decoder ran out of memory"}
    return asdict(facts)


def _read(memory: int, size: int) -> bytes:
    return os.pread(memory, size, 0)


def _write(memory: int, data: memoryview) -> None:
    os.ftruncate(memory, 0)
    at = 0
    while at < len(data):
        at += os.pwrite(memory, data[at:], at)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Limits(**json.loads(sys.argv[3])))
