"""A figure of how long things take: one row each, a dot at the median and a line to the 90th percentile, on a log axis.

Seconds and days stand side by side in it, which no other axis can show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

from radloop.render.shapes import BLUE, FAINT, INK, SOFT, Dot, Drawing, Line, Rect, Shape, Text, wrapped

WIDTH: Final = 560.0
NAMES: Final = 180.0
NUMBERS: Final = 132.0
ROW: Final = 22.0
TOP, BOTTOM = 44.0, 42.0
SMALL: Final = 9.5
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
TICKS: Final = ((1.0, "1 s"), (MINUTE, "1 min"), (HOUR, "1 h"), (DAY, "1 d"), (30 * DAY, "30 d"))
LAST: Final = 30 * DAY


@dataclass(frozen=True, slots=True)
class Span:
    """One row: seconds, None where there are too few to say; `note` such as how many."""

    name: str
    median: float | None
    ninth: float | None
    note: str


def spans(rows: Sequence[Span], title: str) -> Drawing:
    """The figure; the axis reaches from a second to 30 days, and what lies outside stands at its end."""
    bottom = TOP + ROW * len(rows)
    shapes: list[Shape] = [Rect(0, 0, WIDTH, bottom + BOTTOM), Text((16.0, 24.0), title, 13.0, INK, bold=True)]
    for seconds, words in TICKS:
        shapes.append(Line((_across(seconds), TOP), (_across(seconds), bottom), FAINT, 0.5))
        shapes.append(Text((_across(seconds), bottom + 15.0), words, SMALL, SOFT, "middle"))
    for number, row in enumerate(rows):
        shapes += _row(row, TOP + ROW * (number + 0.5))
    legend = "dot: median; line: to the 90th percentile"
    shapes.append(Text((_across(MINUTE), bottom + 34.0), legend, SMALL, SOFT, "middle"))
    return Drawing(WIDTH, bottom + BOTTOM, title, tuple(shapes))


def lasting(seconds: float) -> str:
    """A length of time in words, to two digits or so: `0.8 s`, `12 min`, `3.4 h`, `2.1 d`."""
    for unit, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {word}" if seconds < 100 * unit else f"{seconds / unit:.0f} {word}"
    return f"{seconds:.3g} s"


def _row(row: Span, y: float) -> tuple[Shape, ...]:
    name = Text((16.0, y + 3.5), wrapped(row.name, SMALL, NAMES - 20.0)[0], SMALL, INK)
    end = WIDTH - 16.0
    if row.median is None or row.ninth is None:
        return (name, Text((end, y + 3.5), f"insufficient data {row.note}", SMALL, SOFT, "end"))
    words = f"{lasting(row.median)}, {lasting(row.ninth)}; {row.note}"
    return (
        name,
        Line((_across(row.median), y), (_across(row.ninth), y), BLUE, 1.6),
        Dot((_across(row.median), y), 4.0, BLUE),
        Text((end, y + 3.5), words, SMALL, SOFT, "end"),
    )


def _across(seconds: float) -> float:
    share = log10(min(LAST, max(1.0, seconds))) / log10(LAST)
    return NAMES + (WIDTH - NAMES - NUMBERS - 16.0) * share
