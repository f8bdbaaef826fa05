"""Shares of the same cases, alone and as a difference. Cases may carry weights.

Weighted cases count as the number of equal ones that would be as informative (Kish 1965, Survey Sampling, 8.2).
"""

from math import sqrt

import numpy as np
import numpy.typing as npt

from models.evaluation.estimate import Estimate, quantile

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def effective(weights: Floats) -> float:
    """The number of equal cases that weighted ones are worth; as many as there are where all weigh the same."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def newcombe(first: Bools, second: Bools, weights: Floats, alpha: float) -> Estimate:
    """First minus second share of hits (N,), paired: method 10 of Newcombe 1998 (Statistics in Medicine 17:2635).

    Its bounds do not collapse where the two never differ, as a bootstrap's do.

    Raises:
        ValueError: there is nothing to count.
    """
    n = _counted(weights)
    shares = weights / weights.sum()
    p1, p2 = float(shares @ first), float(shares @ second)
    z = quantile(alpha)
    low1, high1 = _wilson(p1, n, z)
    low2, high2 = _wilson(p2, n, z)
    phi = _correlation(first, second, shares * n)
    below = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    above = (p2 - low2) ** 2 - 2 * phi * (p2 - low2) * (high1 - p1) + (high1 - p1) ** 2
    value = p1 - p2
    return Estimate(value, value - sqrt(max(0.0, below)), value + sqrt(max(0.0, above)), alpha)


def share(hits: Bools, weights: Floats, alpha: float) -> Estimate:
    """A share of hits (N,) between Wilson's bounds (Wilson 1927).

    Raises:
        ValueError: there is nothing to count.
    """
    n = _counted(weights)
    value = min(1.0, float(weights @ hits / weights.sum()))
    return Estimate(value, *_wilson(value, n, quantile(alpha)), alpha)


def _counted(weights: Floats) -> float:
    if n := effective(weights):
        return n
    raise ValueError("no cases")


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * sqrt(max(0.0, p * (1 - p)) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _correlation(first: Bools, second: Bools, counts: Floats) -> float:
    """Newcombe's phi of the two-by-two table, with his correction towards 0 where it is positive."""
    both, neither = float(counts @ (first & second)), float(counts @ (~first & ~second))
    only_first, only_second = float(counts @ (first & ~second)), float(counts @ (~first & second))
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins <= 0:
        return 0.0
    cross = both * neither - only_first * only_second
    return (max(cross - float(counts.sum()) / 2, 0.0) if cross > 0 else cross) / sqrt(margins)
