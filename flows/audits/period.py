"""The time that an audit looks at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from radloop.domain.errors import Rejected

QUARTER: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on and before `end`, both aware."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """A period has a length.

        Raises:
            Rejected: it ends before it begins.
        """
        if self.start >= self.end:
            raise Rejected("the period ends before it begins")

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.end - self.start) / timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def before(end: datetime, length: timedelta = QUARTER) -> Period:
    """The period of that length that ends there."""
    return Period(end - length, end)


def whole_days_before(now: datetime, length: timedelta = QUARTER) -> Period:
    """As `before`, up to the beginning of this day in UTC: a run that is done again is of the same period."""
    return before(now.replace(hour=0, minute=0, second=0, microsecond=0), length)
