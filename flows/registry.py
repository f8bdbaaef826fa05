"""Keeps MLflow's picture of the models true to the ledger: versions, and aliases for champion, shadow and previous.

    python -m flows.registry --home HOME        mirrors once, and ends

The worker starts that as a process of its own whenever the ledger says something new, or an alias was moved by hand:
MLflow's client costs a hundred megabytes that are needed for seconds.
"""

import argparse
import asyncio
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

import httpx
import structlog

from flows import policies
from models.aliases import ALIASES
from models.bundles import contents
from models.spec import ModelSpec, read_spec
from radloop import logs
from radloop.domain.errors import IntegrityError, RadloopError, Transient, Unavailable
from radloop.domain.records import ModelVersion
from radloop.ledger import Ledger
from radloop.ledger import models as model_rows
from radloop.process import announced, die_with_parent
from radloop.settings import Settings, load_settings

log = structlog.get_logger()
DEADLINE_SECONDS: Final = 120.0
ASK_SECONDS: Final = 20.0
FOREIGN: Final = "foreign"
"""Stands for a version in MLflow that is not ours: no digest is called so."""
Aliases = dict[tuple[str, str], str]


async def follow(settings: Settings) -> None:
    """Mirror what the ledger says now, whenever it says something else, and when an alias was moved by hand.

    Until cancelled.
    """
    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    shown: tuple[ModelVersion, ...] = ()
    failures = 0
    while True:
        await asyncio.sleep(policies.REGISTRY.cap(failures + 1))
        try:
            known, astray = await asyncio.to_thread(_look, settings, ledger)
        except Transient as error:
            log.warning("the models could not be looked up", error=error.code)
            continue
        if known == shown and not astray:
            continue
        if await _mirrored(settings.home):
            shown, failures = known, 0
        else:
            failures += 1


def wanted_aliases(known: Iterable[ModelVersion]) -> Aliases:
    """What every alias has to name, by model and alias: a digest. Those that name nothing are left out."""
    return {
        (version.name, ALIASES[version.standing]): version.digest for version in known if version.standing in ALIASES
    }


def named_by_mlflow(settings: Settings, names: Collection[str]) -> Aliases:
    """What MLflow's aliases name now. Asked over its REST interface: its client would cost a process.

    Raises:
        Unavailable: MLflow is away.
    """
    asked = [(name, alias) for name in sorted(names) for alias in ALIASES.values()]
    url = f"{_mlflow(settings)}/api/2.0/mlflow/registered-models/alias"
    try:
        with httpx.Client(timeout=ASK_SECONDS, trust_env=False) as http:
            said = {key: _digest(http.get(url, params={"name": key[0], "alias": key[1]})) for key in asked}
    except httpx.HTTPError as error:
        raise Unavailable(f"MLflow cannot be reached: {type(error).__name__}") from None
    return {key: digest for key, digest in said.items() if digest is not None}


def mirror_once(settings: Settings) -> int:
    """Make MLflow show what the ledger says; how many versions that are.

    Raises:
        Unavailable: MLflow or the ledger is away.
    """
    from models.registry import mirror  # noqa: PLC0415 - only the process that mirrors pays for it

    url = _mlflow(settings)
    ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
    known = _known(ledger)
    ledger.close()
    specs = (_installed(settings.models_path / version.name / version.digest) for version in known)
    mirror(url, [spec for spec in specs if spec is not None], known)
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


def _look(settings: Settings, ledger: Ledger) -> tuple[tuple[ModelVersion, ...], bool]:
    """The versions, and whether an alias names another one than it should and can be mended."""
    known = _known(ledger)
    wanted, named = wanted_aliases(known), named_by_mlflow(settings, {version.name for version in known})
    wrong = {key for key in wanted.keys() | named.keys() if wanted.get(key) != named.get(key)}
    # An alias cannot name a version whose bundle is gone: trying that every few seconds would help nobody.
    return known, any(key not in wanted or _installed(settings.models_path / key[0] / wanted[key]) for key in wrong)


def _mlflow(settings: Settings) -> str:
    said = announced(settings.home, "mlflow")
    port = settings.mlflow.port or (said.port if said else None)
    if not port:
        raise Unavailable("MLflow is not up")
    return f"http://127.0.0.1:{port}"


def _digest(response: httpx.Response) -> str | None:
    """The digest in the tags of the version that an alias names; None where it names none, or one of somebody else."""
    if response.is_server_error:
        raise Unavailable(f"MLflow answered {response.status_code}")
    if not response.is_success:  # no such model or alias
        return None
    tags = response.json()["model_version"].get("tags", [])
    return next((str(tag["value"]) for tag in tags if tag["key"] == "digest"), FOREIGN)


def _installed(folder: Path) -> ModelSpec | None:
    """The card of an installed bundle; None, and a line in the log, where it is damaged or gone."""
    try:
        contents(folder)
        return read_spec(folder)
    except IntegrityError as error:
        log.warning("a bundle cannot be shown", digest=folder.name, error=error.code)
        return None


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
