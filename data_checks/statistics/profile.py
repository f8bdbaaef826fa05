"""Many columns at once: has the mean of the latest rows left that of the reference?

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

from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient
from data_checks.statistics.tail import Tail, tail

Floats = npt.NDArray[np.float64]
LEAST_KNOWN: Final = 50
DRAWS: Final = 2000
DRAWN: Final = 100
"""Of them, those that teach the tail."""
LONGEST_DRAW: Final = 32


@dataclass(frozen=True, slots=True)
class Profile:
    """A reference of m rows by d features, made ready.

    Args:
        middle: (d,) means of the features.
        whiten: (d, d) features to whitened features.
        size: m.
        drawn: by length k, T-squared of rows drawn from the reference: what it comes to without a change.
    """

    middle: Floats
    whiten: Floats
    size: int
    drawn: dict[int, Tail]

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
    return Profile(middle, whitening(centred), size, _drawn(fair, lengths))


def squares(known: Profile, white: Floats, lengths: Sequence[int]) -> Floats:
    """T-squared of the latest k rows, for each k of `lengths`, all at most n, from whitened rows (n, d)."""
    sums = np.cumsum(white[::-1], axis=0)[np.asarray(lengths) - 1]
    counts = np.asarray(lengths, dtype=float)
    found: Floats = np.sum(sums**2, axis=1) / counts / (1 + counts / known.size)
    return found


def tails(known: Profile, values: Floats, lengths: Sequence[int]) -> Floats:
    """How often T-squared comes to as much without a change, for each length."""
    pairs = zip(values, lengths, strict=True)
    return np.array([float(_of_length(known, length).chances(np.asarray(value))) for value, length in pairs])


def statistic(known: Profile, white: Floats, alpha: float = ALPHA) -> Statistic:
    """T-squared of all of (n, d) whitened rows."""
    n, m = len(white), known.size
    if n == 0:
        return insufficient("profile", n, m)
    value = squares(known, white, [n])
    usual = _of_length(known, n)
    beyond = usual.limit(alpha) - float(usual.values.mean()) + Z_POWER * float(usual.values.std())
    shift = sqrt(max(beyond, 0.0) * (1 / n + 1 / m))
    p = float(tails(known, value, [n])[0])
    return Statistic(name="profile", value=float(value[0]), p=p, n=n, m=m, smallest_shift=shift, enough=True)


def begin(white: Floats) -> int:
    """The row (n, d) from which on the mean has most likely been another one."""
    sums = np.cumsum(white[::-1], axis=0)
    gain = np.sum(sums**2, axis=1) / np.arange(1, len(white) + 1)
    return len(white) - 1 - int(np.argmax(gain))


def whitening(centred: Floats) -> Floats:
    """(d, d) from centred (m, d), by a covariance that is shrunk towards its diagonal mean by d / (d + m)."""
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
        found[half] = centred[half] @ whitening(centred[~half])
    # The halves know less than the whole, and spread new rows further than it will.
    own = float(np.sum((centred @ whitening(centred)) ** 2))
    crossed = float(np.sum(found**2)) or 1.0
    return np.asarray(found * sqrt((own + crossed) / 2 / crossed))


def _drawn(fair: Floats, lengths: Sequence[int]) -> dict[int, Tail]:
    rng = np.random.default_rng(0)
    centred, sums = fair - fair.mean(axis=0), np.zeros((DRAWS, fair.shape[1]))
    found: dict[int, Tail] = {}
    for length in range(1, max(LONGEST_DRAW, min(lengths)) + 1):
        sums += centred[rng.integers(0, len(fair), DRAWS)]
        if length in lengths:
            found[length] = tail(np.sum(sums**2, axis=1) / length, DRAWN)
    return found


def _of_length(known: Profile, length: int) -> Tail:
    """Of the nearest length that was drawn: a mean of many rows is normal, and of more rows no more so."""
    return known.drawn[max((one for one in known.drawn if one <= length), default=min(known.drawn))]
