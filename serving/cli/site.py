"""What hospital IT sets up and shows: schedules and the conformance statement."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import SettingsError, Unavailable
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.settings import Schedule

schedule = typer.Typer(help="Flows that run by the clock: list, add, remove, pause, resume, run.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The schedule's name.")]


def conformance(*, home: HomeOption = None) -> None:
    """Print the DICOM conformance statement of the running configuration (Markdown)."""
    from serving.gateway.conformance import statement

    say(statement(open_desk(home).settings))


@schedule.command("list")
def list_schedules(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the schedules: when they run, whether they are paused, how they last ended. Exit code 3: Prefect is away."""
    from flows import schedules

    desk = open_desk(home)
    shown = schedules.show(desk.settings, desk.ledger)
    rows = [{**asdict(row), "next_at": _iso(row.next_at), "last_at": _iso(row.last_at)} for row in shown.rows]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "flow", "cron", "paused", "from", "registered", "next", "last", "ended")
        print_table("Schedules", columns, (tuple(row.values()) for row in rows))
    if not shown.prefect:
        raise Unavailable("the Prefect server is away: nothing runs by the clock now (radloop up --wait)")


@schedule.command()
def add(
    name: Annotated[str, typer.Argument(help="What the new schedule is called.")],
    *,
    flow: Annotated[str, typer.Option("--flow", help="ingest, watch, retrain, audit or retain.")],
    cron: Annotated[str, typer.Option("--cron", help='When, in UTC, e.g. "0 3 * * *".')],
    peer: Annotated[str | None, typer.Option("--peer", help="ingest: the peer that is queried.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="ingest: the folder that is imported.")] = None,
    modality: Annotated[str, typer.Option("--modality", help="ingest: only this modality.")] = "",
    model: Annotated[str | None, typer.Option("--model", help="retrain: the model; audit: this one only.")] = None,
    since: Annotated[str, typer.Option("--since", help="How far back: 12h or 1d.")] = "1d",
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Make a schedule, kept in the ledger; the worker takes it up within seconds, without a restart."""
    from flows import schedules

    given = {"peer": peer, "folder": folder, "modality": modality, "model": model, "since": since}
    desk = open_desk(home, token)
    schedules.add(desk.settings, desk.ledger, name, _schedule({"flow": flow, "cron": cron, **given}), desk.actor().name)
    say(f"{name}: add")


@schedule.command()
def remove(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Remove a schedule that was made here or in the console; those of radloop.toml are taken out there."""
    from flows import schedules

    desk = open_desk(home, token)
    schedules.remove(desk.settings, desk.ledger, name, desk.actor().name)
    say(f"{name}: remove")


@schedule.command()
def pause(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Keep a schedule, but do not run it until `resume`."""
    from flows import schedules

    desk = open_desk(home, token)
    schedules.pause(desk.settings, desk.ledger, name, desk.actor().name)
    say(f"{name}: pause")


@schedule.command()
def resume(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Run a paused schedule by its clock again."""
    from flows import schedules

    desk = open_desk(home, token)
    schedules.resume(desk.settings, desk.ledger, name, desk.actor().name)
    say(f"{name}: resume")


@schedule.command("run")
def run_schedule(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Run a schedule's flow once, now."""
    from flows import schedules

    desk = open_desk(home, token)
    run = schedules.run_now(desk.settings, desk.ledger, name, desk.actor().name)
    say(f"{name}: run {run} starts within seconds")


def _schedule(given: "dict[str, str | Path | None]") -> "Schedule":
    """As `[schedules.NAME]` would be read.

    Raises:
        SettingsError: it cannot be; the message says which option, and what was expected.
    """
    from pydantic import ValidationError

    from radloop.settings import Schedule

    try:
        return Schedule.model_validate({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "--" + str(first["loc"][0]) + ": " if first["loc"] else ""
        raise SettingsError(where + first["msg"].removeprefix("Value error, ")) from None


def _iso(at: object) -> str | None:
    return None if at is None else str(at)
