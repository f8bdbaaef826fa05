"""What the command line does with the supervisor: start it, wait for it, stop it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radloop.domain.errors import Unavailable
from radloop.settings import child_environment
from serving.supervisor import family
from serving.supervisor.board import Entry, ProcessState, held, read_board, supervisor_pid
from serving.supervisor.keeper import log_file

START_SECONDS: Final = 15.0
HOPELESS_FAILURES: Final = 6
GENTLE_SECONDS: Final = 15.0
HARD_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.1
TAIL_BYTES: Final = 4096


def command(home: Path) -> tuple[str, ...]:
    """The supervisor's own command line."""
    return (sys.executable, "-m", "serving.supervisor", "--home", str(home))


def start(home: Path, *options: str) -> bool:
    """Start the supervisor, detached (with `--tied` only until we end); False where it runs already.

    Raises:
        Unavailable: it did not come up; its log says why.
    """
    if (pid := supervisor_pid(home)) is not None and _alive(pid):
        return False
    started = _spawn_detached(home, options)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if supervisor_pid(home) is not None and read_board(home):
            return True
        if os.waitpid(started, os.WNOHANG)[0]:
            break
        time.sleep(POLL_SECONDS)
    raise Unavailable(
        f"the supervisor did not come up; {log_file(home, 'supervisor')} ends with:\n{tail(home, 'supervisor')}"
    )


def _spawn_detached(home: Path, options: tuple[str, ...]) -> int:
    _wait_until_free(home)
    log = str(log_file(home, "supervisor"))
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    argv = (*command(home), *options)
    return os.posix_spawn(argv[0], argv, child_environment({}), file_actions=actions, setsid=True)


def _wait_until_free(home: Path) -> None:
    # After kill -9 of the supervisor its guardian needs a moment to end the rest.
    deadline = time.monotonic() + HARD_SECONDS
    while held(home) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def watch(home: Path, seconds: float) -> Iterator[tuple[Entry, ...]]:
    """The processes, again and again, until all are ready, the time is over, or waiting is hopeless."""
    deadline = time.monotonic() + seconds
    while True:
        entries = read_board(home)
        yield entries
        done = bool(entries) and all(entry.state is ProcessState.READY for entry in entries)
        hopeless = any(entry.essential and entry.failures >= HOPELESS_FAILURES for entry in entries) or not held(home)
        if done or hopeless or time.monotonic() >= deadline:
            return
        time.sleep(POLL_SECONDS)


def is_ready(entries: tuple[Entry, ...]) -> bool:
    """Whether studies are taken and answered: every essential process is ready."""
    essential = [entry for entry in entries if entry.essential]
    return bool(essential) and all(entry.state is ProcessState.READY for entry in essential)


def stop(home: Path) -> bool:
    """Stop everything, gently and then hard, and wait until nothing is left; False where nothing ran.

    Raises:
        Unavailable: something is still there.
    """
    ran = held(home)
    for number, seconds in ((signal.SIGTERM, GENTLE_SECONDS), (signal.SIGKILL, HARD_SECONDS)):
        _signal_until_free(home, number, seconds)
    if held(home) or not family.end_marked(family.mark_of(home), HARD_SECONDS):
        raise Unavailable("not every process could be ended")
    return ran


def _signal_until_free(home: Path, number: signal.Signals, seconds: float) -> None:
    deadline, told = time.monotonic() + seconds, set[int]()
    while held(home) and time.monotonic() < deadline:
        # One that is just starting signs the lock a moment after it took it.
        pid = supervisor_pid(home)
        if pid is not None and pid not in told:
            family.kill({pid}, number)
            told.add(pid)
        time.sleep(0.05)


def tail(home: Path, name: str, lines: int = 15) -> str:
    """The end of a process's log."""
    try:
        data = log_file(home, name).read_bytes()[-TAIL_BYTES:]
    except OSError:
        return ""
    return "\n".join(data.decode(errors="replace").splitlines()[-lines:])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
