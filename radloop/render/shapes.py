"""What our own drawings are made of: shapes in points, x to the right, y down. `svg` and `pdf` write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]

PAPER: Final = "#ffffff"
INK: Final = "#1f2430"
SOFT: Final = "#5b6472"
FAINT: Final = "#c9ced6"
LINE: Final = "#8a93a0"
"""A grey that is seen on white and on black."""
BLUE: Final = "#1f5fa8"
ORANGE: Final = "#b8560f"
GREEN: Final = "#2a7a4b"
RED: Final = "#b3261e"

# Widths of letters in parts of the size. Roughly Helvetica, and never less than DejaVu Sans by much: what is drawn in
# another letter still fits.
_NARROW: Final = frozenset("iljtfrI.,:;'`|!()[]{}/\\ ")
_WIDE: Final = frozenset("mwMW@%&—…")
_WIDTHS: Final = ((_NARROW, 0.36), (_WIDE, 0.96))
_CAPITAL, _OTHER, _BOLD = 0.72, 0.60, 1.07


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line."""

    start: Point
    end: Point
    ink: str = LINE
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Polyline:
    """Straight lines through points; `closed` fills them in `ink` instead."""

    points: tuple[Point, ...]
    ink: str = LINE
    width: float = 1.0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A level S from one point to another."""

    start: Point
    end: Point
    ink: str = LINE
    width: float = 1.4


@dataclass(frozen=True, slots=True)
class Rect:
    """A box with rounded corners; no `edge` where that is ''."""

    left: float
    top: float
    width: float
    height: float
    fill: str = PAPER
    edge: str = ""
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    centre: Point
    radius: float
    ink: str


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `at` is on its baseline. `turned`: read upwards, around `at`."""

    at: Point
    text: str
    size: float = 11.0
    ink: str = INK
    anchor: Anchor = "start"
    bold: bool = False
    turned: bool = False


Shape = Line | Polyline | Curve | Rect | Dot | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a sheet of `width` by `height` points. `title` is what it shows, in a sentence."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a line of text may be, in points."""
    return sum(_width_of(letter) for letter in text) * size * (_BOLD if bold else 1.0)


def wrapped(text: str, size: float, room: float, *, bold: bool = False) -> tuple[str, ...]:
    """The text in lines that fit `room` points; a word that is longer than a line is cut where it is full."""
    lines: list[str] = []
    line = ""
    for word in _pieces(text, size, room, bold=bold):
        longer = f"{line} {word}" if line else word
        if line and width_of(longer, size, bold=bold) > room:
            lines.append(line)
            longer = word
        line = longer
    return (*lines, line) if line or not lines else tuple(lines)


def _pieces(text: str, size: float, room: float, *, bold: bool) -> Iterator[str]:
    for word in re.split(r"\s+", text.strip()):
        rest = word
        while width_of(rest, size, bold=bold) > room and len(rest) > 1:
            fits = max(1, _fitting(rest, size, room, bold=bold))
            yield rest[:fits]
            rest = rest[fits:]
        yield rest


def _fitting(word: str, size: float, room: float, *, bold: bool) -> int:
    used = 0.0
    for count, letter in enumerate(word):
        used += width_of(letter, size, bold=bold)
        if used > room:
            return count
    return len(word)


def _width_of(letter: str) -> float:
    of_kind = next((width for letters, width in _WIDTHS if letter in letters), None)
    return of_kind if of_kind is not None else _CAPITAL if letter.isupper() else _OTHER
