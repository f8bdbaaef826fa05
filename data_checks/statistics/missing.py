"""Values that are gone: the share of rows without one, against the reference (Fisher's exact test).

The smallest shift is the rise of that share that would have been found.
"""

from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from data_checks.statistics.exact import rise
from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient

Mask = npt.NDArray[np.bool_]
LEAST: Final = 5
LEAST_KNOWN: Final = 30


def missing(reference: Mask, window: Mask, alpha: float = ALPHA) -> Statistic:
    """`reference` (m,) and `window` (n,) are true where a value is missing."""
    return from_counts(int(window.sum()), len(window), int(reference.sum()), len(reference), alpha)


def from_counts(gone: int, n: int, known_gone: int, m: int, alpha: float = ALPHA) -> Statistic:
    """The same from counts; `value` is the share of the window without a value."""
    if n < LEAST or m < LEAST_KNOWN:
        return insufficient("missing", n, m)
    rate = (known_gone + 0.5) / (m + 1)
    shift = (float(ndtri(1 - alpha)) + Z_POWER) * sqrt(rate * (1 - rate) * (1 / n + 1 / m))
    p = rise(gone, n, known_gone, m)
    return Statistic(name="missing", value=gone / n, p=p, n=n, m=m, smallest_shift=min(shift, 1.0), enough=True)
