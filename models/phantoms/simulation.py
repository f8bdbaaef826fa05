"""A simulated stretch of days at several hospitals as DICOM files, with a change on the way: the same for one seed."""

import csv
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pydicom

from models.phantoms.header import Grey
from models.phantoms.lateral import lateral_pixels
from models.phantoms.scanners import SCANNERS, Change, Shot, picture, processed, regraded, scanner_of, shot, study
from models.phantoms.sites import FULL, NONE, TARGET
from radloop.domain.errors import Rejected

FIRST: Final = dt.datetime(2026, 1, 5, 7, tzinfo=dt.UTC)
TABLE: Final = "studies.csv"
COLUMNS: Final = ("file", "at", "site", "station", "label", "reader", "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens: `studies` over `days` from several scanners; from the one at place `since` on, `change`.

    `rows` is the side of a phantom. With `data`, a folder with labels.csv (file, label), its images are read and shown
    as the scanners would show them; nothing is written there.

    Raises:
        Rejected: no studies, or a change that begins after the last one.
    """

    studies: int
    seed: int
    days: float
    since: int
    change: Change | None = None
    rows: int = 256
    data: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.studies <= 100_000 or not 0 <= self.seed < 1000:
            raise Rejected("between 1 and 100,000 studies of a seed of 0 to 999 can be simulated")
        if self.change is not None and not 0 <= self.since < self.studies:
            raise Rejected("the change must begin at one of the studies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One study to come: when, and whether its scanner has changed by then."""

    at: dt.datetime
    shot: Shot
    changed: bool

    @property
    def file(self) -> str:
        """Where its file lies: in a folder for each site."""
        return f"{self.shot.scanner.site}/{self.shot.scanner.station}-{self.shot.case.seed:09d}.dcm"


def scenes(script: Script) -> Iterator[Scene]:
    """The studies in the order in which they are taken."""
    rng = np.random.default_rng([script.seed, 21])
    stations = rng.choice(len(SCANNERS), script.studies, p=[scanner.share for scanner in SCANNERS])
    seconds = np.sort(rng.uniform(0, script.days * 86_400, script.studies))
    for number, (place, second) in enumerate(zip(stations, seconds, strict=True)):
        station = SCANNERS[place].station
        late = script.change is not None and script.change.station == station and number >= script.since
        scanner = scanner_of(station, script.change if late else None)
        taken = shot(scanner, script.seed * 100_000 + number)
        yield Scene(at=FIRST + dt.timedelta(seconds=round(float(second))), shot=taken, changed=late)


def write(script: Script, folder: Path) -> int:
    """Write every study, and `studies.csv` beside them; how many there are.

    Raises:
        Rejected: the folder of images has no labels.csv, or an image in it cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shelf = None if script.data is None else _Shelf.of(script.data)
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as lines:
        out = csv.writer(lines)
        out.writerow(COLUMNS)
        for scene in scenes(script):
            _save(scene, folder, _picture(scene.shot, script, shelf))
            out.writerow(_row(scene))
    return script.studies


def _save(scene: Scene, folder: Path, grey: Grey) -> None:
    path = folder / scene.file
    path.parent.mkdir(exist_ok=True)
    study(scene.shot, scene.at, grey).save_as(path, enforce_file_format=True)


def _row(scene: Scene) -> tuple[str, ...]:
    one = scene.shot
    names = tuple(TARGET if found else NONE for found in (one.positive, one.read_positive))
    changed = str(int(scene.changed))
    return scene.file, scene.at.isoformat(), one.scanner.site, one.scanner.station, *names, changed


def _picture(one: Shot, script: Script, shelf: "_Shelf | None") -> Grey:
    if shelf is None:
        return picture(one, script.rows)
    if one.lateral:
        return processed(one, lateral_pixels(one.case.seed, script.rows))
    return regraded(one, shelf.image(one))


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Images of a labelled folder, by label."""

    files: dict[str, tuple[Path, ...]]

    @classmethod
    def of(cls, folder: Path) -> "_Shelf":
        table = folder / "labels.csv"
        if not table.is_file():
            raise Rejected("the folder of images has no labels.csv")
        with table.open(newline="", encoding="utf-8") as lines:
            rows = [(row.get("file", ""), row.get("label", "")) for row in csv.DictReader(lines)]
        files = {
            label: tuple(sorted(folder / name for name, said in rows if said == label)) for label in (TARGET, NONE)
        }
        if not all(files.values()):
            raise Rejected(f"labels.csv names no images of {TARGET}, or none of {NONE}")
        return cls(files)

    def image(self, one: Shot) -> Grey:
        """An image with the shot's truth, 12 bits, the same for the same shot."""
        choice = self.files[TARGET if one.positive else NONE]
        rng = np.random.default_rng([one.case.seed, 31])
        try:
            ds = pydicom.dcmread(choice[int(rng.integers(len(choice)))])
            stored = ds.pixel_array.astype(np.float64)
            most = float((1 << int(ds.BitsStored)) - 1)
        except (OSError, pydicom.errors.InvalidDicomError, AttributeError, ValueError, RuntimeError) as error:
            raise Rejected("an image of the folder cannot be read") from error
        inverted = str(ds.get("PhotometricInterpretation", "")) == "MONOCHROME1"
        unit = np.clip(stored / most, 0.0, 1.0)
        return np.round((1 - unit if inverted else unit) * FULL).astype(np.uint16)
