"""Population stability index, with a threshold from the sizes of both samples instead of a fixed 0.2.

Without a change PSI is about chi-square with B - 1 degrees of freedom times (1/n + 1/m) (Yurdakul 2018). The smallest
shift is the index itself.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from data_checks.statistics.chi_square import noncentrality
from data_checks.statistics.statistic import ALPHA, Statistic, insufficient

Floats = npt.NDArray[np.float64]
BINS: Final = 10
PER_BIN: Final = 5
"""Values a bin of either side must be expected to hold."""


def psi(reference: Floats, window: Floats, alpha: float = ALPHA, bins: int = BINS) -> Statistic:
    """The index over bins that hold equal shares of the reference; NaN is missing and does not count."""
    known, seen = reference[np.isfinite(reference)], window[np.isfinite(window)]
    n, m = len(seen), len(known)
    cuts = edges(known, bins) if m else np.empty(0)
    if min(n, m) < PER_BIN * (len(cuts) + 1) or not len(cuts):
        return insufficient("psi", n, m)
    return from_counts(binned(known, cuts), binned(seen, cuts), alpha)


def from_counts(known: Floats, seen: Floats, alpha: float = ALPHA) -> Statistic:
    """The same from the counts (b,) of the same bins in reference and window."""
    n, m, size = int(seen.sum()), int(known.sum()), len(known)
    # Half a value in each bin: an empty one would make the index infinite.
    p, q = (seen + 0.5) / (n + 0.5 * size), (known + 0.5) / (m + 0.5 * size)
    value, scale = float(np.sum((p - q) * np.log(p / q))), 1 / n + 1 / m
    return Statistic(
        name="psi",
        value=value,
        p=float(chi2.sf(value / scale, size - 1)),
        n=n,
        m=m,
        smallest_shift=noncentrality(size - 1, alpha) * scale,
        enough=True,
    )


def threshold(n: int, m: int, bins: int = BINS, alpha: float = ALPHA) -> float:
    """The index above which two samples of these sizes differ."""
    return float(chi2.isf(alpha, bins - 1)) * (1 / n + 1 / m)


def edges(known: Floats, bins: int = BINS) -> Floats:
    """The cuts between bins of equal shares; fewer where values repeat."""
    return np.unique(np.quantile(known, np.arange(1, bins) / bins, method="higher"))


def binned(values: Floats, cuts: Floats) -> Floats:
    """How many values fall into each bin, a cut belonging to the bin above it."""
    return np.bincount(np.searchsorted(cuts, values, side="right"), minlength=len(cuts) + 1).astype(float)
