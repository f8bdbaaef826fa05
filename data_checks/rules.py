"""How a window is judged: what is looked at, how many rows it takes, how many false alarms are borne."""

from dataclasses import dataclass
from typing import Final

LENGTHS: Final = (2, 3, 5, 8, 12, 20, 32, 50, 80, 125, 200, 320, 500, 800, 1250, 2000, 5000)
IDENTITY: Final = ("software", "kernel", "model_name", "manufacturer")
PROTOCOL: Final = (
    "kvp", "exposure", "exposure_time", "spacing", "thickness", "repetition_time", "echo_time", "flip_angle",
    "field_strength", "rows", "columns", "frames", "bits_stored",
)  # fmt: skip
"""Numeric columns that say how an image was made, where all others say what it came to."""
SCORE: Final = "score"
"""What the names of numeric columns of model scores begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of `judge`.

    Args:
        rate: the false-discovery rate of one call over all of its tests. The default alarms less than once in
            5,000 studies without a change where every 20 studies are judged (docs/drift.md).
        least: rows of a stratum below which nothing of it is judged. One odd study is no change, unless it lies so far
            beyond all of the reference that its tail would not have it in years (`statistics.tail`).
        least_new: the same of rows of a known scanner with a software version, kernel or combination never seen.
        least_known: rows of a stratum's reference below which it has insufficient data.
        lengths: how many of a stratum's latest rows are looked at, each length for itself, and all of them.
        identity: categorical columns whose values, and combinations, say which machine in which state it was.
        alpha: the level at which the smallest shifts are said.
        together: how much of the rate goes to the tests of many columns together, 0 to 1. They are few and see what
            a change does to everything; the tests of single columns are many and say what it was, and share the rest.
    """

    rate: float = 0.002
    least: int = 3
    least_new: int = 2
    least_known: int = 50
    lengths: tuple[int, ...] = LENGTHS
    identity: tuple[str, ...] = IDENTITY
    protocol: tuple[str, ...] = PROTOCOL
    alpha: float = 0.01
    together: float = 0.5
