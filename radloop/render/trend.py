"""Days across, a share up: one line each for a few scanners. A pure function of numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from radloop.render.shapes import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    RED,
    SOFT,
    Dot,
    Drawing,
    Line,
    Point,
    Polyline,
    Rect,
    Shape,
    Text,
)

INKS: Final = (BLUE, ORANGE, GREEN, RED, INK)
WIDTH: Final = 640.0
LEFT, TOP, ACROSS, HIGH = 52.0, 38.0, 568.0, 180.0
SMALL: Final = 9.5
ROW: Final = 15.0
TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST_DAYS_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a name, and (day, share 0..1) in order."""

    name: str
    points: tuple[tuple[date, float], ...]


def trend(series: Sequence[Series], title: str) -> Drawing:
    """At most as many lines as there are inks; below them, which is which."""
    shown = series[: len(INKS)]
    days = sorted({day for one in shown for day, _ in one.points})
    height = TOP + HIGH + 40.0 + ROW * len(shown)
    shapes: list[Shape] = [Rect(0, 0, WIDTH, height, PAPER), Text((LEFT, 20.0), title, 13.0, INK, bold=True)]
    shapes += _grid(days)
    for number, one in enumerate(shown):
        shapes += _line(one, days, INKS[number])
        y = TOP + HIGH + 40.0 + ROW * number
        shapes.append(Rect(LEFT, y - 8.0, 14.0, 8.0, INKS[number]))
        shapes.append(Text((LEFT + 20.0, y), one.name, SMALL, INK))
    return Drawing(WIDTH, height, title, tuple(shapes))


def _grid(days: Sequence[date]) -> Iterator[Shape]:
    for tick in TICKS:
        y = TOP + HIGH * (1 - tick)
        yield Line((LEFT, y), (LEFT + ACROSS, y), FAINT, 0.5)
        yield Text((LEFT - 7.0, y + 3.5), f"{tick:.2f}", SMALL, SOFT, "end")
    step = max(1, -(-len(days) // MOST_DAYS_NAMED))
    for day in days[::step]:
        yield Text((_x(day, days), TOP + HIGH + 16.0), f"{day:%m-%d}", SMALL, SOFT, "middle")


def _line(one: Series, days: Sequence[date], ink: str) -> Iterator[Shape]:
    points: tuple[Point, ...] = tuple((_x(day, days), TOP + HIGH * (1 - share)) for day, share in one.points)
    yield Polyline(points, ink, 1.8)
    yield from (Dot(point, 2.6, ink) for point in points)


def _x(day: date, days: Sequence[date]) -> float:
    length = (days[-1] - days[0]).days
    return LEFT + ACROSS * ((day - days[0]).days / length if length else 0.5)
