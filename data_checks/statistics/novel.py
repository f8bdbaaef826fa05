"""Values that the reference never had: a new scanner, software version, kernel, or combination of them.

One such row may be chance: the reference did not see everything. p is Fisher's exact test of "so many of the window,
none of the reference". The smallest shift is the share of new rows that would have been found.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from data_checks.statistics.exact import rise
from data_checks.statistics.statistic import ALPHA, POWER, Statistic, insufficient

Texts = npt.NDArray[np.str_]
LEAST_KNOWN: Final = 30


def novel(reference: Texts, window: Texts, alpha: float = ALPHA) -> Statistic:
    """How many of the window have a value that the reference never had; '' is missing and does not count."""
    known, seen = reference[reference != ""], window[window != ""]
    return from_counts(int(np.sum(~np.isin(seen, known))), len(seen), len(known), alpha)


def from_counts(hits: int, n: int, m: int, alpha: float = ALPHA) -> Statistic:
    """The same from counts; `value` is the share of new rows."""
    if n == 0 or m < LEAST_KNOWN:
        return insufficient("novel", n, m)
    p = rise(hits, n, 0, m)
    return Statistic(
        name="novel", value=hits / n, p=p, n=n, m=m, smallest_shift=smallest_share(n, 0, m, alpha), enough=True
    )


@lru_cache(maxsize=4096)
def smallest_share(n: int, known_hits: int, m: int, alpha: float) -> float:
    """The share of hits at which enough of them come with a power of 0.8; infinite where all would not do."""
    needed = next((hits for hits in range(1, n + 1) if rise(hits, n, known_hits, m) <= alpha), None)
    if needed is None:
        return float("inf")
    shares = np.linspace(0.001, 1.0, 1000)
    return float(shares[np.argmax(binom.sf(needed - 1, n, shares) >= POWER)])
