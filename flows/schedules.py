"""Schedules as IT handles them: list, pause, resume, run now. The settings say what there is, Prefect when it runs.

for row in schedules.show(settings): ...
schedules.pause(settings, "night")
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Final, TypeVar

import httpx

from flows.environment import client_environment
from radloop.domain.errors import NotFound, Unavailable
from radloop.settings import Settings, export

T = TypeVar("T")
HEALTH_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """One schedule: what it runs and when, and how its newest run ended (Prefect's own word for the state)."""

    name: str
    flow: str
    cron: str
    paused: bool
    next_at: datetime | None
    last_at: datetime | None
    last_state: str | None


def show(settings: Settings) -> tuple[ScheduleRow, ...]:
    """Every schedule that the worker has registered, by name.

    Raises:
        Unavailable: the Prefect server is away.
    """
    return _ask(settings, lambda prefect: prefect.rows(settings))


def pause(settings: Settings, name: str) -> None:
    """Keep a schedule, but do not run it, until `resume`; a restart changes nothing in this.

    Raises:
        NotFound: no such schedule, or the worker has not registered it yet.
        Unavailable: the Prefect server is away.
    """
    _known(settings, name)
    _ask(settings, lambda prefect: prefect.set_paused(settings, name, paused=True))


def resume(settings: Settings, name: str) -> None:
    """Run a schedule by its clock again.

    Raises:
        NotFound, Unavailable: as `pause`.
    """
    _known(settings, name)
    _ask(settings, lambda prefect: prefect.set_paused(settings, name, paused=False))


def run_now(settings: Settings, name: str) -> str:
    """Have a schedule's flow run once, by the worker, within some seconds; the name that Prefect gave the run.

    Raises:
        NotFound, Unavailable: as `pause`.
    """
    _known(settings, name)
    return str(_ask(settings, lambda prefect: prefect.run_once(settings, name)))


def server_url(settings: Settings) -> str:
    """Base URL of the Prefect server."""
    return f"http://127.0.0.1:{settings.prefect.port}"


def server_answers(settings: Settings) -> bool:
    """Whether the Prefect server is there."""
    try:
        answer = httpx.get(f"{server_url(settings)}/api/health", timeout=HEALTH_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def _known(settings: Settings, name: str) -> None:
    if name not in settings.schedules:
        raise NotFound(f"there is no [schedules.{name}] in the settings")


def _ask(settings: Settings, question: Callable[[ModuleType], Awaitable[T]]) -> T:
    """Put a question to Prefect, which is imported only now, under the environment that it shall have."""
    if not server_answers(settings):
        raise Unavailable("the Prefect server is away")
    export(client_environment(settings, server_url(settings)))
    return asyncio.run(_awaited(question(import_module("flows.deployments"))))


async def _awaited(answer: Awaitable[T]) -> T:
    return await answer
