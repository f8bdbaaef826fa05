from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from radloop.render.document import Bullets, Document, Figure, Heading, Paragraph, Table, sections, to_html, to_markdown
from radloop.render.shapes import Drawing, Text

AT = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script> & a | pipe"
DOCUMENT = Document(
    HOSTILE,
    (
        Heading(HOSTILE),
        Paragraph(f"**bold** {HOSTILE}"),
        Bullets((HOSTILE, "two")),
        Table(("a", "b"), ((HOSTILE, "y"),)),
        Figure(Drawing(10, 10, HOSTILE, (Text((1, 1), HOSTILE),)), HOSTILE),
    ),
    AT,
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser gives it
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_balanced_and_nothing_from_outside_becomes_markup() -> None:
    tags = Tags()
    tags.feed(to_html(DOCUMENT))
    assert tags.open == []
    assert "script" not in tags.seen
    assert {"table", "ul", "figure", "svg", "strong", "h1", "h2"} <= set(tags.seen)


def test_markdown_escapes_markup_and_keeps_a_row_of_a_table_in_its_cells() -> None:
    written = to_markdown(DOCUMENT)
    assert "<script" not in written
    row = next(line for line in written.splitlines() if line.startswith("| &lt;script"))
    assert row.replace("\\|", "").count("|") == 3


def test_a_bundles_words_are_read_by_their_headings() -> None:
    said = sections(
        "# title\n\n**RESEARCH.**\n\n## Data\nOne line\nand the next.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "## Limits\n- first\n  goes on\n- second - dash\n"
    )
    assert said["Data"] == (Paragraph("One line and the next."), Table(("a", "b"), (("1", "2"),)))
    assert said["Limits"] == (Bullets(("first goes on", "second - dash")),)
    assert said[""] == (Paragraph("**RESEARCH.**"),)


@pytest.mark.parametrize("text", ["", "no headings at all", "## only a heading"])
def test_words_without_sections_are_no_error(text: str) -> None:
    assert "Data" not in sections(text)
