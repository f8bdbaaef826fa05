"""Times of a schedule as cron writes them: minute, hour, day of month, month, day of week (crontab(5))."""

import re
from dataclasses import dataclass
from typing import Final

ALIASES: Final = frozenset(("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"))
STEP: Final = re.compile(r"(?P<range>\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/(?P<step>[0-9]{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five: its name, the numbers that it takes, the names that stand for the first of them."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        """What a number or a name means here; None for anything else."""
        if text in self.names:
            return self.least + self.names.index(text)
        if not text.isdigit() or not self.least <= int(text) <= self.most:
            return None
        return int(text)


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def check(text: str) -> str:
    """The same text, where it is a time that cron knows.

    Raises:
        ValueError: it is none; the message says which part, and what was expected.
    """
    parts = text.lower().split()
    if len(parts) == 1 and parts[0] in ALIASES:
        return text
    if len(parts) != len(FIELDS):
        names = ", ".join(field.name for field in FIELDS)
        raise ValueError(f'a cron time has five parts ({names}), e.g. "0 3 * * *" for three in the morning')
    for field, part in zip(FIELDS, parts, strict=True):
        for one in part.split(","):
            _check_one(field, one)
    return text


def _check_one(field: Field, text: str) -> None:
    found = STEP.fullmatch(text)
    step = found["step"] if found else None
    if found is None or step == "0" or not _is_range(field, found["range"]):
        raise ValueError(
            f'{field.name}: "*", numbers from {field.least} to {field.most}, ranges (1-5) and steps (*/15) are taken'
        )


def _is_range(field: Field, text: str) -> bool:
    if text == "*":
        return True
    ends = [field.number(one) for one in text.split("-")]
    if any(end is None for end in ends):
        return False
    return len(ends) == 1 or (ends[0] or 0) <= (ends[1] or 0)
