"""What the supervisor says of its processes, in `home/run/supervisor.json`; and the lock that makes it the only one."""

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from radloop.domain.errors import Unavailable
from radloop.process import announced


class ProcessState(StrEnum):
    """Where one process stands."""

    STARTING = "STARTING"
    """It runs, but has not said that it is ready."""
    READY = "READY"
    """It runs and answers."""
    UNREADY = "UNREADY"
    """It ran well before, but cannot take work now: no space, no ledger."""
    RESTARTING = "RESTARTING"
    """It died and waits for its next start."""
    STOPPED = "STOPPED"
    """It does not run, and nothing will start it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One process. `failures` counts the deaths in a row, `exit_code` is of the last one (negative: a signal)."""

    name: str
    pid: int | None
    state: ProcessState
    port: int | None
    essential: bool
    failures: int = 0
    exit_code: int | None = None


def run_folder(home: Path) -> Path:
    """`home/run`, made where it is missing."""
    folder = home / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_board(home: Path, entries: Iterable[Entry]) -> None:
    """Replace the board, whole or not at all."""
    target = run_folder(home) / "supervisor.json"
    temporary = target.with_name(f".supervisor.{os.getpid()}")
    temporary.write_text(json.dumps([asdict(entry) for entry in entries]))
    temporary.replace(target)


def read_board(home: Path) -> tuple[Entry, ...]:
    """The processes as the running supervisor sees them; empty where none runs."""
    if not held(home):
        return ()
    try:
        rows = json.loads((home / "run" / "supervisor.json").read_text())
    except (OSError, ValueError):
        return ()
    return tuple(_as_it_is_now(home, Entry(**{**row, "state": ProcessState(row["state"])})) for row in rows)


def _as_it_is_now(home: Path, entry: Entry) -> Entry:
    # A process takes its announcement back while it cannot work; the supervisor need not run after each change.
    if entry.state is ProcessState.READY and announced(home, entry.name) is None:
        return replace(entry, state=ProcessState.UNREADY)
    return entry


def lock_path(home: Path) -> Path:
    """The file whose lock belongs to the one supervisor of a home."""
    return home / "run" / "supervisor.lock"


def take_lock(home: Path) -> int:
    """Take the lock, for as long as the descriptor that is returned stays open (in us or in a child of ours).

    Raises:
        Unavailable: another supervisor holds it.
    """
    run_folder(home)
    fd = os.open(lock_path(home), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Unavailable("radloop is running already for this home") from None
    os.ftruncate(fd, 0)
    return fd


def held(home: Path) -> bool:
    """Whether a supervisor of this home, or what guards it, still lives."""
    try:
        fd = os.open(lock_path(home), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sign_lock(fd: int, pid: int) -> None:
    """Write down whom `radloop down` signals."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(pid).encode(), 0)


def supervisor_pid(home: Path) -> int | None:
    """The pid of the running supervisor, or None."""
    try:
        text = lock_path(home).read_text()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() and held(home) else None
