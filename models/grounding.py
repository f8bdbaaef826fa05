"""Makes the grounds of the zoo: `python -m models.grounding [--data FOLDER] [--model NAME] [--out FOLDER]`.

Phantoms are drawn here; FOLDER may hold the public sets `cxr` and `brain-mr` (their README names the sources). Without
it, families of real images that a ground has already are kept as they are. What comes out is numbers: means, an inverse
covariance, quantiles. No image can be told from them.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from pydicom import Dataset, dcmread

from models.catalog import catalog
from models.embedding import HALF
from models.grounds import FILE, FORMAT
from models.phantoms import brain_slices, chest, head_ct
from models.phantoms.sites import SITES, cases, radiograph
from models.pixel_facts import Scale, pixel_facts, stored_scale
from models.preparation import Floats, header_facts, to_unit
from models.runtime import LoadedModel, load
from radloop.domain.acquired import PixelFacts

Numbers = npt.NDArray[np.float64]
DECIMALS: Final = 6
FOLDS: Final = 10
SHRUNK: Final = 0.1
"""How far the covariance is drawn towards a multiple of the identity (Ledoit and Wolf 2004): few images, 32 numbers."""
MOST: Final = 0.99
"""The share of a family's images, held out of its covariance, that lie within its reach before room is given."""
BATCH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A family to be made: where its images come from, and how much room is given around them.

    Phantoms of one program are more alike than images of one hospital: they get more `room`.
    """

    name: str
    source: str
    images: Callable[[Path | None], Iterable[Dataset]]
    room: float
    real: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One image as ground is made of it: the network's input upright and inverted, and its pixel facts."""

    upright: Floats
    inverted: Floats
    facts: PixelFacts


def _real(folder: str) -> Callable[[Path | None], Iterator[Dataset]]:
    def images(data: Path | None) -> Iterator[Dataset]:
        yield from (dcmread(path) for path in sorted((data / folder).glob("*.dcm"))) if data else ()

    return images


def _chests(_: Path | None) -> Iterator[Dataset]:
    for rows in (256, 512, 1024):
        yield from (chest(seed, opacity=seed % 2 == 0, rows=rows) for seed in range(40))


def _sites(_: Path | None) -> Iterator[Dataset]:
    for site in SITES.values():
        yield from (radiograph(case) for case in cases(site, 50, seed=9))


def _brains(_: Path | None) -> Iterator[Dataset]:
    for rows in (192, 256, 512):
        for seed in range(20):
            yield from brain_slices(seed, lesion=seed % 2 == 0, count=3, rows=rows)[::2]


def _heads(_: Path | None) -> Iterator[Dataset]:
    for rows in (256, 512):
        for seed in range(40):
            yield from head_ct(seed, bleed=seed % 2 == 0, count=3, rows=rows)[::2]


KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "cxr_pneumonia": (
        Kind(
            name="radiographs",
            source="public frontal chest radiographs (NIH ChestX-ray8, by way of DarkCovidNet), folder cxr",
            images=_real("cxr"),
            room=1.0,
            real=True,
        ),
        Kind(
            name="phantoms", source="models.phantoms.chest, seeds 0 to 39, 256 to 1024 rows", images=_chests, room=4.0
        ),
        Kind(name="site phantoms", source="models.phantoms.sites, 50 of each site, seed 9", images=_sites, room=3.0),
    ),
    "brain_mr_tumour": (
        Kind(
            name="slices",
            source="public axial brain MR slices (brain MRI for tumour detection), folder brain-mr",
            images=_real("brain-mr"),
            room=1.0,
            real=True,
        ),
        Kind(name="phantoms", source="models.phantoms.brain, seeds 0 to 19, three sizes", images=_brains, room=4.0),
    ),
    "head_ct_haemorrhage": (
        Kind(name="phantoms", source="models.phantoms.head_ct, seeds 0 to 39, two sizes", images=_heads, room=4.0),
    ),
}


def made(model: LoadedModel, kind: Kind, data: Path | None) -> dict[str, object] | None:
    """One family as it stands in the file; None where its images are not there."""
    looks = [_look(model, ds) for ds in kind.images(data)]
    if not looks:
        return None
    upright = _embedded(model, [look.upright for look in looks])
    inverted = _embedded(model, [look.inverted for look in looks])
    return {
        "name": kind.name,
        "source": kind.source,
        "images": len(looks),
        "reach": round(kind.room * float(np.quantile(_held_out(upright), MOST)), 3),
        "mean": _listed(upright.mean(axis=0)),
        "inverted": _listed(inverted.mean(axis=0)),
        "precision": [_listed(row) for row in _precision(upright)],
        **_limits([look.facts for look in looks]),
    }


