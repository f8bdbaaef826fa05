"""The images that a training run gets: those to learn from, and those that choose threshold and calibration.

Never the test split, and nobody's identity: patients are numbers from 0.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from models.preparation import Floats
from models.training.arrays import Arrays
from radloop.domain.errors import Rejected

HEAVIEST: Final = 10.0
"""No image counts for more than this many times another: truncated importance sampling (Ionides 2008)."""
FEWEST: Final = 2
"""Images of each label that either split needs: Platt scaling and the AUC are not defined on fewer labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """`images` (N, L, L) to learn from or (N, S, S) to choose by; `labels`, `counts` (mean 1), `groups`: (N,)."""

    images: Floats
    labels: npt.NDArray[np.float32]
    counts: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is learned from (the larger pictures), and what is held back to choose by (as the network sees them)."""

    train: Taught
    held: Taught


def material(
    train: Arrays, chances: npt.NDArray[np.float64], held: Arrays, held_chances: npt.NDArray[np.float64]
) -> Material:
    """Of two splits, and the known chance (0..1] with which each image was drawn.

    Raises:
        Rejected: a split has too few images of a label.
    """
    for split, arrays in (("training", train), ("validation", held)):
        positives = int(arrays.labels.sum())
        if min(positives, len(arrays) - positives) < FEWEST:
            raise Rejected(f"the {split} split has fewer than {FEWEST} images of a label")
    return Material(
        Taught(train.large, train.labels, counts(chances), numbered(train.groups)),
        Taught(held.small, held.labels, counts(held_chances), numbered(held.groups)),
    )


def counts(chances: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """How much each image counts: the inverse of its chance (Horvitz and Thompson 1952), bounded, with mean 1."""
    inverse = 1 / np.clip(chances, 1e-6, 1)
    bounded = np.minimum(inverse, HEAVIEST * inverse.min())
    return np.asarray(bounded / bounded.mean(), np.float32)


def numbered(groups: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """The same groups, named by numbers."""
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)


def pack(images: Material) -> bytes:
    """As safetensors."""
    sides = {"train": images.train, "held": images.held}
    packed: bytes = save(
        {
            f"{side}.{name}": np.ascontiguousarray(getattr(taught, name))
            for side, taught in sides.items()
            for name in Taught.__slots__
        }
    )
    return packed


def read(path: str) -> Material:
    """From a file."""
    found = load_file(path)
    sides = [Taught(*(found[f"{side}.{name}"] for name in Taught.__slots__)) for side in ("train", "held")]
    return Material(*sides)
