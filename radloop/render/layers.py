"""Draws a record in the middle, what it rests on in columns to its left, and what came of it in columns to its right.

Boxes carry their own paper, and lines are of a grey between: the picture is legible on white and on black.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from radloop.render.shapes import FAINT, INK, LINE, SOFT, Curve, Dot, Drawing, Rect, Shape, Text, wrapped

BOX_WIDTH: Final = 268.0
COLUMN_GAP: Final = 64.0
ROW_GAP: Final = 16.0
MARGIN: Final = 20.0
PADDING: Final = 12.0
ROOM: Final = BOX_WIDTH - 2 * PADDING
KIND_SIZE, TITLE_SIZE, TEXT_SIZE = 9.0, 12.5, 10.0
LEADING: Final = 1.32
DOT: Final = 3.2
GAP_FILL: Final = "#f1f2f4"


@dataclass(frozen=True, slots=True)
class Box:
    """One record: its kind in capitals, a title, lines below. `faint`: nothing is on record. `ink` marks the kind."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    ink: str = SOFT
    faint: bool = False
    children: tuple["Box", ...] = ()


@dataclass(frozen=True, slots=True)
class _Placed:
    """A box with its place; `side` is -1 left of the root, 1 right of it."""

    box: Box
    left: float
    top: float
    height: float
    side: int
    children: tuple["_Placed", ...] = ()

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def layers(root: Box, inputs: Sequence[Box], outputs: Sequence[Box], title: str) -> Drawing:
    """The picture. `root.children` are not drawn: `inputs` and `outputs` are, with theirs."""
    before, after = _depth(inputs), _depth(outputs)
    height = max(_height(root), _span(inputs), _span(outputs))
    place = MARGIN + before * (BOX_WIDTH + COLUMN_GAP)
    top = MARGIN + (height - _height(root)) / 2
    left = tuple(_column(inputs, place, MARGIN + (height - _span(inputs)) / 2, -1))
    right = tuple(_column(outputs, place, MARGIN + (height - _span(outputs)) / 2, 1))
    centre = _Placed(root, place, top, _height(root), 1, ())
    edges = [_edge(centre, child) for child in (*left, *right)]
    shapes = [*edges, *_drawn(centre), *(shape for one in (*left, *right) for shape in _tree(one))]
    flat = tuple(shape for group in shapes for shape in (group if isinstance(group, tuple) else (group,)))
    width = 2 * MARGIN + (before + after + 1) * BOX_WIDTH + (before + after) * COLUMN_GAP
    return Drawing(width, height + 2 * MARGIN, title, flat)


def _column(boxes: Sequence[Box], parent_left: float, top: float, side: int) -> Iterator[_Placed]:
    left = parent_left + side * (BOX_WIDTH + COLUMN_GAP)
    for box in boxes:
        whole, own = _tall(box), _height(box)
        children = tuple(_column(box.children, left, top + (whole - _span(box.children)) / 2, side))
        yield _Placed(box, left, top + (whole - own) / 2, own, side, children)
        top += whole + ROW_GAP


def _tree(one: _Placed) -> Iterator[Shape | tuple[Shape, ...]]:
    yield from (_edge(one, child) for child in one.children)
    yield from _drawn(one)
    for child in one.children:
        yield from _tree(child)


def _edge(parent: _Placed, child: _Placed) -> tuple[Shape, ...]:
    """From what came first to what came of it: a dot marks where it arrives."""
    near = parent.left if child.side < 0 else parent.left + BOX_WIDTH
    far = child.left + BOX_WIDTH if child.side < 0 else child.left
    start, end = (near, parent.middle), (far, child.middle)
    arrival = start if child.side < 0 else end
    return Curve(start, end), Dot((arrival[0] - DOT, arrival[1]), DOT, LINE)


def _drawn(one: _Placed) -> Iterator[Shape]:
    box = one.box
    yield Rect(one.left, one.top, BOX_WIDTH, one.height, GAP_FILL if box.faint else "#ffffff", FAINT, 6.0)
    yield Rect(one.left, one.top, 4.0, one.height, FAINT if box.faint else box.ink, "", 2.0)
    baseline = one.top + PADDING + KIND_SIZE
    x = one.left + PADDING
    yield Text((x, baseline), box.kind.upper(), KIND_SIZE, SOFT if box.faint else box.ink, bold=True)
    baseline += 4.0
    for line in _title(box):
        baseline += TITLE_SIZE * LEADING
        yield Text((x, baseline), line, TITLE_SIZE, SOFT if box.faint else INK, bold=not box.faint)
    baseline += 2.0
    for line in _lines(box):
        baseline += TEXT_SIZE * LEADING
        yield Text((x, baseline), line, TEXT_SIZE, SOFT)


def _height(box: Box) -> float:
    text = len(_title(box)) * TITLE_SIZE * LEADING + len(_lines(box)) * TEXT_SIZE * LEADING
    return 2 * PADDING + KIND_SIZE + 6.0 + text


def _title(box: Box) -> tuple[str, ...]:
    return wrapped(box.title, TITLE_SIZE, ROOM, bold=not box.faint)


def _lines(box: Box) -> tuple[str, ...]:
    return tuple(part for line in box.lines for part in wrapped(line, TEXT_SIZE, ROOM))


def _tall(box: Box) -> float:
    """Of the box and all in the columns beyond it."""
    return max(_height(box), _span(box.children))


def _span(boxes: Sequence[Box]) -> float:
    return sum(_tall(box) for box in boxes) + ROW_GAP * max(0, len(boxes) - 1)


def _depth(boxes: Sequence[Box]) -> int:
    return max((1 + _depth(box.children) for box in boxes), default=0)
