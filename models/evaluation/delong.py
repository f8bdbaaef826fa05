"""AUCs of several scores on the same cases, and how they vary together.

DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), whose structural components are found by sorting instead of
by looking at all pairs, as Sun and Xu 2014 (IEEE Signal Processing Letters 21:1389) do. Cases may carry weights: a case
that was drawn with a chance of one in ten stands for ten (Horvitz and Thompson 1952).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from models.evaluation.estimate import Estimate, quantile
from models.evaluation.metrics import Numbers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """`aucs` (M,) of M scores and their `covariance` (M, M)."""

    aucs: Floats
    covariance: Floats

    def area(self, alpha: float, which: int = 0) -> Estimate:
        """One AUC, with its bounds at one-sided `alpha`, within 0..1."""
        reach = quantile(alpha) * sqrt(max(0.0, float(self.covariance[which, which])))
        value = float(self.aucs[which])
        return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), alpha)

    def difference(self, alpha: float) -> Estimate:
        """First minus second AUC, with its bounds at one-sided `alpha`."""
        contrast = np.array([1.0, -1.0])
        reach = quantile(alpha) * sqrt(max(0.0, float(contrast @ self.covariance[:2, :2] @ contrast)))
        value = float(self.aucs[0] - self.aucs[1])
        return Estimate(value, value - reach, value + reach, alpha)


def delong(labels: Numbers, *scores: Numbers, weights: Floats | None = None) -> Curves:
    """The AUCs of `scores`, each (N,), for `labels` (N,) 0 or 1 and `weights` (N,), all 1 where none are given.

    Raises:
        ValueError: fewer than two cases of a kind have no variance.
    """
    positive = np.asarray(labels, np.float64) > 0.5
    w = np.ones(len(positive)) if weights is None else weights
    up, down = w[positive], w[~positive]
    if min(len(up), len(down)) < 2:
        raise ValueError("DeLong's variance needs two cases of each kind")
    values = [np.asarray(one, np.float64) for one in scores]
    beaten = np.stack([_below(one[positive], one[~positive], down) for one in values])
    beating = np.stack([1.0 - _below(one[~positive], one[positive], up) for one in values])
    aucs = beaten @ up / up.sum()
    return Curves(aucs, _variance(beaten - aucs[:, None], up) + _variance(beating - aucs[:, None], down))


def _below(values: Floats, others: Floats, weights: Floats) -> Floats:
    """Of each value: the share of the others' weight that lies below it, ties half."""
    order = np.argsort(others)
    ordered, sums = others[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    left, right = (sums[np.searchsorted(ordered, values, side)] for side in ("left", "right"))
    return np.asarray((left + right) / (2 * sums[-1]), np.float64)


def _variance(deviations: Floats, weights: Floats) -> Floats:
    """The covariance (M, M) of weighted means of M rows, whose means are taken off already."""
    shares = weights / weights.sum()
    spread = deviations * shares
    return np.asarray(spread @ spread.T * (len(weights) / (len(weights) - 1)), np.float64)
