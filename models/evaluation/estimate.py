"""A measured number with one-sided bounds, and whether it could have decided anything."""

from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low` and `high` are each a bound at one-sided `alpha`: together an interval of 1 - 2 alpha."""

    value: float
    low: float
    high: float
    alpha: float

    def __neg__(self) -> "Estimate":
        """The same for the negated measure: what is better when smaller becomes better when larger."""
        return Estimate(-self.value, -self.high, -self.low, self.alpha)

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    @property
    def error(self) -> float:
        """The standard error towards the lower bound, as the normal distribution would have it."""
        return max(0.0, self.value - self.low) / quantile(self.alpha)

    def wider(self, other: "Estimate") -> "Estimate":
        """The same value between the outer bounds of both."""
        return Estimate(self.value, min(self.low, other.low), max(self.high, other.high), self.alpha)


def quantile(alpha: float) -> float:
    """The point that a standard normal variable exceeds with probability `alpha`."""
    return _NORMAL.inv_cdf(1.0 - alpha)


def power(error: float, reach: float, alpha: float) -> float:
    """The chance that the lower bound clears a limit that the truth lies `reach` above, at this standard error.

    Chow, Shao and Wang 2008, Sample Size Calculations in Clinical Research, section 3.2 (non-inferiority).
    """
    return 1.0 if error <= 0.0 else _NORMAL.cdf(reach / error - quantile(alpha))
