"""How rare is a value that is larger than any that were seen? Ranks where some were, a law of tails beyond.

Ranks end where the sample does: a value ten times as large as any of it is then no rarer than one just above. What
lies beyond a high edge is therefore taken to fall off exponentially (Pickands 1975, shape 0: so do normal and gamma
tails), with what k values leave open about how fast integrated out:
P(X > x) = share * (1 + (x - edge) / (k * excess))^-k.
That is a power law again, of the order k: the fewer values teach it, the less it says of what is far away.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SHARE: Final = 0.1
"""Of a sample that its tail may be learned from."""
MOST: Final = 30
"""Values that teach a tail: a longer sample moves the edge out, and makes nobody surer of what lies far beyond."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A sample whose `known` largest values lie beyond `edge`, by `excess` in the mean.

    Args:
        values: (m,) ascending.
        known: how many the tail was learned from.
        edge: where it begins.
        excess: how far beyond the edge those lie, in the mean.
    """

    values: Floats
    known: int
    edge: float
    excess: float

    def chances(self, values: Floats) -> Floats:
        """Of values of any shape, how often one is as large."""
        size = len(self.values)
        ranks = (size - np.searchsorted(self.values, values, side="left") + 1) / (size + 1)
        beyond = np.maximum(values - self.edge, 0.0) / (self.known * self.excess)
        falls = (self.known + 1) / (size + 1) * (1 + beyond) ** -self.known
        return np.where(values > self.edge, falls, ranks)

    def limit(self, alpha: float) -> float:
        """The value that is reached as often as `alpha`."""
        share = (self.known + 1) / (len(self.values) + 1)
        if alpha >= share:
            return float(np.quantile(self.values, 1 - alpha))
        return self.edge + self.known * self.excess * float((share / alpha) ** (1 / self.known) - 1)


def tail(values: Floats, most: int = MOST) -> Tail:
    """The tail of (m,) values, all at least 0: learned from `SHARE` of them, and from at most `most`."""
    ordered = np.sort(values)
    known = max(2, min(most, int(SHARE * len(ordered))))
    edge = max(float(ordered[-known - 1]), 1e-9)
    return Tail(ordered, known, edge, max(float(np.mean(ordered[-known:] - edge)), 1e-3 * edge))
