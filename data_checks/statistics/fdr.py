"""False-discovery control over many tests (Benjamini and Hochberg 1995)."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def adjusted(p: Floats) -> Floats:
    """The adjusted values of (k,) p values: a test is a discovery at rate q where its own is at most q."""
    size = len(p)
    order = np.argsort(p)[::-1]
    steps = p[order] * size / np.arange(size, 0, -1)
    found = np.empty(size)
    found[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return found


def discoveries(p: Floats, rate: float) -> npt.NDArray[np.bool_]:
    """Which of (k,) tests are discoveries, with at most a share `rate` of them expected to be false."""
    return adjusted(p) <= rate
