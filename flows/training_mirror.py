"""Shows training runs in MLflow once they have ended, whenever MLflow is there: training never waits for it.

    python -m flows.training_mirror --home HOME        shows what is not shown yet, and ends

The worker starts that as a process of its own, as it does for the versions: MLflow's client is large.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from flows import policies
from radloop import logs
from radloop.domain.errors import RadloopError, Transient, Unavailable
from radloop.domain.learning import TrainingRun
from radloop.ledger import Ledger
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import training_runs as run_rows
from radloop.process import announced, die_with_parent
from radloop.settings import Settings, load_settings

log = structlog.get_logger()
DEADLINE_SECONDS: Final = 120.0
RECORD: Final = "record.json"


async def follow(settings: Settings) -> None:
    """Show every run that ends, until cancelled."""
    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    failures = 0
    while True:
        await asyncio.sleep(policies.REGISTRY.cap(failures + 1))
        try:
            waiting = await asyncio.to_thread(_waiting, ledger)
            if waiting and _tracking_url(settings):
                failures = 0 if await _mirrored(settings.home) else failures + 1
        except Transient as error:
            log.warning("training runs cannot be shown yet", error=error.code)


def mirror_runs(settings: Settings, tracking_url: str, artifacts: str | None = None) -> int:
    """Show the runs that MLflow does not show yet; how many. Cut short and done again, each is shown once.

    Raises:
        Unavailable: MLflow or the ledger is away.
    """
    from models.registry import Training, log_training  # noqa: PLC0415 - only the process that mirrors pays for it

    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    waiting = _waiting(ledger)
    for run in waiting:
        with ledger.read() as conn:
            cohort = cohort_rows.get(conn, run.cohort_id).digest
        name = log_training(tracking_url, Training(run, cohort, _record(settings, run)), artifacts)
        with ledger.write() as conn:
            run_rows.mirrored(conn, run.id, name)
    ledger.close()
    return len(waiting)


def main(arguments: Sequence[str] | None = None) -> int:
    """The process; 0 where MLflow shows every run that has ended."""
    parser = argparse.ArgumentParser(prog="python -m flows.training_mirror", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args(arguments).home.absolute()
    die_with_parent()
    logs.configure("training-mirror")
    settings = load_settings(home)
    try:
        url = _tracking_url(settings)
        if not url:
            raise Unavailable("MLflow is not up")
        log.info("shown", runs=mirror_runs(settings, url))
    except RadloopError as error:
        log.warning("mlflow does not show the training runs yet", error=error.code)
        return 1
    return 0


def _tracking_url(settings: Settings) -> str:
    """MLflow's address on loopback; "" while it is not up."""
    said = announced(settings.home, "mlflow")
    port = settings.mlflow.port or (said.port if said else None)
    return f"http://127.0.0.1:{port}" if port else ""


def _waiting(ledger: Ledger) -> tuple[TrainingRun, ...]:
    with ledger.read() as conn:
        return run_rows.to_mirror(conn)


def _record(settings: Settings, run: TrainingRun) -> Mapping[str, object]:
    """What the run wrote about itself; nothing where it failed before, or its folder is gone."""
    try:
        said = json.loads((settings.training_path / run.id / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


async def _mirrored(home: Path) -> bool:
    """Whether a process of its own showed them in time."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "flows.training_mirror", "--home", str(home))
    try:
        return await asyncio.wait_for(process.wait(), DEADLINE_SECONDS) == 0
    except TimeoutError:
        log.warning("mlflow took too long")
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    sys.exit(main())
