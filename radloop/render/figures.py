"""Figures of a classifier, as drawings: ROC, reliability, and one row a subgroup. Pure functions of numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radloop.render.shapes import (
    BLUE,
    FAINT,
    INK,
    LINE,
    ORANGE,
    PAPER,
    SOFT,
    Dot,
    Drawing,
    Line,
    Point,
    Polyline,
    Rect,
    Shape,
    Text,
    wrapped,
)

WIDTH, HEIGHT = 380.0, 376.0
LEFT, TOP, SIDE = 58.0, 44.0, 276.0
TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SMALL: Final = 9.5
BAR_HEIGHT: Final = 44.0

FOREST_WIDTH: Final = 560.0
NAMES_WIDTH: Final = 190.0
NUMBERS_WIDTH: Final = 150.0
ROW: Final = 24.0
FOREST_TOP: Final = 44.0
FOREST_BOTTOM: Final = 42.0


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram: mean probability, share of positives and its interval, 0..1; `n` images."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One subgroup: its measure with interval, all within 0..1 (None: too few cases), and a note such as its size."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str


def roc(points: NDArray[np.float64], words: str, operating: Point | None = None) -> Drawing:
    """The receiver operating characteristic.

    Args:
        points: (M, 2) float64 of 1 - specificity and sensitivity, 0..1, both never falling.
        words: what is written in the free corner, such as the area and its interval.
        operating: where the threshold lies, on the same axes.
    """
    shapes = [
        *_frame("ROC", "1 - specificity", "sensitivity"),
        Line(_at(0, 0), _at(1, 1), LINE, 1.0, dashed=True),
        Polyline(tuple(_at(float(x), float(y)) for x, y in points), BLUE, 2.0),
    ]
    if operating is not None:
        shapes.append(Dot(_at(*operating), 4.5, ORANGE))
    shapes += _corner([words, *(["dot: the operating threshold"] if operating else [])])
    return Drawing(WIDTH, HEIGHT, f"ROC curve. {words}", tuple(shapes))


def reliability(bins: Sequence[Bin], words: str) -> Drawing:
    """Observed share of positives over mean probability, with intervals; bars at the foot say how many images."""
    largest = max((one.n for one in bins), default=1)
    shapes = [
        *_frame("Calibration", "mean probability", "share of positives"),
        Text((LEFT, 34.0), f"{words}; bars: images, at most {largest}", SMALL, SOFT),
        Line(_at(0, 0), _at(1, 1), LINE, 1.0, dashed=True),
        *(_bar(one, largest) for one in bins),
        *(Line(_at(one.predicted, one.low), _at(one.predicted, one.high), BLUE, 1.4) for one in bins),
        Polyline(tuple(_at(one.predicted, one.observed) for one in bins), BLUE, 1.2),
        *(Dot(_at(one.predicted, one.observed), 4.0, BLUE) for one in bins),
    ]
    return Drawing(WIDTH, HEIGHT, f"Calibration. {words}", tuple(shapes))


def forest(rows: Sequence[Row], measure: str, reference: float | None = None, title: str = "Subgroups") -> Drawing:
    """One row a subgroup: measure and interval on an axis from 0 to 1; `reference` is a dashed line through all."""
    height = FOREST_TOP + ROW * len(rows) + FOREST_BOTTOM
    bottom = FOREST_TOP + ROW * len(rows)
    shapes: list[Shape] = [Rect(0, 0, FOREST_WIDTH, height), Text((16.0, 24.0), title, 13.0, INK, bold=True)]
    shapes += [shape for tick in TICKS for shape in _forest_tick(tick, bottom)]
    if reference is not None:
        shapes.append(Line((_across(reference), FOREST_TOP), (_across(reference), bottom), ORANGE, 1.2, dashed=True))
    for number, row in enumerate(rows):
        shapes += _forest_row(row, FOREST_TOP + ROW * (number + 0.5))
    middle = _across(0.5)
    said = f"{measure}; dashed: all images" if reference is not None else measure
    shapes.append(Text((middle, bottom + 34.0), said, SMALL, SOFT, "middle"))
    return Drawing(FOREST_WIDTH, height, f"{measure} by subgroup", tuple(shapes))


def _frame(title: str, across: str, up: str) -> Iterator[Shape]:
    yield Rect(0, 0, WIDTH, HEIGHT, PAPER)
    yield Text((LEFT, 19.0), title, 13.0, INK, bold=True)
    for tick in TICKS:
        yield Line(_at(tick, 0), _at(tick, 1), FAINT, 0.5)
        yield Line(_at(0, tick), _at(1, tick), FAINT, 0.5)
        yield Text((_at(tick, 0)[0], TOP + SIDE + 15.0), f"{tick:.1f}", SMALL, SOFT, "middle")
        yield Text((LEFT - 7.0, _at(0, tick)[1] + 3.5), f"{tick:.1f}", SMALL, SOFT, "end")
    yield Text((LEFT + SIDE / 2, TOP + SIDE + 36.0), across, 11.0, INK, "middle")
    yield Text((18.0, TOP + SIDE / 2), up, 11.0, INK, "middle", turned=True)


def _corner(lines: Sequence[str]) -> Iterator[Shape]:
    """Lines in the lower right, where no curve better than chance goes."""
    parts = [part for line in lines for part in wrapped(line, SMALL, SIDE * 0.62)]
    top = TOP + SIDE - 14.0 * len(parts) - 4.0
    for number, part in enumerate(parts, start=1):
        yield Text((LEFT + SIDE - 8.0, top + 14.0 * number), part, SMALL, INK, "end")


def _bar(one: Bin, largest: int) -> Shape:
    x, floor = _at(one.predicted, 0)
    height = BAR_HEIGHT * one.n / largest
    return Rect(x - 6.0, floor - height, 12.0, height, FAINT)


def _forest_tick(tick: float, bottom: float) -> Iterator[Shape]:
    x = _across(tick)
    yield Line((x, FOREST_TOP), (x, bottom), FAINT, 0.5)
    yield Text((x, bottom + 15.0), f"{tick:.1f}", SMALL, SOFT, "middle")


def _forest_row(row: Row, y: float) -> Iterator[Shape]:
    yield Text((16.0, y + 3.5), wrapped(row.name, SMALL, NAMES_WIDTH - 24.0)[0], SMALL, INK)
    end = FOREST_WIDTH - 16.0
    if row.value is None or row.low is None or row.high is None:
        yield Text((end, y + 3.5), f"too few cases {row.note}", SMALL, SOFT, "end")
        return
    yield Line((_across(row.low), y), (_across(row.high), y), BLUE, 1.6)
    yield Dot((_across(row.value), y), 4.0, BLUE)
    yield Text((end, y + 3.5), f"{row.value:.2f} ({row.low:.2f} to {row.high:.2f}) {row.note}", SMALL, SOFT, "end")


def _at(x: float, y: float) -> Point:
    return LEFT + SIDE * x, TOP + SIDE * (1.0 - y)


def _across(x: float) -> float:
    return NAMES_WIDTH + (FOREST_WIDTH - NAMES_WIDTH - NUMBERS_WIDTH) * x
