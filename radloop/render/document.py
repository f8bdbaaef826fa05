"""A document of a few kinds of blocks, read from the Markdown that our bundles carry, written as Markdown or HTML.

Text is plain, with `**bold**` and backticks as its only marks. Whatever came from outside is escaped when written.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from types import MappingProxyType
from typing import Any, Final

from radloop.render.shapes import Drawing
from radloop.render.svg import to_svg

BOLD: Final = re.compile(r"\*\*(.+?)\*\*")
CODE: Final = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and what it shows."""

    drawing: Drawing
    caption: str


Block = Heading | Paragraph | Bullets | Table | Figure


@dataclass(frozen=True, slots=True)
class Document:
    """Blocks under one title; `at` is when it was written."""

    title: str
    blocks: tuple[Block, ...]
    at: datetime


def sections(markdown: str) -> Mapping[str, tuple[Block, ...]]:
    """The parts of a Markdown text under its level-2 headings, by heading; '' is what stands before the first."""
    parts: dict[str, list[str]] = {"": []}
    here = parts[""]
    for line in markdown.splitlines():
        if line.startswith("## "):
            here = parts.setdefault(line[3:].strip(), [])
        elif not line.startswith("# "):
            here.append(line)
    return MappingProxyType({name: tuple(_blocks(lines)) for name, lines in parts.items()})


def to_markdown(document: Document) -> str:
    """GitHub's Markdown; drawings stand in it as `<svg>`."""
    blocks = [Heading(document.title, 1), *document.blocks]
    return "\n\n".join(_MARKDOWN[type(block)](block) for block in blocks) + "\n"


def to_html(document: Document) -> str:
    """One HTML page, styled by itself, light or dark as its reader's system is."""
    body = "\n".join(_HTML[type(block)](block) for block in [Heading(document.title, 1), *document.blocks])
    title = escape(document.title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = f"<head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body>"
    return f'<!doctype html>\n<html lang="en">\n{page}\n</html>\n'


STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, Helvetica, Arial, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-bottom: 1px solid #8a93a0; }
td { overflow-wrap: anywhere; }
h2 { margin-top: 2.2rem; border-bottom: 1px solid #8a93a0; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { opacity: .75; }
"""


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    group: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            group.append(line.rstrip())
        elif group:
            yield _block(group)
            group = []


def _block(lines: Sequence[str]) -> Block:
    if lines[0].startswith("|"):
        cells = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
        return Table(cells[0], tuple(cells[2:]))
    if lines[0].startswith("- "):
        return Bullets(tuple(" ".join(item.split()) for item in re.split(r"(?m)^- ", "\n".join(lines)) if item.strip()))
    return Paragraph(" ".join(line.strip() for line in lines))


def _plain(text: str) -> str:
    """Text that is no HTML in Markdown, on one line."""
    return escape(" ".join(text.split()), quote=False)


def _marked(text: str) -> str:
    return CODE.sub(r"<code>\1</code>", BOLD.sub(r"<strong>\1</strong>", escape(text)))


def _table_as_markdown(table: Table) -> str:
    rows = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def _table_as_html(table: Table) -> str:
    head = "".join(f"<th>{_marked(cell)}</th>" for cell in table.columns)
    body = "\n".join("<tr>" + "".join(f"<td>{_marked(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _bullets_as_html(bullets: Bullets) -> str:
    return "<ul>\n" + "\n".join(f"<li>{_marked(item)}</li>" for item in bullets.items) + "\n</ul>"


def _figure_as_html(figure: Figure) -> str:
    return f"<figure>\n{to_svg(figure.drawing)}<figcaption>{_marked(figure.caption)}</figcaption>\n</figure>"


_MARKDOWN: Final[Mapping[type, Callable[[Any], str]]] = MappingProxyType(
    {
        Heading: lambda one: f"{'#' * one.level} {_plain(one.text)}",
        Paragraph: lambda one: _plain(one.text),
        Bullets: lambda one: "\n".join(f"- {_plain(item)}" for item in one.items),
        Table: _table_as_markdown,
        Figure: lambda one: f"{to_svg(one.drawing)}\n{_plain(one.caption)}",
    }
)
_HTML: Final[Mapping[type, Callable[[Any], str]]] = MappingProxyType(
    {
        Heading: lambda one: f"<h{one.level}>{_marked(one.text)}</h{one.level}>",
        Paragraph: lambda one: f"<p>{_marked(one.text)}</p>",
        Bullets: _bullets_as_html,
        Table: _table_as_html,
        Figure: _figure_as_html,
    }
)
