"""Finds lettering in a picture: rows of small, sharp, evenly bright strokes of one height.

It reads nothing: it answers where letters may be. Burned-in text is flat (one value, or nearly), sharp-edged, thin
against its surroundings, and stands in a row. Anatomy is rarely all of these at once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grey = NDArray[np.float32]

_HEIGHTS: Final = (6, 72)
_WIDTHS: Final = (1, 90)
_FILL: Final = (0.12, 0.95)
# Strokes are thinner than this; a grey opening or closing of this size takes them out of the picture.
_OPENINGS: Final = (9, 19)
_CONTRASTS: Final = (0.12, 0.25, 0.45)
"""Of the picture's range: by how much a stroke stands out. Letters that run together at one come apart at another."""
_FLATNESS: Final = 0.06
"""Of the picture's range: by how much the larger part of a stroke may differ from its middle value."""
_LEAST_GLYPHS: Final = 4
_OFF_LINE, _ALIKE = 0.1, 0.6
_GAP: Final = 1.3
"""Between two letters of a row, in heights."""


@dataclass(frozen=True, slots=True)
class Box:
    """Rows `top` to `bottom`, columns `left` to `right`, ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """In rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In columns."""
        return self.right - self.left

    def turned(self) -> "Box":
        """The box with rows and columns exchanged: writing upwards or downwards becomes writing in a row."""
        return Box(self.left, self.top, self.right, self.bottom)


def find_lettering(picture: Grey) -> tuple[Box, ...]:
    """Where lettering may be.

    Args:
        picture: (rows, columns), any scale.

    Returns:
        One box per row of letters, in pixels; a letter found both as bright and as dark is in two.
    """
    scaled = _scaled(picture)
    if scaled is None:
        return ()
    found: list[Box] = []
    for size in _OPENINGS:
        for standing_out in (
            scaled - _slid(_slid(scaled, size, np.minimum), size, np.maximum),
            _slid(_slid(scaled, size, np.maximum), size, np.minimum) - scaled,
        ):
            for contrast in _CONTRASTS:
                glyphs = _glyphs(scaled, standing_out > contrast)
                found += _rows(glyphs)
                found += [box.turned() for box in _rows([glyph.turned() for glyph in glyphs])]
    return tuple(dict.fromkeys(found))


def _slid(picture: Grey, size: int, extreme: np.ufunc) -> Grey:
    """The extreme of a square window around every pixel; by doublings, so that its size costs next to nothing."""
    out = np.pad(picture, size // 2, mode="edge")
    for _ in range(2):
        width = 1
        while 2 * width <= size:
            out = extreme(out[:-width], out[width:])
            width *= 2
        if rest := size - width:
            out = extreme(out[:-rest], out[rest:])
        out = out.T
    return out


def _scaled(picture: Grey) -> Grey | None:
    """To 0..1 over the whole range: text is often the brightest thing there is. None where nothing varies."""
    finite = np.nan_to_num(picture.astype(np.float32))
    low, high = np.percentile(finite, (0.5, 99.9))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return None
    scaled: Grey = np.clip((finite - low) / (high - low), 0.0, 1.0)
    return scaled


def _glyphs(picture: Grey, strokes: NDArray[np.bool_]) -> list[Box]:
    labels, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    if not 0 < count < 50_000:
        return []
    boxes = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        if _has_size(box) and _is_glyph(picture[rows, columns], labels[rows, columns] == number, box):
            boxes.append(box)
    return boxes


def _has_size(box: Box) -> bool:
    return _HEIGHTS[0] <= box.height <= _HEIGHTS[1] and _WIDTHS[0] <= box.width <= min(_WIDTHS[1], 3 * box.height)


def _is_glyph(picture: Grey, stroke: NDArray[np.bool_], box: Box) -> bool:
    area = int(stroke.sum())
    if not _FILL[0] <= area / (box.height * box.width) <= _FILL[1] and box.width > 3:
        return False
    values = picture[stroke]
    # The soft edge of a stroke is the rest.
    return float(np.percentile(np.abs(values - np.median(values)), 60)) <= _FLATNESS


def _rows(glyphs: list[Box]) -> list[Box]:
    """Rows of at least four letters that stand side by side and are about as tall as each other."""
    waiting = sorted(glyphs, key=lambda box: box.left)
    rows: list[list[Box]] = []
    for glyph in waiting:
        # One letter may hang below the line (g, p, a comma): the one before it still holds the row.
        row = next((row for row in rows if any(_continues(letter, glyph) for letter in row[-2:])), None)
        if row is None:
            rows.append([glyph])
        else:
            row.append(glyph)
    return [_around(row) for row in rows if len(row) >= _LEAST_GLYPHS]


def _continues(before: Box, after: Box) -> bool:
    tall = max(before.height, after.height)
    gap = after.left - before.right
    # Letters stand on one line and are capitals or small; what grows in a body does neither.
    on_line = abs(before.bottom - after.bottom) <= max(1.0, _OFF_LINE * tall)
    alike = min(before.height, after.height) >= _ALIKE * tall
    return on_line and alike and -0.2 * tall <= gap <= _GAP * tall


def _around(row: list[Box]) -> Box:
    return Box(
        min(box.top for box in row),
        min(box.left for box in row),
        max(box.bottom for box in row),
        max(box.right for box in row),
    )
