"""Waiting for things to happen, and what they cost."""

import time
from collections.abc import Callable


def until(fine: Callable[[], object], seconds: float = 10.0, otherwise: Callable[[], str] = str) -> float:
    """Wait until `fine()`; how many seconds that took.

    Raises:
        AssertionError: it was not so within `seconds`; with the words of `otherwise`.
    """
    begun = time.monotonic()
    while not fine():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s {otherwise()}"
        time.sleep(0.02)
    return time.monotonic() - begun


def cost(deed: Callable[[], object], times: int = 5) -> float:
    """Seconds that `deed` takes where nothing else has the processor: the shortest of several, as timeit does it."""

    def once() -> float:
        begun = time.perf_counter()
        deed()
        return time.perf_counter() - begun

    return min(once() for _ in range(times))
