"""Writes a drawing as SVG 1.1: one file, no script, no font of its own, every text escaped."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from radloop.render.shapes import Curve, Dot, Drawing, Line, Polyline, Rect, Shape, Text

FONTS: Final = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
# XML 1.0, 2.2: these characters may stand in no document, escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(drawing: Drawing) -> str:
    """The drawing as the text of one `<svg>` element, which may stand alone or inside HTML."""
    size = f'width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
    box = f'viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" font-family="{FONTS}">'
    body = "\n".join(_written(shape) for shape in drawing.shapes)
    return f"{head}\n<title>{_clean(drawing.title)}</title>\n{body}\n</svg>\n"


def _written(shape: Shape) -> str:
    return _WRITERS[type(shape)](shape)


def _line(one: Line) -> str:
    (x1, y1), (x2, y2) = one.start, one.end
    dash = ' stroke-dasharray="4 3"' if one.dashed else ""
    ends = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
    return f"<line {ends} {_stroke(one.ink, one.width)}{dash}/>"


def _polyline(one: Polyline) -> str:
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in one.points)
    if one.closed:
        return f'<polygon points="{points}" fill={quoteattr(one.ink)}/>'
    return f'<polyline points="{points}" fill="none" {_stroke(one.ink, one.width)} stroke-linejoin="round"/>'


def _curve(one: Curve) -> str:
    (x1, y1), (x2, y2) = one.start, one.end
    middle = _n((x1 + x2) / 2)
    path = f"M{_n(x1)},{_n(y1)} C{middle},{_n(y1)} {middle},{_n(y2)} {_n(x2)},{_n(y2)}"
    return f'<path d="{path}" fill="none" {_stroke(one.ink, one.width)}/>'


def _rect(one: Rect) -> str:
    edge = f" {_stroke(one.edge, 1.0)}" if one.edge else ""
    place = f'x="{_n(one.left)}" y="{_n(one.top)}" width="{_n(one.width)}" height="{_n(one.height)}"'
    return f'<rect {place} rx="{_n(one.radius)}" fill={quoteattr(one.fill)}{edge}/>'


def _dot(one: Dot) -> str:
    x, y = one.centre
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(one.radius)}" fill={quoteattr(one.ink)}/>'


def _text(one: Text) -> str:
    x, y = one.at
    weight = ' font-weight="bold"' if one.bold else ""
    turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"' if one.turned else ""
    look = f'font-size="{_n(one.size)}" fill={quoteattr(one.ink)} text-anchor="{one.anchor}"'
    return f'<text x="{_n(x)}" y="{_n(y)}" {look}{weight}{turn}>{_clean(one.text)}</text>'


_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = MappingProxyType(
    {Line: _line, Polyline: _polyline, Curve: _curve, Rect: _rect, Dot: _dot, Text: _text}
)


def _stroke(ink: str, width: float) -> str:
    return f'stroke={quoteattr(ink)} stroke-width="{_n(width)}"'


def _clean(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _n(value: float) -> str:
    """A number, to a hundredth of a point."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
