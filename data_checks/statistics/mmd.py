"""Maximum mean discrepancy on embeddings (Gretton 2012), radial kernel, median heuristic.

Its null distribution is a weighted sum of chi-squares whose weights are the eigenvalues of the reference's centred
kernel (Gretton 2009), so no permutation is needed. The smallest shift is in units of the squared discrepancy.
A kernel of everything with everything grows with the square of the rows: both sides are subsampled to `MOST` rows, by
an even stride over their order, and `n` and `m` say how many were used.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data_checks.statistics import mixture
from data_checks.statistics.statistic import ALPHA, Z_POWER, Statistic, insufficient

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
MOST: Final = 500
LEAST: Final = 10
LEAST_KNOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Kernel:
    """The reference as the kernel sees it.

    Args:
        rows: (m, d) the reference.
        width: the kernel is exp(-distance^2 / width).
        within: the mean kernel of the reference with itself.
        weights: eigenvalues of its centred kernel, divided by m.
    """

    rows: Floats
    width: float
    within: float
    weights: Floats

    def against(self, rows: Floats) -> Floats:
        """(n, m) kernel values of rows with the reference."""
        found: Floats = np.exp(-squared(rows, self.rows) / self.width)
        return found


def mmd(reference: Vectors, window: Vectors, alpha: float = ALPHA) -> Statistic:
    """The squared discrepancy of (n, d) from (m, d); a row that is not finite is missing and does not count."""
    known, seen = thinned(complete(reference)), thinned(complete(window))
    if len(seen) < LEAST or len(known) < LEAST_KNOWN:
        return insufficient("mmd", len(seen), len(known))
    return of_kernel(kernel(known), seen, alpha)


def of_kernel(known: Kernel, seen: Floats, alpha: float = ALPHA) -> Statistic:
    """The same against a reference that was made ready."""
    n, m = len(seen), len(known.rows)
    cross = float(known.against(seen).mean())
    own = float(np.exp(-squared(seen, seen) / known.width).mean())
    value = max(0.0, own + known.within - 2 * cross)
    scale = 1 / n + 1 / m
    limit = mixture.quantile(alpha, known.weights) * scale
    spread = float(np.sqrt(2 * np.sum(known.weights**2))) * scale
    return Statistic(
        name="mmd",
        value=value,
        p=mixture.tail(value / scale, known.weights),
        n=n,
        m=m,
        smallest_shift=limit + Z_POWER * spread,
        enough=True,
    )


def kernel(known: Floats) -> Kernel:
    """The reference (m, d) made ready: bandwidth, mean, eigenvalues."""
    apart = squared(known, known)
    width = float(np.median(apart[np.triu_indices(len(known), 1)])) or 1.0
    values = np.exp(-apart / width)
    middle = values.mean(axis=0)
    centred = values - middle[:, None] - middle[None, :] + middle.mean()
    weights = np.clip(np.linalg.eigvalsh(centred)[::-1], 0.0, None) / len(known)
    return Kernel(known, width, float(values.mean()), weights)


def complete(rows: Vectors) -> Floats:
    """The rows without a missing value, as float64."""
    return rows[np.isfinite(rows).all(axis=1)].astype(np.float64)


def thinned(rows: Floats, most: int = MOST) -> Floats:
    """At most `most` rows, evenly spread over their order; the last one is always among them."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]


def squared(left: Floats, right: Floats) -> Floats:
    """(n, m) squared distances."""
    products = left @ right.T
    apart = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1)[None, :] - 2 * products
    found: Floats = np.maximum(apart, 0.0)
    return found
