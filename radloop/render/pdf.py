"""Writes a document as PDF, A4, in the letters that every reader of PDF has (PDF 1.7, 9.6.2.2), figures as vectors."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from radloop.render.document import BOLD, CODE, Block, Bullets, Document, Figure, Heading, Paragraph, Table
from radloop.render.shapes import Curve, Dot, Drawing, Line, Point, Polyline, Rect, Shape, Text

FONT: Final = "Helvetica"
MARGIN: Final = 56.0
SIZE, LEADING, SMALL, SMALL_LEADING = 10.0, 14.0, 8.5, 11.5
HEADINGS: Final = MappingProxyType({1: 18.0, 2: 13.0, 3: 11.0})
INK, SOFT = 30, 90
LARGEST: Final = 0.8
"""Figures are drawn for a screen: on paper two of them fit a page."""
PLAIN: Final = str.maketrans(
    {
        "\u2013": "-",  # en dash
        "\u2014": "-",  # em dash
        "\u2018": "'",  # quotation marks
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2022": "-",  # bullet
        "\u2026": "...",  # ellipsis
        "\u2212": "-",  # minus
        "\u2264": "<=",
        "\u2265": ">=",
    }
)


def to_pdf(document: Document) -> bytes:
    """The document as PDF. Letters that Latin-1 lacks lose their accents, or become question marks.

    The same document makes the same bytes.
    """
    pdf = _Sheet(unit="pt", format="A4")
    pdf.set_title(_latin(document.title))
    pdf.set_creation_date(document.at)
    pdf.alias_nb_pages("")
    pdf.set_margins(MARGIN, MARGIN)
    pdf.set_auto_page_break(auto=True, margin=MARGIN)
    pdf.add_page()
    blocks = (Heading(document.title, 1), *document.blocks)
    for block, following in zip(blocks, (*blocks[1:], None), strict=True):
        if isinstance(block, Heading) and not _fits(pdf, block, following):
            pdf.add_page()
        _WRITERS[type(block)](pdf, block)
    return bytes(pdf.output())


class _Sheet(FPDF):  # type: ignore[misc]  # fpdf2 ships no types
    """A4 pages with a number at the foot. Of FPDF's Markdown only bold is left: names hold underscores and dashes."""

    MARKDOWN_MARKERS = (FPDF.MARKDOWN_BOLD_MARKER,) * 4  # as many as FPDF names
    MARKDOWN_ESCAPE_CHARACTER = "\0"
    MARKDOWN_LINK_REGEX = re.compile("(?!)")

    def footer(self) -> None:
        """Called by FPDF at the end of each page."""
        self.set_y(-MARGIN * 0.6)
        self.set_font(FONT, "", SMALL)
        self.set_text_color(SOFT)
        self.cell(0, SMALL_LEADING, f"{self.title}, page {self.page_no()}", align="C")


def _fits(pdf: FPDF, heading: Heading, following: Block | None) -> bool:
    """Whether a heading and the beginning of what it stands over fit the page: no heading is alone at its foot."""
    beginning = _height(pdf, following) if isinstance(following, Figure) else 3 * LEADING
    return bool(pdf.get_y() + 3 * HEADINGS[min(3, heading.level)] + beginning <= pdf.page_break_trigger)


def _heading(pdf: FPDF, block: Heading) -> None:
    size = HEADINGS[min(3, block.level)]
    pdf.ln(size * 0.6 if block.level > 1 else 0)
    _lines(pdf, f"**{block.text}**", size, size * 1.3)
    pdf.ln(size * 0.25)


def _paragraph(pdf: FPDF, block: Paragraph) -> None:
    _lines(pdf, block.text, SIZE, LEADING)
    pdf.ln(LEADING * 0.4)


def _bullets(pdf: FPDF, block: Bullets) -> None:
    for item in block.items:
        pdf.set_font(FONT, "", SIZE)
        pdf.set_x(MARGIN)
        pdf.cell(12.0, LEADING, "-")
        _lines(pdf, item, SIZE, LEADING)
    pdf.ln(LEADING * 0.4)


def _lines(pdf: FPDF, text: str, size: float, leading: float) -> None:
    """Running text from here to the right margin; what stands between two asterisks is bold."""
    pdf.set_text_color(INK)
    pdf.set_font(FONT, "", size)
    pdf.multi_cell(
        0, leading, _latin(CODE.sub(r"\1", text)), align="L", markdown=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT
    )


def _table(pdf: FPDF, block: Table) -> None:
    pdf.set_text_color(INK)
    pdf.set_draw_color(190)
    pdf.set_font(FONT, "", SMALL)
    headed = any(block.columns)
    rows = [block.columns, *block.rows] if headed else list(block.rows)
    with pdf.table(
        col_widths=_shares(pdf, rows),
        text_align="LEFT",
        line_height=SMALL_LEADING,
        borders_layout="HORIZONTAL_LINES",
        first_row_as_headings=headed,
        padding=2.0,
        # A digest has no place where a line may break.
        wrapmode="CHAR" if _has_long_words(rows) else "WORD",
    ) as table:
        for row in rows:
            cells = table.row()
            for cell in row:
                cells.cell(_latin(CODE.sub(r"\1", BOLD.sub(r"\1", cell))))
    pdf.ln(LEADING * 0.6)


