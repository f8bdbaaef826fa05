"""Shows what the runner does as Prefect runs, without ever standing in its way.

The work is the runner's own: it starts at once, whatever Prefect does. One flow run at a time shows the work that came
up since the last one, so that a quiet site sees a run per study and a busy one a run per batch. A run costs 0.3 seconds
of processor (client and server together), as much as reading a radiograph: it is made when the study has left, or after
SHOWN_AFTER_SECONDS. A server that is away or hangs costs the studies nothing; the mirror says so, and looks for it
every few seconds.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import httpx
import structlog

from flows import policies, works
from flows.environment import client_environment
from flows.house import House
from radloop.domain.errors import Unavailable
from radloop.settings import export

log = structlog.get_logger()
STATE_FILE: Final = "runner-state.json"
RUN_SECONDS: Final = 120.0
"""A run that shows work for longer than this is left to itself."""
SHOWN_AFTER_SECONDS: Final = 3.0
"""Work that takes longer than this is shown while it runs."""
QUIET_SECONDS: Final = 0.2
"""A study's deliveries follow it within this time."""
WAITING_AT_MOST: Final = 1000
"""Work that waits to be shown; older work goes unshown where there is more."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Work under way. `peer` is set for deliveries, whose ids `ids` are; without it they are study versions."""

    ids: tuple[str, ...]
    work: "asyncio.Task[str]"
    peer: str = ""


class Mirror:
    """One per runner. `show` never blocks; `run` is its task."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._waiting: list[Shown] = []
        self._wake = asyncio.Event()
        self._runs: ModuleType | None = None
        self._away = 0

    def show(self, shown: Shown) -> None:
        """Have work shown as soon as Prefect has time."""
        self._waiting = [*self._waiting, shown][-WAITING_AT_MOST:]
        self._wake.set()

    async def run(self) -> None:
        """Show what comes up, for ever."""
        self._say("away")
        while True:
            await self._connected()
            await self._wake.wait()
            await self._quiet()
            self._wake.clear()
            while self._waiting and not self._away:
                await self._show_next()

    async def _quiet(self) -> None:
        """Until all work that waits to be shown is done and nothing more came up, or it takes too long."""
        give_up = time.monotonic() + SHOWN_AFTER_SECONDS
        while time.monotonic() < give_up:
            before = len(self._waiting)
            await asyncio.sleep(QUIET_SECONDS)
            if len(self._waiting) == before and all(shown.work.done() for shown in self._waiting):
                return

    async def _connected(self) -> None:
        """Return once the server answers."""
        while not await self._server_answers():
            self._lost()
            await asyncio.sleep(policies.ORCHESTRATOR.cap(self._away))
        if self._runs is None:
            export(client_environment(self._house.settings, self._url()))
            self._runs = await asyncio.to_thread(import_module, "flows.runs")
        self._away = 0
        self._say("up")

    def _lost(self) -> None:
        self._away += 1
        if self._away == 1:
            log.warning("prefect is away: studies are read and answers delivered without it")
            self._say("away")
        # What was read meanwhile is on record in the ledger; runs begin afresh when the server is back.
        self._waiting = []

    async def _server_answers(self) -> bool:
        try:
            answer = await self._house.http.get(
                f"{self._url()}/api/health", timeout=self._house.settings.runner.flow_timeout_seconds
            )
        except (Unavailable, httpx.HTTPError):
            return False
        return answer.status_code == httpx.codes.OK

    def _url(self) -> str:
        return self._house.url_of("prefect", self._house.settings.prefect.port)

    async def _show_next(self) -> None:
        batch, self._waiting = take(self._waiting, self._house.settings.runner.batch)
        under_way = {one_id: shown.work for shown in batch for one_id in shown.ids}
        token = works.under_way.set(under_way)
        try:
            call = asyncio.create_task(self._call(batch))
        finally:
            works.under_way.reset(token)
        await asyncio.wait({call, *under_way.values()}, timeout=RUN_SECONDS, return_when=asyncio.ALL_COMPLETED)
        await self._conclude(call, under_way)

    async def _conclude(self, call: "asyncio.Task[None]", under_way: Mapping[str, "asyncio.Task[str]"]) -> None:
        """A run that fails although its work did not has lost its server."""
        if not call.done():
            call.cancel()
        await asyncio.wait({call})
        failed = call.cancelled() or call.exception() is not None
        worked = all(work.done() and not work.cancelled() and not work.exception() for work in under_way.values())
        if worked and failed:
            await self._connected()

    async def _call(self, batch: Sequence[Shown]) -> None:
        runs = self._runs
        if runs is None:
            return
        # The server may have come back on another port.
        settings = import_module("prefect.settings")
        with settings.temporary_settings({settings.PREFECT_API_URL: f"{self._url()}/api"}):
            await self._flow_of(runs, batch)

    def _flow_of(self, runs: ModuleType, batch: Sequence[Shown]) -> Awaitable[None]:
        triage: Callable[[Sequence[str]], Awaitable[None]] = runs.triage
        deliver: Callable[[Mapping[str, Sequence[str]]], Awaitable[None]] = runs.deliver
        if not batch[0].peer:
            return triage([one for shown in batch for one in shown.ids])
        by_peer: dict[str, list[str]] = {}
        for shown in batch:
            by_peer.setdefault(shown.peer, []).extend(shown.ids)
        return deliver(by_peer)

    def _say(self, prefect: str) -> None:
        _write_state(self._house.settings.home / "run" / STATE_FILE, {"prefect": prefect})


def take(waiting: Sequence[Shown], at_most: int) -> tuple[list[Shown], list[Shown]]:
    """The next batch of one kind, and what is left."""
    deliveries = bool(waiting[0].peer)
    alike = [shown for shown in waiting if bool(shown.peer) == deliveries][:at_most]
    return alike, [shown for shown in waiting if shown not in alike]


def _write_state(path: Path, state: Mapping[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(state))
    temporary.replace(path)
