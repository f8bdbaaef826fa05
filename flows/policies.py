"""Retry policies under names. A call site wears one; no other module counts attempts or draws jitter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from radloop.domain.errors import Transient
from radloop.settings import DeliverySettings

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first` to `longest` seconds, each drawn evenly from zero to its cap ("full jitter")."""

    first: float
    longest: float

    def cap(self, attempt: int) -> float:
        """The longest that the wait after try number `attempt` (from 1) may be, in seconds."""
        # 2**60 seconds is for ever; the bound keeps a float from overflowing after years of tries.
        return float(min(self.longest, self.first * 2 ** min(max(attempt, 1) - 1, 60)))

    def wait(self, attempt: int) -> float:
        """Seconds to wait after try number `attempt` (from 1)."""
        return random.uniform(0.0, self.cap(attempt))  # noqa: S311 - spreads load, keeps no secret


LEDGER = Backoff(first=0.1, longest=5.0)
"""The ledger is locked or away: everything waits for it, so look again soon."""
ORCHESTRATOR = Backoff(first=3.0, longest=15.0)
"""The Prefect server is away: nothing waits for it."""
PREFECT = Backoff(first=0.2, longest=1.6)
"""The Prefect server is busy with its database: a person waits for the answer."""
SENDER = Backoff(first=10.0, longest=300.0)
"""A sender that did not answer C-FIND: it is a courtesy question, so ask rarely."""
COMMITMENT = Backoff(first=60.0, longest=3600.0)
"""A peer that has not answered for storage commitment: archives may take their time."""
NOTICE = Backoff(first=5.0, longest=900.0)
"""A mail server or webhook that does not take a notice: people wait for it, nothing else does."""
AUDIT_SERVER = Backoff(first=2.0, longest=300.0)
"""The site's audit server is away: what is to go there waits in the ledger, and nothing waits for it."""
REGISTRY = Backoff(first=10.0, longest=300.0)
"""MLflow is away or broken: only its pages wait for it, and each try costs seconds of a processor."""
BROKEN_STUDY_SECONDS = 60.0
"""A study that broke our own code is tried again after this long, and logged each time."""


def delivery(settings: DeliverySettings) -> Backoff:
    """As the site says, for deliveries."""
    return Backoff(settings.first_retry_seconds, settings.longest_retry_seconds)


def a_few_times(policy: Backoff, tries: int, call: Callable[[], T]) -> T:
    """Call until it raises no Transient, at most `tries` times, the last of which may raise it. Blocks."""
    for attempt in range(1, tries):
        try:
            return call()
        except Transient:
            time.sleep(policy.wait(attempt))
    return call()


async def patiently(policy: Backoff, what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Await `call` until it raises no Transient. `what` names it in the log."""
    attempt = 1
    while True:
        try:
            return await call()
        except Transient as error:
            log.warning("waiting", what=what, code=error.code, attempt=attempt)
            await asyncio.sleep(policy.cap(attempt) / 2 + policy.wait(attempt) / 2)
            attempt += 1
