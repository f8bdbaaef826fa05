"""`radloop import` and `radloop ingest`: studies that come in because we ask for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import complain, print_json, say

if TYPE_CHECKING:
    from flows.ingest import FileFate, FolderSummary


def import_folder(
    folder: Annotated[Path, typer.Argument(help="A folder.", exists=True, file_okay=False, metavar="DIR")],
    *,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Take in the DICOM files of a folder. May be killed and repeated. Bad files are listed and left: exit code 1."""
    desk = open_desk(home, token)
    _note(desk, "ingest.folder", "folder")
    done = _import(desk, folder.absolute(), quiet=as_json)
    if as_json:
        bad = [{"path": str(one.path), "reason": one.reason} for one in done.bad]
        print_json({"stored": done.stored, "known": done.known, "own": done.own, "bad": bad})
    else:
        for one in done.bad:
            complain(f"{one.path}: {one.reason}")
        say(f"{done.stored} stored, {done.known} known already, {done.own} of our own objects, {len(done.bad)} bad")
    if done.bad:
        raise Rejected(f"{len(done.bad)} files were left where they are")


def _import(desk: Desk, folder: Path, *, quiet: bool) -> "FolderSummary":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from flows.house import open_house
    from flows.ingest import import_directory

    columns = (SpinnerColumn(), TextColumn("{task.completed} files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("import", total=None)

        def tell(_: "FileFate") -> None:
            progress.advance(task)

        return import_directory(open_house(desk.settings), folder, tell)


def ingest(
    peer: Annotated[str, typer.Argument(help="A peer of radloop.toml that can be queried.")],
    *,
    modality: Annotated[str, typer.Option("--modality", help="Only studies of this modality, e.g. CR.")] = "",
    since: Annotated[str, typer.Option("--since", help="1d, 12h, or a time.", metavar="WHEN")] = "1d",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Query a peer (C-FIND) and have it send us what we do not hold (C-MOVE). Exit code 1 where a study failed."""
    from dataclasses import asdict

    from flows.house import open_house
    from flows.ingest import ingest_peer

    now = utc_now()
    back = now - moment(since, now)
    desk = open_desk(home, token)
    _note(desk, "ingest.peer", peer)
    done = ingest_peer(open_house(desk.settings), peer, modality.strip().upper(), back)
    if as_json:
        print_json(asdict(done))
    else:
        say(f"{done.found} studies found, {done.held} held already, {done.moved} sent to us, {done.failed} failed")
    if done.failed:
        raise Rejected(f"{done.failed} studies were not sent")


def _note(desk: Desk, action: str, what: str) -> None:
    with desk.changing() as change:
        change.record(action, "ingest", what)
