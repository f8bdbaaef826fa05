"""`radloop deidentify`: pilot sets that may leave the hospital."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import Rejected
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import complain, print_json, say

if TYPE_CHECKING:
    from flows.deidentify import Order, Outcome, Summary


def deidentify(
    source: Annotated[
        str,
        typer.Argument(help="A folder of DICOM files, or the Study Instance UID of a study held here.", metavar="IN"),
    ],
    out: Annotated[
        Path, typer.Argument(help="A folder that is empty or not there yet.", metavar="OUT", file_okay=False)
    ],
    *,
    project: Annotated[
        str, typer.Option("--project", help="Pseudonyms are the same within a project, and only there.")
    ],
    mask: Annotated[
        bool, typer.Option("--mask", help="Black out text in pixels instead of refusing the file.")
    ] = False,
    keep_descriptors: Annotated[
        bool, typer.Option("--keep-descriptors", help="Keep the words of descriptions that the standard itself uses.")
    ] = False,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Make a de-identified set (PS3.15 Annex E). What may not go out is listed and left: exit code 1."""
    from flows.deidentify import Order
    from integrations.deidentify import Options

    desk = open_desk(home, token)
    options = Options(mask=mask, keep_descriptors=keep_descriptors)
    done = _run(desk, Order(source, out.absolute(), project, desk.actor().name, options), quiet=as_json)
    _report(done, as_json=as_json)
    if done.left:
        raise Rejected(f"{len(done.left)} files stay here")


def _run(desk: Desk, order: "Order", *, quiet: bool) -> "Summary":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from flows.deidentify import deidentify
    from flows.house import open_house

    columns = (SpinnerColumn(), TextColumn("{task.completed} files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("deidentify", total=None)

        def tell(_: "Outcome") -> None:
            progress.advance(task)

        return deidentify(open_house(desk.settings), order, tell)


def _report(done: "Summary", *, as_json: bool) -> None:
    if as_json:
        left = [{"file": one.name, "code": one.code, "reason": one.reason} for one in done.left]
        print_json({"written": done.written, "masked": done.masked, "to_look_at": done.to_look_at, "left": left})
        return
    for one in done.left:
        complain(f"{one.name}: {one.reason}")
    say(f"{done.written} written, {done.masked} of them masked, {len(done.left)} left")
    if done.to_look_at:
        say(f"{done.to_look_at} were not looked at in whole (manifest.csv, looked_at): look at them before they leave")
    say("read texts.csv, and a sample of the images, before the set leaves")
