"""`radloop cohort`: freeze labelled images for training and for gates. Nothing printed here tells of a patient."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import complain, print_json, print_table, say
from serving.cli.verdicts import at_home

if TYPE_CHECKING:
    from flows.importing import Taken
    from radloop.domain.learning import Cohort

app = typer.Typer(help="Frozen lists of labelled images.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="Name of the model.")]


@app.command()
def build(
    model: ModelArgument,
    *,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other agreements.", min=0)] = 0,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Freeze what readers said: overrides, a sample of agreements, uncertain cases, and replay of earlier cohorts."""
    from flows import cohorts

    with at_home(open_desk(home, token)) as (house, actor):
        cohort = cohorts.build(house, model, actor, seed=seed)
    _tell(cohort, as_json=as_json)


@app.command("import")
def import_labelled(
    folder: Annotated[
        Path, typer.Argument(help="A folder of DICOM files.", exists=True, file_okay=False, metavar="DIR")
    ],
    labels: Annotated[Path, typer.Argument(help="A table with the columns file and label (docs/cohorts.md).")],
    *,
    model: Annotated[str, typer.Option("--model", help="Name of the model that the labels are for.")],
    purpose: Annotated[
        str, typer.Option("--purpose", help="train, test, or all: divided by patient.", metavar="train|test|all")
    ] = "all",
    site: Annotated[str, typer.Option("--site", help="Where the images are from, if the table does not say.")] = "",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Take in an outside labelled set and freeze it. May be killed and repeated. Bad files are listed and left."""
    from flows import cohorts

    try:
        wanted = cohorts.Purpose(purpose)
    except ValueError:
        raise typer.BadParameter("one of train, test, all", param_hint="--purpose") from None
    table = labels if labels.exists() else folder / labels
    left: list[Taken] = []
    with at_home(open_desk(home, token)) as (house, actor):
        cohort = cohorts.import_labelled(
            house,
            folder.absolute(),
            table,
            model,
            actor,
            purpose=wanted,
            site=site,
            told=lambda taken: left.append(taken) if taken.reason else None,
        )
    for one in left:
        complain(f"{one.path}: {one.reason}")
    _tell(cohort, as_json=as_json)


@app.command("list")
def list_cohorts(
    model: Annotated[str | None, typer.Argument(help="Only of this model.")] = None,
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the cohorts, the oldest first."""
    from radloop.ledger import cohorts

    with open_desk(home).reading() as conn:
        rows = [_row(cohort) for cohort in cohorts.known(conn, model)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "model", "members", "left out", "at", "by", "digest")
        print_table("Cohorts", columns, (tuple(row.values()) for row in rows))


@app.command()
def show(
    cohort: Annotated[str, typer.Argument(help="Id or digest.")],
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show how many images a cohort has, by split, label, stratum and scanner, and how many were left out and why."""
    _tell(_found(open_desk(home), cohort), as_json=as_json)


def _found(desk: Desk, name: str) -> "Cohort":
    from radloop.ledger import cohorts

    with desk.reading() as conn:
        return cohorts.get(conn, name)


def _row(cohort: "Cohort") -> dict[str, object]:
    return {
        "id": cohort.id,
        "model": cohort.model,
        "members": len(cohort.members),
        "left_out": sum(count for _, count in cohort.left_out),
        "at": cohort.at.isoformat(),
        "actor": cohort.actor,
        "digest": cohort.digest,
    }


def _tell(cohort: "Cohort", *, as_json: bool) -> None:
    from flows.cohorts import counts

    told = counts(cohort)
    if as_json:
        print_json({**_row(cohort), "counts": dict(told)})
        return
    say(f"{cohort.id}  {cohort.model}  {cohort.digest}")
    print_table("Members", ("of", "how many"), told.items())
