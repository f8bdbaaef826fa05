"""Single rows far outside the reference: are more of the latest rows as rare as they are than chance would have?

Each row comes with the chance of lying so far out (`tail`). Then j rows of n as rare as the j-th rarest are counted,
j from 1: one row alone has to lie far beyond anything that was seen.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

Floats = npt.NDArray[np.float64]
COUNTS: Final = (1, 2, 3, 5, 8, 13)
"""How many of the rarest rows are counted, each for itself."""


def rarity(chances: Floats) -> float:
    """P(as many of (n,) rows as rare), for the strongest of `COUNTS`, paid for all; 1 where there are none."""
    n = len(chances)
    tried = [count for count in COUNTS if count <= n]
    if not tried:
        return 1.0
    rarest = np.partition(chances, [count - 1 for count in tried])
    # P(Binomial(n, u) >= j) is the incomplete beta function (DLMF 8.17.5).
    p = [float(betainc(count, n - count + 1, rarest[count - 1])) for count in tried]
    return min(1.0, min(p) * len(tried))
