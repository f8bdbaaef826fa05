"""Labelled images in memory, as training and evaluation take them from a cohort."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from models.preparation import Floats
from models.training.copies import Prepared
from radloop.domain.errors import IntegrityError
from radloop.domain.learning import Facts


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """`large` (N, L, L) and `small` (N, S, S) float32, 0..1; `labels` (N,) float32, 0 or 1.

    `groups` (N,) str are surrogate ids of patients, `facts` what subgroups are made of. `small` is, bit for bit, what
    the served network sees.
    """

    large: Floats
    small: Floats
    labels: npt.NDArray[np.float32]
    groups: npt.NDArray[np.str_]
    facts: tuple[Facts, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.intp]) -> "Arrays":
        """These rows, in this order."""
        facts = tuple(self.facts[row] for row in rows.tolist())
        return Arrays(self.large[rows], self.small[rows], self.labels[rows], self.groups[rows], facts)


def stacked(copies: Iterable[Prepared], labels: Sequence[int], groups: Sequence[str], facts: Sequence[Facts]) -> Arrays:
    """Arrays of copies that come one by one, with what is known of each.

    Raises:
        IntegrityError: they are of different sizes, or not as many as their labels.
    """
    rest = iter(copies)
    first = next(rest, None)
    if first is None:
        raise IntegrityError("there are no training copies")
    large = np.zeros((len(labels), *first.large.shape), np.float32)
    small = np.zeros((len(labels), *first.small.shape), np.float32)
    rows = -1
    for row, copy in enumerate(chain([first], rest)):
        if copy.small.shape != first.small.shape or copy.large.shape != first.large.shape or row >= len(labels):
            raise IntegrityError("the training copies are of different sizes, or too many")
        small[row], large[row], rows = copy.small, copy.large, row
    if rows + 1 != len(labels):
        raise IntegrityError("there are fewer training copies than labels")
    return Arrays(large, small, np.array(labels, np.float32), np.array(groups, dtype=np.str_), tuple(facts))
