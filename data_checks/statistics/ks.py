"""Kolmogorov and Smirnov's two-sample test: a numeric column against its reference.

The smallest shift is in standard deviations of a normal column.
"""

from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import kolmogi, kolmogorov, ndtri
from scipy.stats import kstwo

from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient

Floats = npt.NDArray[np.float64]
LEAST: Final = 5
"""Values on either side below which nothing is judged."""
EXACT_BELOW: Final = 0.05
SURELY_BELOW: Final = 0.001
EXACT_UP_TO: Final = 200
"""Window sizes up to which the tail is taken from the exact distribution, and where it pays: below these p, of one
test or of many, most of which nobody asks about."""


def ks(reference: Floats, window: Floats, alpha: float = ALPHA) -> Statistic:
    """The largest distance between the two distribution functions; NaN is missing and does not count."""
    ground, values = np.sort(reference[np.isfinite(reference)]), window[np.isfinite(window)]
    n, m = len(values), len(ground)
    if min(n, m) < LEAST:
        return insufficient("ks", n, m)
    distance = distance_of(*places(ground, values[:, None]))[0]
    p = float(tail(np.array([distance]), np.array([n]), np.array([m]), EXACT_BELOW)[0])
    return Statistic(
        name="ks", value=float(distance), p=p, n=n, m=m, smallest_shift=smallest_shift(n, m, alpha), enough=True
    )


def places(ground: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Where values lie in a sorted reference (m,): the shares of it below, and at or below. NaN stays NaN."""
    below = np.searchsorted(ground, values, side="left") / len(ground)
    upto = np.searchsorted(ground, values, side="right") / len(ground)
    gone = np.isnan(values)
    return np.where(gone, np.nan, below), np.where(gone, np.nan, upto)


def distance_of(below: Floats, upto: Floats) -> Floats:
    """D of each of c columns from the places (n, c) of its values; 0 where a column has no value."""
    count = np.sum(~np.isnan(below), axis=0)
    ranks = np.arange(1, len(below) + 1)[:, None] / np.maximum(count, 1)
    above = ranks - np.sort(upto, axis=0)
    under = np.sort(below, axis=0) - (ranks - 1 / np.maximum(count, 1))
    # fmax passes over NaN.
    found: Floats = np.fmax(np.fmax.reduce(above, initial=0.0), np.fmax.reduce(under, initial=0.0))
    return found


def tail(
    distance: Floats, n: npt.NDArray[np.int_], m: npt.NDArray[np.int_], exact_below: float = SURELY_BELOW
) -> Floats:
    """P(D at least this) of each of k comparisons under no change.

    Kolmogorov's limit with Stephens' correction (1970); where that is small and the window short, the exact one-sample
    distribution of n values at D sqrt(m / (n + m)), which is within a few per cent of the exact two-sample tail while
    n is well below m.
    """
    root = np.sqrt(np.maximum(n, 1) * np.maximum(m, 1) / np.maximum(n + m, 1))
    p = np.asarray(kolmogorov((root + 0.12 + 0.11 / root) * distance), dtype=float)
    short = (p < exact_below) & (n <= EXACT_UP_TO) & (n > 0) & (2 * n <= m)
    if short.any():
        scaled = distance[short] * np.sqrt(m[short] / (n[short] + m[short]))
        p[short] = kstwo.sf(scaled, n[short])
    found: Floats = np.clip(p, 0.0, 1.0)
    return found


def smallest_shift(n: int, m: int, alpha: float) -> float:
    """In standard deviations; infinite where even complete separation would not do."""
    distance = (float(kolmogi(alpha)) + Z_POWER / 2) * sqrt(1 / n + 1 / m)
    return 2 * float(ndtri((1 + distance) / 2)) if distance < 1 else float("inf")
