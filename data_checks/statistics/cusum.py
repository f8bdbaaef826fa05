"""Cumulative sum on a rate: whether the share of disagreements has risen, and since which case (Page 1954).

The log-likelihood ratio of the raised rate against the known one is added up and never falls below zero. The smallest
shift is the raised rate that would have been found within the window, less the known one.
"""

from math import ceil, log, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient

Floats = npt.NDArray[np.float64]
LEAST: Final = 10
LEAST_KNOWN: Final = 30
ODDS: Final = 2.0
"""The rise that the sum is tuned to: the odds of a disagreement double."""


def cusum(reference: Floats, window: Floats, alpha: float = ALPHA, odds: float = ODDS) -> Statistic:
    """Flags 0 or 1 in the order they came; NaN, where nobody has said, does not count.

    p is the bound n exp(-value) (Ville 1939, over the n places where the change may have begun).
    """
    known, flags = reference[np.isfinite(reference)], window[np.isfinite(window)]
    n, m = len(flags), len(known)
    if n < LEAST or m < LEAST_KNOWN:
        return insufficient("cusum", n, m)
    rate = known_rate(known)
    value = float(path(flags, rate, odds)[-1])
    p = min(1.0, n * float(np.exp(-value)))
    return Statistic(name="cusum", value=value, p=p, n=n, m=m, smallest_shift=_smallest(rate, n, m, alpha), enough=True)


def path(flags: Floats, rate: float, odds: float = ODDS) -> Floats:
    """The sum after each of (n,) flags."""
    raised = raised_rate(rate, odds)
    steps = np.where(flags > 0.5, log(raised / rate), log((1 - raised) / (1 - rate)))
    total = np.cumsum(steps)
    floor = np.minimum(np.minimum.accumulate(total), 0.0)
    return total - floor


def begin(flags: Floats, rate: float, odds: float = ODDS) -> int:
    """The first flag of the run that the sum stands on now."""
    zero = np.flatnonzero(path(flags, rate, odds) <= 1e-12)
    return min(int(zero[-1]) + 1, len(flags) - 1) if len(zero) else 0


def known_rate(known: Floats) -> float:
    """The rate of the reference, on the safe side by one standard error: a rate known too low alarms of itself."""
    size = len(known)
    middle = (float(known.sum()) + 0.5) / (size + 1)
    return min(0.95, middle + sqrt(middle * (1 - middle) / size))


def raised_rate(rate: float, odds: float = ODDS) -> float:
    """The rate whose odds are `odds` times as high."""
    raised = odds * rate / (1 - rate)
    return raised / (1 + raised)


def _smallest(rate: float, n: int, m: int, alpha: float) -> float:
    """By the normal approximation to two rates (Fleiss 1981, 3.2)."""
    found = (float(ndtri(1 - alpha)) + Z_POWER) * sqrt(rate * (1 - rate) * (1 / n + 1 / m))
    return found if rate + found < 1 else float("inf")


def needed(rate: float, raised: float, alpha: float = ALPHA) -> int:
    """About how many cases until a rise to `raised` is found, on average (Wald 1947)."""
    gain = raised * log(raised / rate) + (1 - raised) * log((1 - raised) / (1 - rate))
    return ceil(log(1 / alpha) / gain)