def _has_long_words(rows: list[tuple[str, ...]]) -> bool:
    return any(len(word) > 40 for row in rows for cell in row for word in cell.split())


def _shares(pdf: FPDF, rows: list[tuple[str, ...]]) -> tuple[float, ...]:
    """How wide each column is: by its longest cell, within bounds, so that no column starves."""
    wide = [max(pdf.get_string_width(_latin(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return tuple(min(260.0, max(44.0, width + 8.0)) for width in wide)


def _figure(pdf: FPDF, block: Figure) -> None:
    if pdf.get_y() + _height(pdf, block) > pdf.page_break_trigger:
        pdf.add_page()
    scale = _scale(pdf, block)
    _draw(pdf, block.drawing, (MARGIN, pdf.get_y()), scale)
    pdf.set_y(pdf.get_y() + block.drawing.height * scale + 4.0)
    _lines(pdf, block.caption, SMALL, SMALL_LEADING)
    pdf.ln(LEADING * 0.6)


def _height(pdf: FPDF, block: Figure) -> float:
    return block.drawing.height * _scale(pdf, block) + 3 * LEADING


def _scale(pdf: FPDF, block: Figure) -> float:
    return float(min(LARGEST, pdf.epw / block.drawing.width))


def _draw(pdf: FPDF, drawing: Drawing, origin: Point, scale: float) -> None:
    x, y = origin
    with pdf.local_context():
        for shape in drawing.shapes:
            _SHAPES[type(shape)](pdf, shape, lambda p: (x + p[0] * scale, y + p[1] * scale), scale)


_Place = Callable[[Point], Point]


def _line(pdf: FPDF, one: Line, place: _Place, scale: float) -> None:
    pdf.set_draw_color(one.ink)
    pdf.set_line_width(one.width * scale)
    pdf.set_dash_pattern(*((4 * scale, 3 * scale) if one.dashed else (0, 0)))
    pdf.line(*place(one.start), *place(one.end))
    pdf.set_dash_pattern()


def _polyline(pdf: FPDF, one: Polyline, place: _Place, scale: float) -> None:
    pdf.set_draw_color(one.ink)
    pdf.set_fill_color(one.ink)
    pdf.set_line_width(one.width * scale)
    pdf.polyline([place(point) for point in one.points], fill=one.closed, polygon=one.closed)


def _curve(pdf: FPDF, one: Curve, place: _Place, scale: float) -> None:
    middle = (one.start[0] + one.end[0]) / 2
    pdf.set_draw_color(one.ink)
    pdf.set_line_width(one.width * scale)
    points = (one.start, (middle, one.start[1]), (middle, one.end[1]), one.end)
    pdf.bezier([place(point) for point in points])


def _rect(pdf: FPDF, one: Rect, place: _Place, scale: float) -> None:
    pdf.set_fill_color(one.fill)
    pdf.set_draw_color(one.edge or one.fill)
    pdf.set_line_width(scale)
    pdf.rect(
        *place((one.left, one.top)),
        one.width * scale,
        one.height * scale,
        style="DF" if one.edge else "F",
        round_corners=one.radius > 0,
        corner_radius=one.radius * scale,
    )


def _dot(pdf: FPDF, one: Dot, place: _Place, scale: float) -> None:
    pdf.set_fill_color(one.ink)
    pdf.circle(*place(one.centre), one.radius * scale, style="F")


def _text(pdf: FPDF, one: Text, place: _Place, scale: float) -> None:
    pdf.set_font(FONT, "B" if one.bold else "", one.size * scale)
    pdf.set_text_color(one.ink)
    x, y = place(one.at)
    text = _latin(one.text)
    left = x - pdf.get_string_width(text) * {"start": 0.0, "middle": 0.5, "end": 1.0}[one.anchor]
    if one.turned:
        with pdf.rotation(90, x, y):
            pdf.text(left, y, text)
    else:
        pdf.text(left, y, text)


def _latin(text: str) -> str:
    """The text in Latin-1, which is what the letters of `FONT` cover."""
    return "".join(map(_letter, text.translate(PLAIN)))


def _letter(letter: str) -> str:
    if ord(letter) < 256:
        return letter if letter.isprintable() else " "
    bare = [part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)]
    return "".join(part if ord(part) < 256 else "?" for part in bare)


_WRITERS: Final[Mapping[type, Callable[[FPDF, Any], None]]] = MappingProxyType(
    {Heading: _heading, Paragraph: _paragraph, Bullets: _bullets, Table: _table, Figure: _figure}
)
_SHAPES: Final[Mapping[type[Shape], Callable[[FPDF, Any, _Place, float], None]]] = MappingProxyType(
    {Line: _line, Polyline: _polyline, Curve: _curve, Rect: _rect, Dot: _dot, Text: _text}
)
