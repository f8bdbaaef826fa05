"""Fisher's exact test, one side, of a count that rose: no table is too small for it."""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln


def rise(hits: int, n: int, known_hits: int, m: int) -> float:
    """P(at least `hits` of `n`) given `known_hits` of `m` and the same rate in both (Fisher 1922)."""
    if hits <= 0 or n <= 0:
        return 1.0
    total, ones = n + m, hits + known_hits
    counts = np.arange(hits, min(n, ones) + 1, dtype=float)
    ways = _choose(ones, counts) + _choose(total - ones, n - counts) - _choose(total, float(n))
    return float(min(1.0, np.exp(ways).sum()))


def _choose(total: float, counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Natural logarithm of the binomial coefficient; minus infinity where there is no such choice."""
    chosen = np.asarray(counts, dtype=float)
    rest = total - chosen
    found = gammaln(total + 1) - gammaln(chosen + 1) - gammaln(np.maximum(rest, 0) + 1)
    return np.where(rest < 0, -np.inf, found)
