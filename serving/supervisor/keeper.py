"""The loop: start every row, see it become ready, start it again when it dies, stop them all when told to."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from serving.supervisor import family
from serving.supervisor.board import Entry, ProcessState, write_board
from serving.supervisor.probes import forget, is_ready
from serving.supervisor.table import Row

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0
GENTLE_SECONDS: Final = 8.0
HARD_SECONDS: Final = 5.0
BUSY_TICK_SECONDS: Final = 0.1
IDLE_TICK_SECONDS: Final = 5.0
LOG_BYTES: Final = 16 << 20
YIELDING: Final = 5
"""Niceness of what answers no study: a server that starts or vacuums must not hold up a reading."""
STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
WATCHED: Final = STOP | {signal.SIGCHLD}


@dataclass(slots=True)
class Child:
    """One row at work. `due` is the monotonic time of its next start while it does not run."""

    row: Row
    state: ProcessState = ProcessState.STARTING
    pid: int | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    exit_code: int | None = None

    def entry(self) -> Entry:
        """What the board says of it."""
        return Entry(
            name=self.row.name,
            pid=self.pid,
            state=self.state,
            port=self.row.port,
            essential=self.row.essential,
            failures=self.failures,
            exit_code=self.exit_code,
        )

    def put_off(self, now: float) -> None:
        """It does not run, once more: its next start is later for every time in a row."""
        self.failures += 1
        self.due, self.state = now + pause_after(self.failures), ProcessState.RESTARTING


class Keeper:
    """Keeps the rows of one home up. One thread, and the process must have no other."""

    def __init__(self, home: Path, rows: tuple[Row, ...], environment: Mapping[str, str]) -> None:
        self._home = home
        self._children = [Child(row) for row in rows]
        self._environment = {**environment, family.MARK: family.mark_of(home)}
        self._log = structlog.get_logger()
        self._board: list[Entry] = []
        self._codes: dict[int, int] = {}
        self._failing: set[str] = set()

    def run(self) -> None:
        """Until a signal of STOP; afterwards nothing below us is left."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while True:
            self._start_due()
            self._look_for_ready()
            self._publish()
            caught = signal.sigtimedwait(WATCHED, self._tick())
            if caught is not None and caught.si_signo in STOP:
                break
            self._bury()
        self._stop()

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid is None and child.due <= now:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        with self._enduring(f"start {child.row.name}"):
            child.pid = self._spawn(child.row)
            child.state, child.started = ProcessState.STARTING, now
            self._log.info("process started", name=child.row.name, pid=child.pid)
        if child.pid is None:
            child.put_off(now)

    def _spawn(self, row: Row) -> int:
        forget(self._home, row)
        program = family.Program(
            argv=row.argv,
            environment={**self._environment, **row.environment},
            log=log_file(self._home, row.name),
            niceness=0 if row.essential else YIELDING,
        )
        return family.spawn(program)

    @contextmanager
    def _enduring(self, deed: str) -> Iterator[None]:
        """A full disk, or no room for a process, must not end the house: said once, and tried again at a next look."""
        try:
            yield
        except OSError as error:
            if deed not in self._failing:
                self._log.error("the house cannot", deed=deed, reason=error.strerror)
            self._failing.add(deed)
        else:
            self._failing.discard(deed)

    def _look_for_ready(self) -> None:
        for child in self._children:
            if child.state is ProcessState.STARTING and child.pid:
                with self._enduring(f"announce {child.row.name}"):
                    self._look_at(child)

    def _look_at(self, child: Child) -> None:
        if is_ready(self._home, child.row):
            child.state = ProcessState.READY
            seconds = round(time.monotonic() - child.started, 2)
            self._log.info("process ready", name=child.row.name, pid=child.pid, seconds=seconds)

    def _tick(self) -> float:
        busy = any(child.state is not ProcessState.READY for child in self._children)
        return BUSY_TICK_SECONDS if busy else IDLE_TICK_SECONDS

    def _bury(self) -> None:
        self._codes.update(family.reap())
        # While the orphans of one are ended, others may die: look again until nobody is left to bury.
        while dead := [child for child in self._children if child.pid in self._codes]:
            for child in dead:
                self._died(child, self._codes.pop(child.pid or 0))
        self._codes.clear()

    def _died(self, child: Child, code: int) -> None:
        pid, now = child.pid or 0, time.monotonic()
        if now - child.started >= STEADY_SECONDS:
            child.failures = 0
        child.pid, child.exit_code = None, code
        child.put_off(now)
        self._forget(child.row)
        self._log.warning("process died", name=child.row.name, pid=pid, exit_code=code, failures=child.failures)
        with self._enduring(f"end what {child.row.name} left"):
            self._end_orphans(pid)

    def _forget(self, row: Row) -> None:
        with self._enduring(f"forget {row.name}"):
            forget(self._home, row)

    def _end_orphans(self, session: int) -> None:
        """End what a dead child left behind, so that its next start finds its port free."""
        keep = {child.pid for child in self._children if child.pid is not None}
        deadline = time.monotonic() + HARD_SECONDS
        while (left := family.orphans_of(session, keep=keep)) and time.monotonic() < deadline:
            family.kill(left)
            time.sleep(0.01)
            self._codes.update(family.reap())

    def _publish(self) -> None:
        board = [child.entry() for child in self._children]
        if board != self._board:
            with self._enduring("write the board"):
                write_board(self._home, board)
                self._board = board

    def _stop(self) -> None:
        """Gently, then hard."""
        self._log.info("stopping")
        family.kill({child.pid for child in self._children if child.pid is not None}, signal.SIGTERM)
        deadline = time.monotonic() + GENTLE_SECONDS
        while self._running() and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, BUSY_TICK_SECONDS)
            self._lay_down()
        family.end_descendants(HARD_SECONDS)
        for child in self._children:
            child.pid, child.state = None, ProcessState.STOPPED
            self._forget(child.row)
        self._publish()
        self._log.info("stopped")

    def _running(self) -> bool:
        return any(child.pid is not None for child in self._children)

    def _lay_down(self) -> None:
        codes = dict(family.reap())
        for child in self._children:
            if child.pid in codes:
                child.exit_code, child.pid = codes[child.pid], None


def pause_after(failures: int) -> float:
    """Seconds before the next start after so many deaths in a row: 0.2, 0.4, ... 10."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16), LONGEST_PAUSE_SECONDS))


def log_file(home: Path, name: str) -> Path:
    """`home/logs/NAME.log`; one that has grown past LOG_BYTES is set aside as `.1` first."""
    folder = home / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{name}.log.1"))
    return path
