"""What ML teams do with training: `radloop retrain MODEL`, `radloop runs`."""

from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.training.retrain import Step
    from radloop.domain.learning import TrainingRun

SHORTENED = {"parent": 12, "digest": 12, "at": 19}
"""How many characters of a column people read: the beginning of a digest names it, times go to the second."""


def retrain(
    model: Annotated[str, typer.Argument(help="Name of a model of the zoo.")],
    *,
    cohort: Annotated[
        str | None, typer.Option("--cohort", help="Id or digest; else what readers said until now is frozen first.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="From random weights, not from the champion's.")
    ] = False,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Train a model from its champion's weights and register the result as challenger.

    Killed and started again, it goes on from its last checkpoint; the same work again gives the finished run back.
    """
    from flows.house import open_house
    from flows.retrain import retrain as work

    desk = open_desk(home, token)
    actor = desk.actor().name
    house = open_house(desk.settings)
    run = work(house, model, actor, cohort, from_scratch=from_scratch, told=_silent if as_json else _progress())
    if as_json:
        print_json(_row(run))
    else:
        say(f"{run.id} {run.state}: challenger {run.digest}")


def runs(
    model: Annotated[str | None, typer.Argument(help="Only this model's.")] = None,
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the training runs, the newest first."""
    from radloop.ledger import training_runs

    with open_desk(home).reading() as conn:
        rows = [_row(run) for run in training_runs.known(conn, model)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "model", "state", "cohort", "parent", "digest", "device", "threads", "actor", "at")
        cells = ([_short(name, row[name]) for name in columns] for row in rows)
        print_table("Training runs", columns, cells)


def _progress() -> "Callable[[Step], None]":
    return lambda step: say(_told(step))


def _told(step: "Step") -> str:
    done = f"member {step.member} of {step.members}, epoch {step.epoch} of {step.epochs}"
    return done if step.loss is None else f"{done}: loss {step.loss:.4f}, AUC on validation {step.auc:.3f}"


def _silent(_: "Step") -> None:
    """A program reads the result alone."""


def _row(run: "TrainingRun") -> dict[str, str | int | None]:
    return {
        "id": run.id,
        "model": run.model,
        "state": run.state,
        "cohort": run.cohort_id,
        "parent": run.parent,
        "digest": run.digest,
        "commit": run.commit,
        "device": run.device,
        "threads": run.threads,
        "processes": run.processes,
        "seed": run.seed,
        "mlflow_run": run.mlflow_run,
        "actor": run.actor,
        "at": run.at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }


def _short(name: str, value: str | int | None) -> str | int | None:
    return value[: SHORTENED.get(name)] if isinstance(value, str) else value
