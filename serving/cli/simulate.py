"""`radloop simulate`: studies of several simulated scanners, one of which changes on the way."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import Rejected
from serving.cli.desk import JsonOption
from serving.cli.output import print_json, say

if TYPE_CHECKING:
    from models.phantoms.simulation import Script


class ChangeName(StrEnum):
    """What may change; the words are those of `models.phantoms.scanners.CHANGES`."""

    NONE = "none"
    SOFTWARE = "software"
    GAMMA_NOISE = "gamma-noise"
    KVP = "kvp"
    LATERAL = "lateral"
    INVERTED = "inverted"
    CASE_MIX = "case-mix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What was written."""

    folder: str
    written: str
    count: int
    seed: int
    change: str
    station: str
    since: int


def simulate(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder to write to, empty or new.", show_default=False)],
    change: Annotated[ChangeName, typer.Option("--change", help="What changes at one scanner.")] = ChangeName.NONE,
    studies: Annotated[int, typer.Option("--studies", help="How many studies.", min=1)] = 200,
    since: Annotated[
        int | None, typer.Option("--since", help="The study it changes at, from 0; else the one in the middle.", min=0)
    ] = None,
    days: Annotated[float, typer.Option("--days", help="Over how many days.", min=0.01)] = 10.0,
    seed: Annotated[int, typer.Option("--seed", help="The same one writes the same (0 to 999).", min=0)] = 1,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with labels.csv (file, label) whose images are shown; else phantoms."),
    ] = None,
    size: Annotated[int, typer.Option("--size", help="Rows and columns of a phantom.", min=32)] = 256,
    rows: Annotated[
        int | None, typer.Option("--rows", help="Write so many rows of numbers (rows.npz) instead of images.", min=1)
    ] = None,
    pool: Annotated[int, typer.Option("--pool", help="Phantoms a scanner's rows are drawn from.", min=8)] = 120,
    as_json: JsonOption = False,
) -> None:
    """Write a simulated site: studies of several scanners, one of which changes on the way."""
    from models.phantoms.scanners import CHANGES
    from models.phantoms.simulation import Script

    count, wanted = rows or studies, CHANGES.get(change.value)
    start = count // 2 if since is None else since
    script = Script(studies=count, seed=seed, days=days, since=start, change=wanted, rows=size, data=data)
    if folder.exists() and any(folder.iterdir()):
        raise Rejected("the folder to write to is not empty")
    written = _rows(script, folder, pool) if rows else _studies(script, folder)
    done = Simulated(
        folder=str(folder),
        written=written,
        count=count,
        seed=seed,
        change=change.value,
        station=wanted.station if wanted else "",
        since=start,
    )
    if as_json:
        print_json(asdict(done))
        return
    say(f"{count} {written} in {folder}")
    if wanted:
        say(f"from number {start} on, at {wanted.station}: {wanted.words}")


def _studies(script: "Script", folder: Path) -> str:
    from models.phantoms.simulation import write

    write(script, folder)
    return "studies"


def _rows(script: "Script", folder: Path, size: int) -> str:
    from models.phantoms.pool import pools
    from serving.cli.simulate_rows import Stream, draw, save

    drawn = pools(size, folder / "pools")
    stream = Stream(count=script.studies, seed=script.seed, days=script.days, since=script.since, change=script.change)
    save(draw(drawn, stream), folder / "rows.npz")
    return "rows"
