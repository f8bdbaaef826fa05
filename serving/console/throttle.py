"""How often somebody may fail to log in: counted per address and per name, in this process's memory."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from serving.console.refusals import TooMany

WINDOW_SECONDS: Final = 300.0
MOST_KEYS: Final = 10_000


class Throttle:
    """Failures of the last five minutes, by key. `most` is how many each key may have."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, keys: Iterable[str]) -> None:
        """Whether one more try is allowed.

        Raises:
            TooMany: one of the keys has failed too often; says when it may again.
        """
        with self._lock:
            waits = [self._wait(key) for key in keys]
        if wait := max(waits, default=0.0):
            raise TooMany("too many failed logins; try again later", retry_after=wait)

    def failed(self, keys: Iterable[str]) -> None:
        """One try of these failed."""
        with self._lock:
            if len(self._failures) > MOST_KEYS:
                self._failures = {key: times for key, times in self._failures.items() if self._recent(times)}
            for key in keys:
                self._failures.setdefault(key, deque(maxlen=self._most)).append(self._now())

    def _wait(self, key: str) -> float:
        times = self._failures.get(key, deque())
        return WINDOW_SECONDS - (self._now() - times[0]) if self._recent(times) >= self._most else 0.0

    def _recent(self, times: deque[float]) -> int:
        while times and self._now() - times[0] >= WINDOW_SECONDS:
            times.popleft()
        return len(times)
