"""From scores to alarms: thresholds at a false-alarm rate, its interval, delays, and a combination of statistics."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from tests.drift.streams import STEP

PER = 5_000
"""False alarms are counted per so many studies."""
RATES = (0.5, 1.0, 2.0, 4.0)
"""Of the curves: the upper ends of the interval that thresholds are set to, in units of the plan's `most`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """`count` in `studies` without a change, and the exact 95 % interval of the rate per 5,000 (Garwood 1936)."""

    count: int
    studies: int

    @property
    def rate(self) -> float:
        return self.count / self.studies * PER

    @property
    def low(self) -> float:
        return float(chi2.ppf(0.025, 2 * self.count)) / 2 / self.studies * PER if self.count else 0.0

    @property
    def high(self) -> float:
        return float(chi2.ppf(0.975, 2 * self.count + 2)) / 2 / self.studies * PER


def first_alarms(scores: np.ndarray, limit: float) -> np.ndarray:
    """(runs,) number of the first look that reaches the limit, counted from 1; looks + 1 where none does."""
    reached = np.nan_to_num(scores, nan=-np.inf) >= limit
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, scores.shape[1] + 1)


def false_alarms(scores: np.ndarray, limit: float) -> FalseAlarms:
    """Of streams (runs, looks) without a change: a run is over at its first alarm."""
    first = first_alarms(scores, limit)
    return FalseAlarms(
        count=int(np.sum(first <= scores.shape[1])), studies=int(np.minimum(first, scores.shape[1]).sum()) * STEP
    )


def threshold(scores: np.ndarray, most: float = 1.0) -> float:
    """The lowest limit at which even the upper end of the interval is at most `most` per 5,000 studies.

    Infinite where no limit does: where a statistic says "certain" too often without any change.
    """
    for limit in np.unique(np.nanmax(scores, axis=1)):
        just_above = np.nextafter(limit, np.inf)
        if false_alarms(scores, just_above).high <= most:
            return float(just_above) if limit < np.nanmax(scores) or limit < CERTAIN else np.inf
    return np.inf


CERTAIN = 299.0
"""Minus the logarithm of a p that cannot be told from 0: nothing lies above it."""


def delays(scores: np.ndarray, limit: float) -> np.ndarray:
    """(runs,) studies from the change to the alarm; one look more than there are where none came."""
    return first_alarms(scores, limit) * STEP


TIE = 1e-9
"""The runs of a rank are equally rare in every statistic: apart by this, a threshold may lie between them."""


class Combination:
    """Several statistics as one: each score becomes the share of null runs that ever reach it, the rarest counts."""

    def __init__(self, nulls: list[np.ndarray]) -> None:
        self.peaks = [np.sort(np.nanmax(null, axis=1)) for null in nulls]

    def score(self, parts: list[np.ndarray]) -> np.ndarray:
        """(runs, looks), minus the logarithm of that share, extrapolated beyond what any null run reached."""
        pairs = enumerate(zip(self.peaks, parts, strict=True))
        return np.fmax.reduce([self._rarity(peaks, part) + place * TIE for place, (peaks, part) in pairs])

    def limits(self, limit: float) -> list[float]:
        """What each statistic has to reach for the combination to alarm for certain: a hair more than it needs."""
        return [self._inverse(peaks, limit + (1 - place) * TIE) for place, peaks in enumerate(self.peaks)]

    @staticmethod
    def _grid(peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        size = len(peaks)
        rarity = -np.log((size - np.arange(size)) / (size + 1.0))
        tail = peaks[-max(2, size // 5) :]
        slope = max(float(tail[-1] - tail[0]), 1e-9) / np.log(len(tail))
        return peaks, rarity, slope

    def _rarity(self, peaks: np.ndarray, part: np.ndarray) -> np.ndarray:
        values, rarity, slope = self._grid(peaks)
        beyond = rarity[-1] + (part - values[-1]) / slope
        return np.where(part > values[-1], beyond, np.interp(part, values, rarity))

    def _inverse(self, peaks: np.ndarray, limit: float) -> float:
        values, rarity, slope = self._grid(peaks)
        if limit > rarity[-1]:
            return float(values[-1] + (limit - rarity[-1]) * slope)
        return float(np.interp(limit, rarity, values))
