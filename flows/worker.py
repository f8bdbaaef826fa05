"""The worker: registers the schedules with Prefect, runs their flows, a process each, and keeps MLflow true.

    python -m flows.worker --home HOME

Too slow for triage (a run takes seconds to start), good for what runs by the clock. It waits for the Prefect server as
long as it takes.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
import structlog

from flows import policies, prefect_rest, registry, schedules, servers, training_mirror
from flows.environment import client_environment
from radloop import logs
from radloop.domain.errors import Transient
from radloop.ledger import Ledger
from radloop.process import announce, die_with_parent
from radloop.settings import Schedule, Settings, export, load_settings

log = structlog.get_logger()
QUERY_SECONDS: Final = "5"
LOOK_SECONDS: Final = 2.0
"""How often the ledger is looked at for schedules that are new or gone."""
LIMIT: Final = 2
"""Runs at once."""


def wait_for_server(settings: Settings) -> None:
    """Return once the Prefect server answers."""
    attempt = 1
    while not servers.answers(settings, "prefect"):
        if attempt == 1:
            log.info("waiting", what="prefect")
        time.sleep(min(policies.ORCHESTRATOR.cap(attempt), 1.0))
        attempt += 1


async def serve(settings: Settings) -> None:
    """Register the schedules and work until told to stop."""
    # Prefect reads its environment when it is imported, so not before `main` has set it.
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415

    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    registered = await _register(settings, ledger, {})
    announce(settings.home, "worker", None)
    log.info("ready", schedules=len(registered))
    worker = ProcessWorker(work_pool_name=schedules.POOL, name="radloop", limit=LIMIT)
    following = [asyncio.create_task(shown.follow(settings)) for shown in (registry, training_mirror)]
    following.append(asyncio.create_task(follow(settings, ledger, registered)))
    try:
        await worker.start(printer=lambda *_: None)
    finally:
        for task in following:
            task.cancel()
        ledger.close()


async def follow(settings: Settings, ledger: Ledger, registered: Mapping[str, Schedule]) -> None:
    """Tell Prefect of schedules that are made and removed while we run, within seconds. Until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            wanted = await asyncio.to_thread(schedules.completed, settings, ledger)
            if wanted.schedules != registered:
                registered = await _register(settings, ledger, registered)
                log.info("schedules changed", schedules=len(registered))
        except (Transient, httpx.HTTPError) as error:
            log.warning("schedules are not told yet", error=type(error).__name__)


async def _register(settings: Settings, ledger: Ledger, told: Mapping[str, Schedule]) -> Mapping[str, Schedule]:
    from flows import deployments  # noqa: PLC0415

    wanted = await asyncio.to_thread(schedules.completed, settings, ledger)
    await deployments.register(wanted, told)
    return wanted.schedules


def main(arguments: Sequence[str] | None = None) -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args(arguments).home.absolute()
    die_with_parent()
    logs.configure("worker")
    settings = load_settings(home)
    wait_for_server(settings)
    export(client_environment(settings, prefect_rest.server_url(settings)))
    export({"RADLOOP_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": QUERY_SECONDS})
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
