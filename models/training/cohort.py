"""Labelled images in memory, read from DICOM and `labels.csv`, with the groups that a split keeps together."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from scipy.fft import dctn
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from models.preparation import Floats, HeaderFacts, header_facts, resample, to_unit
from models.training.recipes import Phantom, Recipe
from radloop.domain.errors import Unparsable

PHANTOM_SEEDS = 900_000
"""Training phantoms start here; demonstrations and tests use small seeds."""
HASH_SIDE, HASH_KEPT, HASH_BITS_APART = 32, 8, 10
CORRELATED = 0.95
MARGIN = 4 / 3


@dataclass(frozen=True, slots=True)
class Cohort:
    """Images as the network sees them, and larger ones to augment from.

    `small` (N, S, S) and `large` (N, L, L) are float32, 0..1; `labels` (N,) is 0 or 1; `groups` (N,) names
    what must stay together.
    """

    small: Floats
    large: Floats
    labels: npt.NDArray[np.float32]
    groups: npt.NDArray[np.intp]


def read(folder: Path, recipe: Recipe) -> Cohort:
    """Read every image that `labels.csv` (columns file and label) names.

    Raises:
        Unparsable: there is no such table, or a file in it is not a readable image.
    """
    try:
        with (folder / "labels.csv").open(newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        read_images = [_image(folder / Path(row["file"]).name) for row in rows]
    except (OSError, KeyError, ValueError, AttributeError, InvalidDicomError) as error:
        raise Unparsable("the data folder has no readable labels.csv, or an image in it cannot be read") from error
    units = [unit for unit, _ in read_images]
    labels = np.array([row["label"] == recipe.positive for row in rows], np.float32)
    groups = group([patient for _, patient in read_images], units if recipe.near_duplicates else [])
    return Cohort(*_sized(units, recipe), labels, groups)


def phantoms(recipe: Recipe) -> Cohort:
    """The recipe's synthetic images, half with and half without the finding; each is its own group."""
    labels = [True, False] * recipe.phantoms
    units = [_phantom(recipe.phantom, PHANTOM_SEEDS + i, label) for i, label in enumerate(labels)]
    small, large = _sized(units, recipe)
    return Cohort(small, large, np.array(labels, np.float32), np.arange(len(labels)))


def group(patients: list[str], units: list[Floats]) -> npt.NDArray[np.intp]:
    """A group number per image: same patient, and among `units` also same picture.

    Two pictures are the same where their perceptual hashes (signs of the low frequencies of a 32 x 32 DCT about
    their median, Zauner 2010) differ in at most 10 of 63 bits or their thumbnails correlate above 0.95.
    """
    names = np.array(patients)
    together = names[:, None] == names[None, :]
    if units:
        together |= _alike(np.stack([resample(unit, HASH_SIDE, HASH_SIDE) for unit in units]))
    return np.asarray(connected_components(coo_matrix(together), directed=False)[1], np.intp)


def _alike(thumbnails: Floats) -> npt.NDArray[np.bool_]:
    waves = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :HASH_KEPT, :HASH_KEPT].reshape(len(thumbnails), -1)[:, 1:]
    bits = waves > np.median(waves, axis=1, keepdims=True)
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    correlation = np.corrcoef(thumbnails.reshape(len(thumbnails), -1))
    return np.asarray((apart <= HASH_BITS_APART) | (correlation > CORRELATED))


def _image(path: Path) -> tuple[Floats, str]:
    ds = pydicom.dcmread(path)
    return to_unit(ds.pixel_array, header_facts(ds)), str(ds.get("PatientID", ""))


def _phantom(draw: Phantom, seed: int, positive: bool) -> Floats:  # noqa: FBT001 - the label of the image
    return to_unit(draw(seed, positive), HeaderFacts())


def _sized(units: list[Floats], recipe: Recipe) -> tuple[Floats, Floats]:
    side, large = recipe.input_size, round(recipe.input_size * MARGIN)
    small = np.stack([resample(unit, side, side) for unit in units])
    return small, np.stack([resample(unit, large, large) for unit in units])
