"""Waiting for things to happen, and what a promise in seconds means to a test that shares its machine.

A test marked `timed` runs twice: in `make test`, where several workers share the cores and its seconds are multiplied
by their number, and in `make campaign`, alone and to the second.
"""

import os
import time
from collections.abc import Callable


def seconds_here(promised: float) -> float:
    """The bound for something promised within so many seconds on a machine that does nothing else."""
    return promised * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def until(
    fine: Callable[[], object], seconds: float = 20.0, otherwise: Callable[[], str] = str, pause: float = 0.02
) -> float:
    """Wait until `fine()`; how many seconds that took.

    Raises:
        AssertionError: it was not so in time; with the words of `otherwise`.
    """
    begun = time.monotonic()
    while not fine():
        assert time.monotonic() - begun < seconds_here(seconds), f"not within {seconds} s {otherwise()}"
        time.sleep(pause)
    return time.monotonic() - begun
