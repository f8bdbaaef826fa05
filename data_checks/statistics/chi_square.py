"""Pearson's chi-square on categories, rare ones pooled (Cochran 1954).

The smallest shift is Cohen's w: 0.1 is small, 0.3 medium, 0.5 large.
"""

from functools import lru_cache
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from data_checks.statistics.statistic import ALPHA, POWER, Statistic, insufficient

Counts = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
EXPECTED: Final = 5.0
"""Categories of which a window would hold fewer are pooled."""


def chi_square(reference: Texts, window: Texts, alpha: float = ALPHA) -> Statistic:
    """The two mixes of categories against each other; '' is missing and does not count."""
    known, seen = reference[reference != ""], window[window != ""]
    names, places = np.unique(np.concatenate([known, seen]), return_inverse=True)
    of_known = np.bincount(places[: len(known)], minlength=len(names)).astype(float)
    of_seen = np.bincount(places[len(known) :], minlength=len(names)).astype(float)
    return from_counts(of_known, of_seen, alpha)


def from_counts(known: Counts, seen: Counts, alpha: float = ALPHA, expected: float = EXPECTED) -> Statistic:
    """The same from the counts (k,) of the same categories in reference and window."""
    n, m = int(seen.sum()), int(known.sum())
    if min(n, m) == 0:
        return insufficient("chi_square", n, m)
    known, seen = pooled(known, seen, expected)
    if len(known) < 2:
        return insufficient("chi_square", n, m)
    share = (known + seen) / (n + m)
    value = float(np.sum((known - m * share) ** 2 / (m * share)) + np.sum((seen - n * share) ** 2 / (n * share)))
    freedom = len(known) - 1
    return Statistic(
        name="chi_square",
        value=value,
        p=float(chi2.sf(value, freedom)),
        n=n,
        m=m,
        smallest_shift=sqrt(noncentrality(freedom, alpha) * (1 / n + 1 / m)),
        enough=True,
    )


def pooled(known: Counts, seen: Counts, expected: float) -> tuple[Counts, Counts]:
    """Both counts with every category of which the smaller side would hold fewer than `expected` in one."""
    both = known + seen
    rare = both * min(known.sum(), seen.sum()) / max(both.sum(), 1.0) < expected
    if not rare.any():
        return known, seen
    pool = np.array([known[rare].sum()]), np.array([seen[rare].sum()])
    kept = known[~rare], seen[~rare]
    joined = np.concatenate([kept[0], pool[0]]), np.concatenate([kept[1], pool[1]])
    small = (pool[0] + pool[1]) * min(known.sum(), seen.sum()) / both.sum() < expected
    return kept if small[0] else joined


@lru_cache(maxsize=1024)
def noncentrality(freedom: int, alpha: float) -> float:
    """Of the chi-square that exceeds its own threshold with a power of 0.8."""
    limit = float(chi2.isf(alpha, freedom))
    return float(brentq(lambda size: ncx2.sf(limit, freedom, size) - POWER, 1e-3, 50 * (limit + 10)))
