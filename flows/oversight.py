"""What the runner does beside the studies: stop rules, warmth of the versions that may be asked, and the shadows.

Nothing here may hold up a study: the rounds are rare, a failure is logged and the next round tries again.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from flows import audit_forwarding, notices, policies, shadow, stop_rules, warmth
from flows.house import House
from radloop.domain.enums import Standing
from radloop.domain.errors import RadloopError
from radloop.ledger import models as model_rows

log = structlog.get_logger()
WARM: Final = (Standing.CHAMPION, Standing.SHADOW, Standing.PREVIOUS)
"""Who is kept ready: who answers, who is asked silently, and who would answer after a rollback."""
REMIND_SECONDS: Final = 20.0
"""Inference is told again this often what is wanted: it may have been restarted, and it puts away what is not."""

Wanted = dict[str, tuple[str, ...]]


class Oversight:
    """The rounds of one runner. `busy` says whether a study waits for its champion."""

    def __init__(self, house: House, busy: Callable[[], bool]) -> None:
        self._house = house
        self._busy = busy
        self._told: Wanted = {}
        self._told_at = float("-inf")
        self._aside = ThreadPoolExecutor(1, "audit-forwarding")

    async def watch(self) -> None:
        """Stop rules and warmth, until cancelled."""
        while True:
            await asyncio.sleep(self._house.settings.standing.watch_seconds)
            await _tried("stop rules", asyncio.to_thread(stop_rules.enforce, self._house))
            await _tried("warming", asyncio.to_thread(self._keep_warm))

    async def follow(self) -> None:
        """The shadows, until cancelled: again at once while they have work, and no study waits."""
        while True:
            done = await _tried("the shadow", shadow.answer_due(self._house, self._busy))
            if not done:
                await asyncio.sleep(self._house.settings.standing.watch_seconds)

    async def tell(self) -> None:
        """Notices of alarms, until cancelled: a mail server that hangs holds up nothing else."""
        while True:
            await _tried("notices", asyncio.to_thread(notices.tell_due, self._house))
            await asyncio.sleep(self._house.settings.standing.watch_seconds)

    async def forward(self) -> None:
        """The audit record to the site's server, until cancelled: at once while there is more, rarely while it is away.

        In a thread of its own, that nobody waits for: a server that hangs holds up nothing, not even our end.
        """
        failed = 0
        while self._house.settings.audit.syslog is not None:
            work = asyncio.get_running_loop().run_in_executor(self._aside, audit_forwarding.forward_due, self._house)
            done = await _tried("forwarding the audit", work)
            failed = failed + 1 if done is None else 0
            await asyncio.sleep(policies.AUDIT_SERVER.wait(failed) if failed else audit_forwarding.rest_after(done))

    def _keep_warm(self) -> None:
        wanted = self._wanted()
        if wanted == self._told and time.monotonic() - self._told_at < REMIND_SECONDS:
            return
        for name, digests in wanted.items():
            for digest, code in warmth.warm(self._house, name, digests).refused.items():
                log.error("inference refuses a version", model=name, digest=digest, code=code)
        self._told, self._told_at = wanted, time.monotonic()

    def _wanted(self) -> Wanted:
        """The digests to be kept ready, by model; the champion first."""
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        with self._house.ledger.read() as conn:
            for version in model_rows.known(conn):
                if version.standing in WARM:
                    found[version.name].append((WARM.index(version.standing), version.digest))
        return {name: tuple(digest for _, digest in sorted(ranked)) for name, ranked in found.items()}


async def _tried(what: str, work: Awaitable[object]) -> object:
    """What the work came to; None, and a line in the log, where it failed."""
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    if isinstance(outcome, asyncio.CancelledError):
        raise outcome
    if isinstance(outcome, BaseException):
        code = outcome.code if isinstance(outcome, RadloopError) else type(outcome).__name__
        log.warning("oversight failed", what=what, error=code)
        return None
    return outcome
