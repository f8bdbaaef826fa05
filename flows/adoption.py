"""Adoption: whether the answers are used. Counts of the ledger as shares with their intervals, never per reader."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from radloop.ledger import Ledger, adoption
from radloop.ledger.adoption import Counts
from radloop.ledger.throughput import quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with Wilson's 95 % interval; `value` None of nothing."""

    hits: int
    among: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One model in one week (`week` None: in all of them).

    Args:
        shown: answers that readers could see.
        opened: those whose study somebody opened.
        median_seconds, p90_seconds: from the answer to the first opening, of the `timed` ones that the answer came
            before.
        agreed: verdicts that confirm; the others are overrides.
        useful: votes that say so.
    """

    model: str
    week: date | None
    shown: int
    opened: Share
    timed: int
    median_seconds: float | None
    p90_seconds: float | None
    agreed: Share
    useful: Share

    @property
    def overrides(self) -> int:
        """Verdicts that disagree."""
        return self.agreed.among - self.agreed.hits


@dataclass(frozen=True, slots=True)
class Adoption:
    """Models over all of the time, and week by week, the newest first."""

    since: date
    models: tuple[Figures, ...]
    weeks: tuple[Figures, ...]


def measure(ledger: Ledger, weeks: int, zone: ZoneInfo, now: datetime) -> Adoption:
    """The last `weeks` weeks, this one included, as the site counts its days.

    Raises:
        Unavailable: the ledger's.
    """
    since = adoption.week_of(now, zone) - timedelta(weeks=weeks - 1)
    with ledger.read() as conn:
        found = adoption.by_week(conn, datetime.combine(since, time(), zone).astimezone(UTC), zone)
    return Adoption(since, tuple(map(_figures, adoption.together(found))), tuple(map(_figures, found)))


def _figures(one: Counts) -> Figures:
    waits = list(one.waits)
    return Figures(
        model=one.model,
        week=one.week,
        shown=one.shown,
        opened=_share(one.opened, one.shown),
        timed=len(waits),
        median_seconds=quantile(waits, 0.5),
        p90_seconds=quantile(waits, 0.9),
        agreed=_share(one.confirmed, one.confirmed + one.overridden),
        useful=_share(one.useful, one.useful + one.useless),
    )


def _share(hits: int, among: int) -> Share:
    from models.evaluation.intervals import wilson  # noqa: PLC0415 - numpy, which no other page needs

    found = wilson(hits, among)
    return Share(hits=hits, among=among, value=found.value if among else None, low=found.low, high=found.high)
