"""Gates: a version is held against champion and original, and what was found is shown."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.enums import GateOutcome
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.domain.learning import Evaluation, GateVerdict


def evaluate(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[str, typer.Argument(help="Its version, or the beginning of its digest.")],
    *,
    cohort: Annotated[
        str | None, typer.Option("--cohort", help="Id or digest; else the newest one with a test set.")
    ] = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Measure every gate of the change plan on a frozen test set; costs a look. Exit code 1 where it did not pass."""
    from flows.house import open_house
    from flows.promote import evaluate as measure
    from radloop.ledger import models

    desk = open_desk(home, token)
    actor = desk.actor()
    with desk.reading() as conn:
        meant = models.find(conn, model, version)
    found = measure(open_house(desk.settings), model, meant.digest, actor.name, cohort)
    _show(found, as_json=as_json)
    if found.outcome is not GateOutcome.PASS:
        raise typer.Exit(1)


def evaluations(
    model: Annotated[str | None, typer.Argument(help="Name of the model; else all.")] = None,
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the looks that were taken at test sets, the newest first."""
    from radloop.ledger import evaluations as looks

    with open_desk(home).reading() as conn:
        found = looks.known(conn, model)
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    columns = ("id", "at", "model", "digest", "cohort", "look", "alpha", "outcome", "not passed", "actor")
    print_table("Evaluations", columns, (_row(one) for one in found))


def _show(found: "Evaluation", *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(found))
        return
    columns = ("gate", "outcome", "value", "interval", "margin", "n", "why")
    title = f"{found.model} {found.digest[:12]}, look {found.look} at {found.cohort_id}"
    print_table(title, columns, (_gate_row(one) for one in found.gates))
    level = 100 * (1 - 2 * found.alpha)
    say(f"{found.outcome}. Intervals: {level:.2f} %; this look spent a one-sided alpha of {found.alpha:.4g}")


def _gate_row(one: "GateVerdict") -> tuple[object, ...]:
    interval = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
    value = "" if one.value is None else f"{one.value:.3f}"
    return one.gate, one.outcome, value, interval, one.margin, one.n, one.words


def _row(one: "Evaluation") -> tuple[object, ...]:
    missed = ", ".join(gate.gate for gate in one.gates if gate.outcome is not GateOutcome.PASS)
    shown = missed if one.gates else "cut short"
    moment = one.at.isoformat(timespec="seconds")
    return one.id, moment, one.model, one.digest[:12], one.cohort_id, one.look, one.alpha, one.outcome, shown, one.actor


def _as_json(one: "Evaluation") -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(one), "at": one.at.isoformat()}