def _look(model: LoadedModel, ds: Dataset) -> Look:
    values, facts = ds.pixel_array.astype(np.float32), header_facts(ds)
    unit = to_unit(values, facts, model.spec.window)
    return Look(_prepared(model, unit), _prepared(model, 1 - unit), pixel_facts(values, _scale(ds)))


def _prepared(model: LoadedModel, unit: Floats) -> Floats:
    return np.asarray(model.prepare(unit).numpy(), np.float32)


def _scale(ds: Dataset) -> Scale:
    inverted = ds.PhotometricInterpretation == "MONOCHROME1"
    signed = bool(ds.PixelRepresentation)
    return stored_scale(int(ds.BitsStored), signed=signed, slope=1.0, intercept=0.0, inverted=inverted)


def _embedded(model: LoadedModel, images: Sequence[Floats]) -> Numbers:
    """(n, 32): the half of the embedding that no training moves."""
    batches = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
    found = [model.embed(torch.from_numpy(np.stack(batch))) for batch in batches]
    return np.concatenate(found).astype(np.float64)[:, :HALF]


def _covariance(rows: Numbers) -> Numbers:
    covariance = np.cov(rows, rowvar=False)
    size = len(covariance)
    shrunk: Numbers = (1 - SHRUNK) * covariance + SHRUNK * np.trace(covariance) / size * np.eye(size)
    return shrunk


def _precision(rows: Numbers) -> Numbers:
    return np.asarray(np.linalg.inv(_covariance(rows)))


def _held_out(rows: Numbers) -> Numbers:
    """The squared distance of every image from the others of its family, in `FOLDS` folds."""
    found = np.empty(len(rows))
    for fold in range(FOLDS):
        held = np.arange(len(rows)) % FOLDS == fold
        apart = rows[held] - rows[~held].mean(axis=0)
        found[held] = np.einsum("ij,jk,ik->i", apart, _precision(rows[~held]), apart)
    return found


def _limits(facts: Sequence[PixelFacts]) -> dict[str, object]:
    """From where on a pixel fact is unusual: beyond nearly every image of the family, and some room."""
    sharp = np.quantile([one.sharpness for one in facts], 0.005)
    bright = np.quantile([one.clipped_high for one in facts], 0.99)
    dark = np.quantile([one.clipped_low for one in facts], 0.99)
    return {
        "low": {"sharpness": round(0.96 * float(sharp), DECIMALS)},
        "high": {
            "clipped_high": round(max(0.05, 1.5 * float(bright)), DECIMALS),
            "clipped_low": round(max(0.05, 2.0 * float(dark)), DECIMALS),
        },
    }


def _listed(values: Numbers) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def write(model: str, data: Path | None, folder: Path) -> Path:
    """Make a model's ground, and write it; families whose images are not there are kept from the file before."""
    loaded, path = load(catalog()[model].bundle), folder / model / FILE
    before = {one["name"]: one for one in json.loads(path.read_bytes())["families"]} if path.is_file() else {}
    families = [made(loaded, kind, data) or before.get(kind.name) for kind in KINDS[model]]
    said = {
        "format": FORMAT,
        "model": model,
        "made_by": "python -m models.grounding",
        "about": "Numbers of the embedding 0 to 31 (models.embedding) and of pixel facts (models.pixel_facts).",
        "input_size": loaded.spec.input_size,
        "families": [one for one in families if one],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_rows_on_one_line(json.dumps(said, indent=1)) + "\n", encoding="utf-8")
    return path


def _rows_on_one_line(text: str) -> str:
    """A list of numbers is a line, so that a changed ground reads as a few changed lines."""
    return re.sub(r"\[\s+([-+.e\d,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def main() -> None:
    """Write the ground of one model, or of all."""
    parser = argparse.ArgumentParser(prog="python -m models.grounding", description="Make the grounds of models.")
    parser.add_argument("--data", type=Path, help="the folder that holds cxr and brain-mr")
    parser.add_argument("--model", choices=sorted(KINDS), help="one model; else all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "zoo", help="the folder of models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    for model in [arguments.model] if arguments.model else sorted(KINDS):
        sys.stdout.write(f"{write(model, arguments.data, arguments.out)}\n")


if __name__ == "__main__":
    main()
