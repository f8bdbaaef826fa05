"""The worker: registers the settings' schedules with Prefect, runs their flows, a process each, and keeps MLflow true.

    python -m flows.worker --home HOME

Too slow for triage (a run takes seconds to start), good for what runs by the clock. It waits for the Prefect server as
long as it takes.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from flows import policies, registry, schedules, training_mirror
from flows.environment import client_environment
from radloop import logs
from radloop.process import announce, die_with_parent
from radloop.settings import Settings, export, load_settings

log = structlog.get_logger()
QUERY_SECONDS: Final = "5"
LIMIT: Final = 2
"""Runs at once."""


def wait_for_server(settings: Settings) -> None:
    """Return once the Prefect server answers."""
    attempt = 1
    while not schedules.server_answers(settings):
        if attempt == 1:
            log.info("waiting", what="prefect")
        time.sleep(min(policies.ORCHESTRATOR.cap(attempt), 1.0))
        attempt += 1


async def serve(settings: Settings) -> None:
    """Register the schedules and work until told to stop."""
    # Prefect reads its environment when it is imported, so not before `main` has set it.
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415

    from flows import deployments  # noqa: PLC0415

    await deployments.register(settings)
    announce(settings.home, "worker", None)
    log.info("ready", schedules=len(settings.schedules))
    worker = ProcessWorker(work_pool_name=deployments.POOL, name="radloop", limit=LIMIT)
    following = [asyncio.create_task(shown.follow(settings)) for shown in (registry, training_mirror)]
    try:
        await worker.start(printer=lambda *_: None)
    finally:
        for task in following:
            task.cancel()


def main(arguments: Sequence[str] | None = None) -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args(arguments).home.absolute()
    die_with_parent()
    logs.configure("worker")
    settings = load_settings(home)
    wait_for_server(settings)
    export(client_environment(settings, schedules.server_url(settings)))
    export({"RADLOOP_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": QUERY_SECONDS})
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
