"""The checks at the door on real images: how often each warns falsely, and what it catches.

    python -m tests.bench.door [--data ../shared/data] [--every N] [--json FILE]

Every image of the public sets passes the door as it is, and then spoiled in ways that happen: grey values inverted,
all black, motion, exposure. Slices of brains are sent as chests, and the other way round. `unknown`: ground made of the
even images only, measured on the odd ones, so that nothing is judged by what it was calibrated on.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from pydicom import Dataset, dcmread

from data_checks.at_door import Case, Stage, door, remarks
from models.catalog import catalog
from models.grounding import KINDS, made
from models.grounds import ground_of, parse_ground
from models.pixel_facts import Scale, pixel_facts, stored_scale
from models.preparation import Floats, header_facts, to_unit
from models.runtime import LoadedModel, load
from radloop.domain.acquired import ImageGround, NoteOutcome, Seen
from radloop.domain.records import Acquisition

DATA: Final = Path(__file__).parents[3] / "shared" / "data"
SETS: Final = {"cxr_pneumonia": "cxr", "brain_mr_tumour": "brain-mr"}
Spoil = Callable[[Floats, float], Floats]


def motion(share: float, axis: int) -> Spoil:
    """The mean over a way of that share of the image's longer side."""

    def moved(values: Floats, _: float) -> Floats:
        length = max(2, int(share * max(values.shape)))
        padded = np.pad(values, [(length, 0) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        total = np.cumsum(padded, axis=axis, dtype=np.float64)
        late, early = (np.take(total, range(first, first + values.shape[axis]), axis) for first in (length, 0))
        return np.asarray((late - early) / length, np.float32)

    return moved


def exposed(gain: float) -> Spoil:
    """Over-exposed: everything that would be brighter than the brightest stays at it."""
    return lambda values, _: np.minimum(values * gain, np.percentile(values, 99)).astype(np.float32)


def black(values: Floats, top: float) -> Floats:
    """The dark of a detector: noise of less than a thousandth of the grey scale."""
    noise = np.random.default_rng(0).normal(0, top / 4000, values.shape)
    return np.round(np.abs(noise)).astype(np.float32)


# What is done to an image, and the checks of which one has to warn.
SPOILED: Final[Mapping[str, tuple[Spoil, tuple[str, ...]]]] = {
    "inverted": (lambda values, top: (top - values).astype(np.float32), ("inverted",)),
    "all black": (black, ("all_black", "constant")),
    "constant": (lambda values, _: np.full_like(values, values.mean()), ("constant", "all_black")),
    "motion of 2 %, across": (motion(0.02, 1), ("motion_blur",)),
    "motion of 4 %, across": (motion(0.04, 1), ("motion_blur",)),
    "motion of 4 %, down": (motion(0.04, 0), ("motion_blur",)),
    "exposure x 1.5, clipped": (exposed(1.5), ("clipped", "wrong_body_part")),
    "exposure x 2.5, clipped": (exposed(2.5), ("clipped", "wrong_body_part", "constant")),
}


@dataclass(frozen=True)
class Rate:
    """Of so many images, how many were warned about at all, by an expected check, and by which."""

    model: str
    what: str
    ground: str
    images: int
    warned: int
    caught: int
    by: Mapping[str, int]


class Door:
    """The door of one model."""

    def __init__(self, name: str, ground: ImageGround | None = None) -> None:
        self.model = load(catalog()[name].bundle)
        self.ground = ground or ground_of(name)
        self.checks = [check for check in door().values() if check.stage is not Stage.HEADER]

    def warning(self, ds: Dataset, values: Floats, photometric: str = "MONOCHROME2") -> str:
        """The check that warns; '' for none."""
        row = Acquisition(instance_id="in_1", version_id="sv_1", modality="", photometric=photometric)
        case = Case(row=row, seen=self.seen(ds, values, photometric), ground=self.ground)
        found = (one for one in remarks(self.checks, [case]) if one.remark.outcome is NoteOutcome.WARN)
        return next((one.check for one in found), "")

    def mislabelled(self, ds: Dataset, values: Floats) -> str:
        """The check that warns of the image where the header says MONOCHROME1 of the same pixels."""
        return self.warning(ds, values, "MONOCHROME1")

    def seen(self, ds: Dataset, values: Floats, photometric: str) -> Seen:
        facts = replace(header_facts(ds), slope=1.0, intercept=0.0, photometric=photometric)
        unit = to_unit(values, facts)
        (embedding,) = self.model.embed(self.model.prepare(unit)[None])
        return Seen(instance_id="in_1", facts=pixel_facts(values, scale(ds)), embedding=tuple(map(float, embedding)))


def scale(ds: Dataset) -> Scale:
    return stored_scale(int(ds.BitsStored), signed=False, slope=1.0, intercept=0.0, inverted=False)


def measure(data: Path, every: int) -> Iterator[Rate]:
    """All rates of all models, as they come."""
    for name, folder in SETS.items():
        own = [dcmread(path) for path in sorted((data / folder).glob("*.dcm"))]
        others = [dcmread(path) for path in sorted((data / _other(name)).glob("*.dcm"))]
        yield from rates(name, "known", Door(name), own[::every], others[::every])
        yield from rates(name, "unknown", Door(name, half(load(catalog()[name].bundle), name, own[::2])),
                         own[1::2][::every], others[1::2][::every])  # fmt: skip


def half(model: LoadedModel, name: str, known: Sequence[Dataset]) -> ImageGround:
    """A ground of these images alone."""
    kind = replace(KINDS[name][0], images=lambda _: known)
    said = {"format": 1, "model": name, "families": [made(model, kind, None)]}
    return parse_ground(json.dumps(said).encode())


def rates(name: str, ground: str, place: Door, own: Sequence[Dataset], others: Sequence[Dataset]) -> Iterator[Rate]:
    images = [(ds, ds.pixel_array.astype(np.float32)) for ds in own]
    yield rate(name, "as it is (false)", ground, [place.warning(ds, values) for ds, values in images], ())
    for what, (spoil, expected) in SPOILED.items():
        spoiled = [place.warning(ds, spoil(values, float(2**ds.BitsStored - 1))) for ds, values in images]
        yield rate(name, what, ground, spoiled, expected)
    yield rate(
        name, "said to be MONOCHROME1", ground, [place.mislabelled(*image) for image in images], ("wrong_photometric",)
    )
    foreign = [place.warning(ds, ds.pixel_array.astype(np.float32)) for ds in others]
    yield rate(name, "another body part", ground, foreign, ("wrong_body_part", "inverted"))


def rate(name: str, what: str, ground: str, warnings: Sequence[str], expected: tuple[str, ...]) -> Rate:
    by = Counter(one for one in warnings if one)
    caught = sum(by[check] for check in expected)
    return Rate(name, what, ground, len(warnings), sum(by.values()), caught, dict(by))


def _other(name: str) -> str:
    return next(folder for model, folder in SETS.items() if model != name)


def main() -> None:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--every", type=int, default=1, help="every n-th image only")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for one in measure(arguments.data, arguments.every):
        found.append(one)
        share = one.warned / max(1, one.images)
        by = ", ".join(f"{check} {n}" for check, n in sorted(one.by.items()))
        sys.stdout.write(f"{one.model:16} {one.ground:8} {one.what:26} {one.images:4} {share:7.1%} {by}\n")
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(one) for one in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
