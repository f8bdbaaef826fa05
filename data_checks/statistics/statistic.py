"""What every statistic answers with."""

from dataclasses import dataclass
from typing import Final

ALPHA: Final = 0.01
"""The level at which the smallest shift is said, where nobody asks for another one."""
POWER: Final = 0.8
Z_POWER: Final = 0.8416212335729143
"""The 80 % point of the normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A window of `n` values held against a reference of `m`.

    Args:
        name: which statistic.
        value: what it came to, in its own unit.
        p: how often a window without any change comes to as much; 1 where there is too little to say.
        n: values of the window that counted; a missing value does not.
        m: values of the reference that counted.
        smallest_shift: the smallest change that would have been found with a power of 0.8, in the unit that the
            statistic's own module names; infinite where none would.
        enough: whether there was enough to judge. False is "insufficient data", and never an alarm.
    """

    name: str
    value: float
    p: float
    n: int
    m: int
    smallest_shift: float
    enough: bool


def insufficient(name: str, n: int, m: int) -> Statistic:
    """The answer where there is too little to judge."""
    return Statistic(name=name, value=0.0, p=1.0, n=n, m=m, smallest_shift=float("inf"), enough=False)
