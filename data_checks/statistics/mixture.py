"""The tail of a weighted sum of independent chi-squares of one degree each: what quadratic statistics follow."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

Floats = npt.NDArray[np.float64]
NEGLIGIBLE: Final = 1e-9


def tail(value: float, weights: Floats) -> float:
    """P(sum of weights * chi-square(1) is at least `value`), by its first three moments (Buckley and Eagleson 1988)."""
    first, second, third = (float(np.sum(weights**power)) for power in (1, 2, 3))
    if second <= NEGLIGIBLE**2:
        return 1.0
    freedom = second**3 / third**2
    return float(chi2.sf((value - first) * (2 * freedom) ** 0.5 / (2 * second) ** 0.5 + freedom, freedom))


def quantile(p: float, weights: Floats) -> float:
    """The value whose tail is `p`."""
    first, second, third = (float(np.sum(weights**power)) for power in (1, 2, 3))
    if second <= NEGLIGIBLE**2:
        return float("inf")
    freedom = second**3 / third**2
    return float((chi2.isf(p, freedom) - freedom) * (2 * second) ** 0.5 / (2 * freedom) ** 0.5 + first)
