"""What hospital IT sets up and shows: schedules and the conformance statement."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import Unavailable
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.settings import Settings

schedule = typer.Typer(help="Flows that run by the clock: list, pause, resume, run.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The schedule's name in radloop.toml.")]


def conformance(*, home: HomeOption = None) -> None:
    """Print the DICOM conformance statement of the running configuration (Markdown)."""
    from serving.gateway.conformance import statement

    say(statement(open_desk(home).settings))


@schedule.command("list")
def list_schedules(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the schedules: when they run, whether they are paused, how they last ended."""
    from flows import schedules

    rows = [
        {**asdict(row), "next_at": _iso(row.next_at), "last_at": _iso(row.last_at)}
        for row in schedules.show(_with_server(open_desk(home)))
    ]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "flow", "cron", "paused", "next", "last", "ended")
        print_table("Schedules", columns, (tuple(row.values()) for row in rows))


@schedule.command()
def pause(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Keep a schedule, but do not run it until `resume`."""
    from flows import schedules

    desk = open_desk(home, token)
    schedules.pause(_with_server(desk, changing=True), name)
    _record(desk, "schedule.pause", name)


@schedule.command()
def resume(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Run a paused schedule by its clock again."""
    from flows import schedules

    desk = open_desk(home, token)
    schedules.resume(_with_server(desk, changing=True), name)
    _record(desk, "schedule.resume", name)


@schedule.command("run")
def run_schedule(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Run a schedule's flow once, now."""
    from flows import schedules

    desk = open_desk(home, token)
    run = schedules.run_now(_with_server(desk, changing=True), name)
    _record(desk, "schedule.run", name)
    say(f"run {run} starts within seconds")


def _with_server(desk: Desk, *, changing: bool = False) -> "Settings":
    """The settings with the port that the Prefect server took.

    Raises:
        Unavailable: it does not run.
        Rejected: something is to be changed, and we are no actor here.
    """
    from radloop.process import announced

    if changing:
        desk.actor()
    settings = desk.settings
    said = announced(desk.home, "prefect")
    port = settings.prefect.port or (said.port if said else None)
    if not port:
        raise Unavailable("the Prefect server is not running: radloop up --wait")
    return settings.model_copy(update={"prefect": settings.prefect.model_copy(update={"port": port})})


def _record(desk: Desk, action: str, name: str) -> None:
    with desk.changing() as change:
        change.record(action, "schedule", name)
    say(f"{name}: {action.removeprefix('schedule.')}")


def _iso(at: object) -> str | None:
    return None if at is None else str(at)
