"""Labelled images in memory, read from DICOM and `labels.csv`, with the groups that a split keeps together."""

import csv
from collections.abc import Iterator
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
from models.training.recipes import Recipe
from radloop.domain.errors import Unparsable

PHANTOM_SEEDS = 900_000
"""Training phantoms start here; demonstrations and tests use small seeds."""
HASH_SIDE, HASH_KEPT, HASH_BITS_APART = 32, 8, 10
CORRELATED = 0.95
ROWS_AT_ONCE = 512
"""Images that are held against all the others in one step: 8 kB of memory for each of the others."""
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
        read_images = [_image(folder / Path(row["file"]).name, recipe) for row in rows]
    except (OSError, KeyError, ValueError, AttributeError, InvalidDicomError) as error:
        raise Unparsable("the data folder has no readable labels.csv, or an image in it cannot be read") from error
    units = [unit for unit, _ in read_images]
    labels = np.array([row["label"] == recipe.positive for row in rows], np.float32)
    groups = group([patient for _, patient in read_images], units if recipe.near_duplicates else [])
    return Cohort(*_sized(units, recipe), labels, groups)


def phantoms(recipe: Recipe) -> Cohort:
    """The recipe's synthetic images, half with and half without the finding; each is its own group."""
    labels = [True, False] * recipe.phantoms
    units = [_phantom(recipe, PHANTOM_SEEDS + i, label) for i, label in enumerate(labels)]
    small, large = _sized(units, recipe)
    return Cohort(small, large, np.array(labels, np.float32), np.arange(len(labels)))


def group(patients: list[str], units: list[Floats]) -> npt.NDArray[np.intp]:
    """A group number per image: same patient, and among `units` also same picture.

    Two pictures are the same where their perceptual hashes (signs of the low frequencies of a 32 x 32 DCT about
    their median, Zauner 2010) differ in at most 10 of 63 bits or their thumbnails correlate above 0.95.
    """
    _, first, own = np.unique(np.array(patients), return_index=True, return_inverse=True)
    links = [np.stack([np.arange(len(patients)), first[own]])]
    if units:
        links.extend(_alike(np.stack([resample(unit, HASH_SIDE, HASH_SIDE) for unit in units])))
    rows, columns = np.concatenate(links, axis=1)
    together = coo_matrix((np.ones(len(rows), np.bool_), (rows, columns)), shape=(len(patients), len(patients)))
    return np.asarray(connected_components(together, directed=False)[1], np.intp)


def _alike(thumbnails: Floats) -> Iterator[npt.NDArray[np.intp]]:
    """Pairs (2, n) of the same picture, some rows at a time: all of a large cohort at once would not fit in memory."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    waves = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :HASH_KEPT, :HASH_KEPT].reshape(len(thumbnails), -1)[:, 1:]
    # Of signs, the product is how many more agree than differ.
    signs = np.where(waves > np.median(waves, axis=1, keepdims=True), 1, -1).astype(np.float32)
    for start in range(0, len(flat), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        apart = (signs.shape[1] - signs[some] @ signs.T) / 2
        found = np.nonzero((apart <= HASH_BITS_APART) | (flat[some] @ flat.T > CORRELATED))
        yield np.stack([found[0] + start, found[1]])


def _image(path: Path, recipe: Recipe) -> tuple[Floats, str]:
    ds = pydicom.dcmread(path)
    return to_unit(ds.pixel_array, header_facts(ds), recipe.window), str(ds.get("PatientID", ""))


def _phantom(recipe: Recipe, seed: int, positive: bool) -> Floats:  # noqa: FBT001 - the label of the image
    return to_unit(recipe.phantom(seed, positive), HeaderFacts(), recipe.window)


def _sized(units: list[Floats], recipe: Recipe) -> tuple[Floats, Floats]:
    side, large = recipe.input_size, round(recipe.input_size * MARGIN)
    small = np.stack([resample(unit, side, side) for unit in units])
    return small, np.stack([resample(unit, large, large) for unit in units])
