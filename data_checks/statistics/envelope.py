"""Outside of what the reference spans: how many values of a window lie where almost none of the reference did.

p is Fisher's exact test on the counts outside. The smallest shift is the share of the window that would have to lie
outside to be found.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from data_checks.statistics.exact import rise
from data_checks.statistics.novel import LEAST_KNOWN, smallest_share
from data_checks.statistics.statistic import ALPHA, Statistic, insufficient

Floats = npt.NDArray[np.float64]
OUTSIDE: Final = 0.01
"""The share of the reference that may lie outside, half of it on each side."""


def envelope(reference: Floats, window: Floats, alpha: float = ALPHA, outside: float = OUTSIDE) -> Statistic:
    """NaN is missing and does not count; `value` is the share of the window outside."""
    known, seen = reference[np.isfinite(reference)], window[np.isfinite(window)]
    n, m = len(seen), len(known)
    if n == 0 or m < LEAST_KNOWN:
        return insufficient("envelope", n, m)
    low, high = bounds(known, outside)
    hits, known_hits = _outside(seen, low, high), _outside(known, low, high)
    return Statistic(
        name="envelope",
        value=hits / n,
        p=rise(hits, n, known_hits, m),
        n=n,
        m=m,
        smallest_shift=smallest_share(n, known_hits, m, alpha),
        enough=True,
    )


def bounds(known: Floats, outside: float = OUTSIDE) -> tuple[float, float]:
    """The lowest and the highest value that lie inside."""
    low, high = np.quantile(known, [outside / 2, 1 - outside / 2])
    return float(low), float(high)


def _outside(values: Floats, low: float, high: float) -> int:
    return int(np.sum((values < low) | (values > high)))
