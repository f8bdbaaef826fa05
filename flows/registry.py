"""Keeps MLflow's picture of the models true to the ledger: versions, and the alias `champion`.

    python -m flows.registry --home HOME        mirrors once, and ends

The worker starts that as a process of its own whenever the ledger says something new: MLflow's client costs a hundred
megabytes that are needed for seconds.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from radloop import logs
from radloop.domain.errors import RadloopError, Transient, Unavailable
from radloop.domain.records import ModelVersion
from radloop.ledger import Ledger
from radloop.ledger import models as model_rows
from radloop.process import announced, die_with_parent
from radloop.settings import Settings, load_settings

log = structlog.get_logger()
LOOK_SECONDS: Final = 10.0
DEADLINE_SECONDS: Final = 120.0


async def follow(settings: Settings) -> None:
    """Mirror what the ledger says now, and again whenever it says something else. Until cancelled."""
    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    shown: tuple[ModelVersion, ...] = ()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            known = await asyncio.to_thread(_known, ledger)
        except Transient as error:
            log.warning("the models could not be looked up", error=error.code)
            continue
        if known != shown and await _mirrored(settings.home):
            shown = known


def mirror_once(settings: Settings) -> int:
    """Make MLflow show what the ledger says; how many versions that are.

    Raises:
        Unavailable: MLflow or the ledger is away.
        IntegrityError: a bundle of the zoo does not match its manifest.
    """
    from models.catalog import catalog  # noqa: PLC0415 - only the process that mirrors pays for these
    from models.registry import mirror  # noqa: PLC0415

    said = announced(settings.home, "mlflow")
    port = settings.mlflow.port or (said.port if said else None)
    if not port:
        raise Unavailable("MLflow is not up")
    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    known = _known(ledger)
    ledger.close()
    mirror(f"http://127.0.0.1:{port}", list(catalog().values()), known)
    return len(known)


def main(arguments: Sequence[str] | None = None) -> int:
    """The process; 0 where MLflow shows what the ledger says."""
    parser = argparse.ArgumentParser(prog="python -m flows.registry", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args(arguments).home.absolute()
    die_with_parent()
    logs.configure("registry")
    try:
        log.info("mirrored", versions=mirror_once(load_settings(home)))
    except RadloopError as error:
        log.warning("mlflow does not show the models yet", error=error.code)
        return 1
    return 0


def _known(ledger: Ledger) -> tuple[ModelVersion, ...]:
    with ledger.read() as conn:
        return model_rows.known(conn)


async def _mirrored(home: Path) -> bool:
    """Whether a process of its own mirrored them in time."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "flows.registry", "--home", str(home))
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
