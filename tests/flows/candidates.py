"""Versions of the tiny model with signed bundles, evaluations and people, in a home of the flows' tests."""

from datetime import UTC, datetime
from pathlib import Path

from flows import standing
from flows.house import House
from models.bundles import install
from models.change_plan import ChangePlan, read_plan
from radloop.domain.enums import ActorKind, GateOutcome, RunState
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import ModelVersion
from radloop.ledger import actors
from radloop.ledger.learning import cohorts, evaluations, training_runs
from radloop.store import Keyring
from tests.serving.inference.bundle import NAME, write_tiny

WHY = "retrained on overrides"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
__all__ = ["NAME", "WHY", "candidate", "chest_plan", "evaluated", "person", "shipped", "signed", "trained"]


def chest_plan(_: str = "", *, compared: int = 0) -> ChangePlan:
    """The plan of the chest model, for the tiny one, which needs no study beside the champion unless told so."""
    plan = read_plan("cxr_pneumonia")
    return plan.model_copy(update={"approval": plan.approval.model_copy(update={"compared": compared})})


def signed(house: House, number: int) -> Path:
    """The folder of a signed bundle outside the home's models, as a retrain leaves it."""
    folder = house.settings.home / "made"
    source = write_tiny(folder / f"source-{number}", f"1.{number}.0", number)
    return install(source, folder, Keyring.load(house.settings.keys_path).signing_key)


def shipped(house: House) -> ModelVersion:
    """The champion that came with radloop."""
    return standing.ship(house, signed(house, 0), "radloop")


def candidate(house: House, number: int) -> ModelVersion:
    """A registered challenger."""
    return standing.register(house, signed(house, number), "runner", WHY)


def evaluated(
    house: House, version: ModelVersion, champion: str | None, outcome: GateOutcome = GateOutcome.PASS
) -> str:
    """An evaluation of a version against a champion; its id."""
    cohort, evaluation = new_id("co"), new_id("ev")
    with house.ledger.write() as conn:
        _cohort(conn, cohort)
        values = {"model": version.name, "digest": version.digest, "champion": champion, "original": None}
        facts = {"cohort_id": cohort, "plan_sha256": "a" * 64, "look": 1, "alpha": 0.025, "gates": []}
        row = {"id": evaluation, "outcome": outcome, "actor": "runner", "at": utc_now()}
        conn.execute(evaluations.insert().values(**values, **facts, **row))
    return evaluation


def trained(house: House, version: ModelVersion, actor: str) -> None:
    """A training run that made a version, started by somebody."""
    cohort = new_id("co")
    with house.ledger.write() as conn:
        _cohort(conn, cohort)
        facts = {"commit": "c" * 40, "device": "cpu", "threads": 1, "processes": 1, "seed": 1, "actor": actor}
        row = {"id": new_id("tr"), "model": version.name, "cohort_id": cohort, "digest": version.digest}
        conn.execute(training_runs.insert().values(**row, **facts, state=RunState.DONE, at=LONG_AGO))


def person(house: House, *names: str) -> None:
    """People who may act."""
    with house.ledger.write() as conn:
        for name in names:
            actors.ensure(conn, name, ActorKind.PERSON)


def _cohort(conn: object, cohort_id: str) -> None:
    row = {"id": cohort_id, "digest": cohort_id, "model": NAME, "manifest": "{}", "left_out": []}
    conn.execute(cohorts.insert().values(**row, actor="runner", at=LONG_AGO))  # type: ignore[attr-defined]
