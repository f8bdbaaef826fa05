"""What readers share while they read: who has which study open, one look at the list for all, rows drawn once.

All of it lives in the process: whoever comes after a restart finds the same from the ledger.
"""

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

from flows.house import House
from radloop.ledger import worklist as worklist_rows
from serving.console.live import Pulse
from serving.console.seen import Views

MOST_KEPT: Final = 64
"""Drawn pages that are kept; one for every filter that somebody watches is what is needed."""
MOST_ROWS: Final = 2000
LIST_EVERY_SECONDS: Final = 2.0
STUDY_EVERY_SECONDS: Final = 2.0
T = TypeVar("T")


class Presence:
    """Who has which study open: those whose page listens."""

    def __init__(self) -> None:
        self._open: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()
        self.changes = 0

    @contextmanager
    def reading(self, version_id: str, actor: str) -> Iterator[None]:
        """While this lasts, the actor has the study open."""
        self._count(version_id, actor, 1)
        try:
            yield
        finally:
            self._count(version_id, actor, -1)

    def of(self, version_id: str) -> tuple[str, ...]:
        """The names of those who have it open now."""
        with self._lock:
            return tuple(sorted(self._open.get(version_id, ())))

    def _count(self, version_id: str, actor: str, by: int) -> None:
        with self._lock:
            here = self._open.setdefault(version_id, Counter())
            here[actor] += by
            self.changes += 1
            if here[actor] <= 0:
                del here[actor]
            if not here:
                del self._open[version_id]


class Kept:
    """A few things that were made, each under a key that changes when it must be made again."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._made: OrderedDict[object, tuple[object, object]] = OrderedDict()
        self._locks: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: object, stamp: object, make: Callable[[], T]) -> T:
        """What was made under this key at this stamp; of many who ask at once one makes it."""
        with self._lock:
            turn = self._locks.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                found = self._made.get(key)
            if found is not None and found[0] == stamp:
                kept: T = found[1]  # type: ignore[assignment]
                return kept
            try:
                made = make()
            except BaseException:
                self._forget(key)
                raise
            self._keep(key, stamp, made)
            return made

    def _forget(self, key: object) -> None:
        with self._lock:
            self._made.pop(key, None)
            self._locks.pop(key, None)

    def _keep(self, key: object, stamp: object, made: object) -> None:
        with self._lock:
            self._made[key] = (stamp, made)
            self._made.move_to_end(key)
            while len(self._made) > self._most:
                gone, _ = self._made.popitem(last=False)
                self._locks.pop(gone, None)


class Shared:
    """As `Kept`, for streams: of many that wait for the same one has it made, in a thread; the others hold none."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._making: OrderedDict[object, tuple[object, asyncio.Task[Any]]] = OrderedDict()

    async def get(self, key: object, stamp: object, make: Callable[[], T]) -> T:
        """What was, or is being, made under this key at this stamp."""
        held = self._making.get(key)
        if held is None or held[0] != stamp or _failed(held[1]):
            held = stamp, asyncio.create_task(run_in_threadpool(make))
            self._making[key] = held
            while len(self._making) > self._most:
                self._making.popitem(last=False)
        made: T = await asyncio.shield(held[1])
        return made


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


class ReadingRoom:
    """One per process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.presence = Presence()
        self.kept = Kept()
        self.rows = Kept(MOST_ROWS)
        self.shared = Shared()
        self.views = Views(house)
        self.worklist = Pulse(self.look, every_seconds=LIST_EVERY_SECONDS)
        self._studies: dict[str, Pulse] = {}

    def look(self) -> str:
        """The stamp of the list, now."""
        with self._house.ledger.read() as conn:
            return f"{worklist_rows.stamp(conn)}{self.presence.changes}"

    def study(self, version_id: str) -> Pulse:
        """What tells that something of a study version changed: a result, a verdict, a sign-off, a newer version."""
        self._studies = {key: one for key, one in self._studies.items() if one.listened or key == version_id}
        return self._studies.setdefault(
            version_id, Pulse(lambda: self._look_at(version_id), every_seconds=STUDY_EVERY_SECONDS)
        )

    def _look_at(self, version_id: str) -> str:
        with self._house.ledger.read() as conn:
            return worklist_rows.stamp_of(conn, version_id)


async def while_present(presence: Presence, version_id: str, actor: str, stream: AsyncIterable[T]) -> AsyncIterator[T]:
    """The stream; while somebody listens to it, they have the study open."""
    with presence.reading(version_id, actor):
        async for text in stream:
            yield text
