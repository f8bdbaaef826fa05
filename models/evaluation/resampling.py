"""The bootstrap over whole patients, all draws at once: a draw is how often each case counts.

Images of one patient are alike, so patients are drawn, not images (Field and Welsh 2007). A measure takes weights
(draws, N) and gives one value a draw, so that thousands of draws are a few array operations.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.estimate import Estimate
from models.evaluation.metrics import Numbers

Floats = npt.NDArray[np.float64]
Measure = Callable[[Floats], Floats]
CHUNK: Final = 1 << 21
"""Weights held at once: 16 MiB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Who was drawn: `groups` (N,) names the patients, `weights` (N,) how many images each one stands for."""

    groups: npt.NDArray[np.generic]
    weights: Floats


def estimate(measure: Measure, sample: Sample, alpha: float, draws: int, seed: int) -> Estimate:
    """The measure of all cases, between the `alpha` and 1 - `alpha` quantiles of its draws.

    Draws on which it is not defined (one class only) are left out; without any that is, the bounds are infinite.
    """
    value = float(measure(sample.weights[None])[0])
    found = np.concatenate([measure(counts * sample.weights) for counts in _counts(sample.groups, draws, seed)])
    found = found[np.isfinite(found)]
    if not found.size or not np.isfinite(value):
        return Estimate(value, -np.inf, np.inf, alpha)
    low, high = np.quantile(found, (alpha, 1.0 - alpha))
    return Estimate(value, float(low), float(high), alpha)


def auc_of(labels: Numbers, scores: Numbers) -> Measure:
    """The AUC, ties half: cases sorted once, and then sums over the blocks of equal scores."""
    ordered = np.argsort(np.asarray(scores, np.float64), kind="stable")
    sorted_scores = np.asarray(scores, np.float64)[ordered]
    starts = np.flatnonzero(np.r_[True, sorted_scores[1:] > sorted_scores[:-1]])
    positive = np.asarray(labels, np.float64)[ordered] > 0.5

    def measure(weights: Floats) -> Floats:
        w = weights[:, ordered]
        up = np.add.reduceat(w * positive, starts, axis=1)
        down = np.add.reduceat(w * ~positive, starts, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        return _ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))

    return measure


def share_of(hits: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> Measure:
    """The share of `among` that are `hits`."""
    counted, all_of_them = (hits & among).astype(np.float64), among.astype(np.float64)
    return lambda weights: _ratio(weights @ counted, weights @ all_of_them)


def brier_of(labels: Numbers, probabilities: Numbers) -> Measure:
    """The mean squared error (Brier 1950)."""
    squares = (np.asarray(probabilities, np.float64) - np.asarray(labels, np.float64)) ** 2
    return lambda weights: _ratio(weights @ squares, weights.sum(axis=1))


def calibration_error_of(labels: Numbers, probabilities: Numbers, bins: int = 10) -> Measure:
    """Expected calibration error, equal-width bins (Naeini 2015)."""
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = np.eye(bins)[place] * (y - p)[:, None]
    return lambda weights: _ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def difference(first: Measure, second: Measure) -> Measure:
    """First minus second on the same draws: paired."""
    return lambda weights: first(weights) - second(weights)


def _counts(groups: npt.NDArray[np.generic], draws: int, seed: int) -> Iterator[Floats]:
    """How often each case counts, by chunks of draws: (chunk, N)."""
    _, member = np.unique(groups, return_inverse=True)
    size = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // max(size, len(member)))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        picks = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        yield np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)[:, member].astype(np.float64)


def _ratio(over: Floats, under: Floats) -> Floats:
    """Over by under; not a number where there is nothing to divide by."""
    quotient: Floats = np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
    return quotient
