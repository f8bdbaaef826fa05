"""Confidence intervals: a bootstrap that draws whole patients, and Wilson's for a share."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

Measure = Callable[[npt.NDArray[np.intp]], float]
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % CI {self.low:.3f} to {self.high:.3f})"


def bootstrap(measure: Measure, groups: npt.NDArray[np.generic], draws: int = 2000, seed: int = 0) -> Interval:
    """Percentile interval of `measure(rows)` over resampled groups: all rows of a drawn group come along.

    Images of one patient are alike, so drawing single images would claim too much (Field and Welsh 2007).
    Draws on which the measure is not defined (one class only) are left out.
    """
    _, member = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
    rng = np.random.default_rng(seed)
    picks = (rng.integers(len(rows), size=len(rows)) for _ in range(draws))
    values = np.array([measure(np.concatenate([rows[i] for i in pick])) for pick in picks])
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return Interval(measure(np.arange(len(member))), float(low), float(high))


def wilson(hits: int, among: int) -> Interval:
    """Wilson's score interval (Wilson 1927) of the share `hits` / `among`; 0 to 1 where there is nothing to count."""
    if not among:
        return Interval(float("nan"), 0.0, 1.0)
    share, z2 = hits / among, NORMAL_95**2
    centre = (share + z2 / (2 * among)) / (1 + z2 / among)
    reach = NORMAL_95 * sqrt(share * (1 - share) / among + z2 / (4 * among**2)) / (1 + z2 / among)
    return Interval(share, max(0.0, centre - reach), min(1.0, centre + reach))
