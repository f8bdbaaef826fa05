"""What a check is: one rule about one column of the acquisitions, over a window of them.

Standard library only: checks are data, and `data_checks.suites` alone knows how Great Expectations says them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedSet:
    """Every value is one of `values`; rows without a value pass."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """At least `share` (0..1) of the values lie between `low` and `high`, both included (None: unbounded).

    Rows without a value pass.
    """

    low: float | None = None
    high: float | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """At least this share (0..1) of the rows has a value."""

    share: float


Rule = ClosedSet | Range | Present


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named rule. `column` is a column of the acquisitions; `promise` says it in words, with its unit.

    `modalities` narrows it to rows of these modalities (empty: all). Below `least` rows there is nothing to judge.
    """

    name: str
    column: str
    rule: Rule
    promise: str
    modalities: tuple[str, ...] = ()
    least: int = 1
