"""What every process of ours does: die with its parent, say that it is ready, find a free port."""

import ctypes
import json
import os
import signal
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A process that is ready, and the port (None where it listens on none) that it took."""

    name: str
    pid: int
    port: int | None


def die_with_parent(sig: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to end this process when its parent ends, even by kill -9 (prctl(2), Linux)."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sig))
    if os.getppid() != parent:  # the parent died between the two calls
        os.kill(os.getpid(), sig)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free now."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def announce(home: Path, name: str, port: int | None) -> None:
    """Write `home/run/NAME.json`: from now on this process counts as ready."""
    folder = home / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(Announcement(name, os.getpid(), port))))
    temporary.replace(folder / f"{name}.json")


def announced(home: Path, name: str) -> Announcement | None:
    """What a process said of itself, or None where it has not, or only half of it, or has died since."""
    try:
        said = Announcement(**json.loads((home / "run" / f"{name}.json").read_text()))
        os.kill(said.pid, 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, TypeError):
        return None
    return said
