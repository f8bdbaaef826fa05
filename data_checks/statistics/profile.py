"""Many columns at once: has the mean of the latest rows left that of the reference, and do single rows lie far out?

Hotelling's T-squared (1931) on normal scores and principal components, with a shrunk covariance, for every length of
the latest rows. A scanner that moves ten columns by a little each is found by what they do together.
The smallest shift is in standard deviations along the direction of the change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc, gammainccinv

from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient

Floats = npt.NDArray[np.float64]
LEAST_KNOWN: Final = 50
DRAWS: Final = 600
LONGEST_DRAW: Final = 32
LEVELS: Final = (0.0, 0.01, 0.05)
"""Shares of the reference that lie further out than a row must to count as far: none, 1 %, 5 %."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A reference of m rows by d features, made ready.

    Args:
        middle: (d,) means of the features.
        whiten: (d, d) features to whitened features.
        size: m.
        moments: by length k, mean and variance of T-squared without a change, estimated on the reference.
        far: for each of `LEVELS`, the squared distance, and how many rows of the reference lie beyond.
    """

    middle: Floats
    whiten: Floats
    size: int
    moments: dict[int, tuple[float, float]]
    far: tuple[tuple[float, int], ...]

    def whitened(self, rows: Floats) -> Floats:
        """(n, d) features, centred on the reference and whitened; a missing value counts as the mean."""
        found: Floats = np.nan_to_num(rows - self.middle, nan=0.0) @ self.whiten
        return found


def profile(known: Floats, lengths: Sequence[int]) -> Profile | None:
    """Make (m, d) features of the reference ready; None where there are too few rows for any."""
    size, width = known.shape
    if size < LEAST_KNOWN or width == 0:
        return None
    middle = np.nanmean(known, axis=0)
    centred = np.nan_to_num(known - middle, nan=0.0)
    fair = _crossed(centred)
    distances = np.sort(np.sum(fair**2, axis=1))[::-1]
    levels = [int(level * size) for level in LEVELS]
    far = tuple((float(distances[count]), count) for count in levels)
    return Profile(middle, _whitening(centred), size, _moments(fair, lengths, size), far)


def squares(known: Profile, white: Floats, lengths: Sequence[int]) -> Floats:
    """T-squared of the latest k rows, for each k of `lengths`, all at most n, from whitened rows (n, d)."""
    sums = np.cumsum(white[::-1], axis=0)[np.asarray(lengths) - 1]
    counts = np.asarray(lengths, dtype=float)
    found: Floats = np.sum(sums**2, axis=1) / counts / (1 + counts / known.size)
    return found


def tails(known: Profile, values: Floats, lengths: Sequence[int]) -> Floats:
    """How often T-squared comes to as much without a change: a gamma tail of the moments for each length."""
    moments = np.array([known.moments[_nearest(length, known)] for length in lengths])
    shape, scale = moments[:, 0] ** 2 / moments[:, 1], moments[:, 1] / moments[:, 0]
    return np.asarray(gammaincc(shape, values / scale), dtype=float)


def statistic(known: Profile, white: Floats, alpha: float = ALPHA) -> Statistic:
    """T-squared of all of (n, d) whitened rows."""
    n, m = len(white), known.size
    if n == 0:
        return insufficient("profile", n, m)
    value = squares(known, white, [n])
    mean, variance = known.moments[_nearest(n, known)]
    limit = float(gammainccinv(mean**2 / variance, alpha)) * variance / mean
    shift = sqrt((limit - mean + Z_POWER * sqrt(variance)) * (1 / n + 1 / m))
    p = float(tails(known, value, [n])[0])
    return Statistic(name="profile", value=float(value[0]), p=p, n=n, m=m, smallest_shift=shift, enough=True)


def begin(white: Floats) -> int:
    """The row (n, d) from which on the mean has most likely been another one."""
    sums = np.cumsum(white[::-1], axis=0)
    gain = np.sum(sums**2, axis=1) / np.arange(1, len(white) + 1)
    return len(white) - 1 - int(np.argmax(gain))


def _whitening(centred: Floats) -> Floats:
    """(d, d), from a covariance that is shrunk towards its diagonal mean by d / (d + m)."""
    size, width = centred.shape
    covariance = centred.T @ centred / size
    share = width / (width + size)
    target = float(np.trace(covariance)) / width or 1.0
    values, vectors = np.linalg.eigh((1 - share) * covariance + share * target * np.eye(width))
    found: Floats = vectors / np.sqrt(np.maximum(values, 1e-12))
    return found


def _crossed(centred: Floats) -> Floats:
    """The reference's own rows, whitened by what the other half of them taught: as a new row would be."""
    even = np.arange(len(centred)) % 2 == 0
    found = np.empty_like(centred)
    for half in (even, ~even):
        found[half] = centred[half] @ _whitening(centred[~half])
    # The halves know less than the whole, and spread new rows further than it will.
    own = float(np.sum((centred @ _whitening(centred)) ** 2))
    crossed = float(np.sum(found**2)) or 1.0
    return np.asarray(found * sqrt((own + crossed) / 2 / crossed))


def _moments(fair: Floats, lengths: Sequence[int], size: int) -> dict[int, tuple[float, float]]:
    rng = np.random.default_rng(0)
    centred = fair - fair.mean(axis=0)
    found: dict[int, tuple[float, float]] = {}
    for length in lengths:
        if length > LONGEST_DRAW and found:
            break
        sums = sum(centred[rng.integers(0, size, DRAWS)] for _ in range(length))
        values = np.sum(np.asarray(sums) ** 2, axis=1) / length
        found[length] = float(values.mean()), max(float(values.var()), 1e-12)
    return found


def _nearest(length: int, known: Profile) -> int:
    return max((one for one in known.moments if one <= length), default=min(known.moments))
