"""False-discovery control over many tests (Benjamini and Hochberg 1995), some of which may get more of the rate."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def adjusted(p: Floats, weights: Floats | None = None) -> Floats:
    """The adjusted values of (k,) p values: a test is a discovery at rate q where its own is at most q.

    With weights, whose mean is 1 and which do not depend on p, the rate is held as well (Genovese and others 2006).
    """
    size = len(p)
    paid = p if weights is None else p / weights
    order = np.argsort(paid)[::-1]
    steps = paid[order] * size / np.arange(size, 0, -1)
    found = np.empty(size)
    found[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return found


def halves(first: npt.NDArray[np.bool_], share: float) -> Floats:
    """(k,) weights that give those of `first` a share of the rate, and the others the rest; 1 where all are alike."""
    size, mine = len(first), int(first.sum())
    if mine in {0, size}:
        return np.ones(size)
    return np.where(first, share * size / mine, (1 - share) * size / (size - mine))


def discoveries(p: Floats, rate: float) -> npt.NDArray[np.bool_]:
    """Which of (k,) tests are discoveries, with at most a share `rate` of them expected to be false."""
    return adjusted(p) <= rate
