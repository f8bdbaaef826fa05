"""Processes and their descendants, as the kernel knows them (proc(5), prctl(2)): start, find, reap, end.

Three guards keep orphans from holding a port:

- a child asks for SIGKILL when the supervisor dies (PR_SET_PDEATHSIG), which its own children do not inherit;
- guardian and supervisor are subreapers (PR_SET_CHILD_SUBREAPER): a dead child's children become theirs, and end;
- every process carries MARK in its environment, so that a later start finds what outlived both.
"""

import ctypes
import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from radloop.process import die_with_parent

PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)
MARK: Final = "RADLOOP_KEPT_BY"
CANNOT_EXECUTE: Final = 127
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Kin:
    """One process of /proc: its parent and its session."""

    pid: int
    parent: int
    session: int


@dataclass(frozen=True, slots=True)
class Program:
    """What is started: `log` takes both of its outputs, appended. `niceness` is what it yields to the others, 0..19."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    niceness: int = 0


def become_subreaper() -> None:
    """From now on orphans below us become our children instead of init's."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def mark_of(home: Path) -> str:
    """The value of MARK for this home."""
    return hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]


def spawn(program: Program) -> int:
    """Start a program in a session of its own, bound to our life; its pid. Call it from the main thread only.

    The kernel sends the death signal when the thread that forked ends (prctl(2)), hence the main thread.

    Raises:
        OSError: its log cannot be opened, or the machine has no room for another process.
    """
    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, log, parent)
    finally:
        os.close(log)
    return pid


def _become(program: Program, log: int, parent: int) -> NoReturn:
    # Between fork and exec nothing may raise into the parent's code.
    try:
        os.setsid()
        die_with_parent()
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            _redirect(log)
            os.nice(program.niceness)
            os.execve(program.argv[0], program.argv, program.environment)  # noqa: S606 - a list of arguments, no shell
    finally:
        os._exit(CANNOT_EXECUTE)


def _redirect(log: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def reap() -> Iterator[tuple[int, int]]:
    """Every child that has ended since the last call: (pid, exit code, negative for a signal)."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def living() -> tuple[Kin, ...]:
    """Every process that the kernel shows us, zombies left out."""
    found = (_kin(path) for path in PROC.iterdir() if path.name.isdigit())
    return tuple(kin for kin in found if kin is not None)


def _kin(folder: Path) -> Kin | None:
    try:
        stat = (folder / "stat").read_bytes()
    except OSError:
        return None
    # proc(5): pid (comm) state ppid pgrp session; the name may hold spaces, brackets and half a character (the kernel
    # cuts it after 15 bytes), so from the last bracket on.
    state, parent, _group, session = stat.rpartition(b")")[2].split()[:4]
    return None if state in b"ZX" else Kin(int(folder.name), int(parent), int(session))


def descendants(of: int, kin: tuple[Kin, ...]) -> set[int]:
    """The pids below `of`, at any depth."""
    found: set[int] = set()
    wave = {of}
    while wave:
        wave = {k.pid for k in kin if k.parent in wave} - found
        found |= wave
    return found


def orphans_of(session: int, *, keep: set[int]) -> set[int]:
    """What a dead child left: members of its session, and our own children that are not in `keep`, with all below."""
    kin = living()
    roots = {k.pid for k in kin if k.session == session or (k.parent == os.getpid() and k.pid not in keep)}
    return roots.union(*(descendants(root, kin) for root in roots)) - keep


def marked(mark: str) -> set[int]:
    """The processes, ours aside, that carry this mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    return {kin.pid for kin in living() if kin.pid != os.getpid() and wanted in _environment(kin.pid)}


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def kill(pids: set[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal them all; one that is gone already is fine."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_descendants(seconds: float) -> bool:
    """Kill everything below us until nothing is left or the time is over; whether nothing is left."""
    deadline = time.monotonic() + seconds
    while below := descendants(os.getpid(), living()):
        kill(below)
        list(reap())
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    list(reap())
    return True


def end_marked(mark: str, seconds: float) -> bool:
    """Kill what an earlier supervisor of the same home left behind; whether nothing is left."""
    deadline = time.monotonic() + seconds
    while leftovers := marked(mark):
        kill(leftovers)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
