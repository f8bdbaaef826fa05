from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from radloop.render.shapes import Curve, Dot, Drawing, Line, Polyline, Rect, Text, width_of, wrapped
from radloop.render.svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"
EVERY_SHAPE = (
    Line((0, 0), (10, 10), dashed=True),
    Polyline(((0, 0), (5, 5), (9, 1))),
    Polyline(((0, 0), (5, 5), (9, 1)), closed=True),
    Curve((0, 0), (50, 20)),
    Rect(1, 2, 3, 4, edge="#000000", radius=2),
    Dot((5, 5), 2, "#000000"),
    Text((1, 2), "words", anchor="end", bold=True, turned=True),
)


def parsed(*shapes: object, title: str = "a title") -> ET.Element:
    return ET.fromstring(to_svg(Drawing(200, 100, title, shapes)))  # type: ignore[arg-type]


def test_every_shape_becomes_one_element_after_the_title() -> None:
    names = [element.tag.removeprefix(SVG) for element in parsed(*EVERY_SHAPE)]
    assert names == ["title", "line", "polyline", "polygon", "path", "rect", "circle", "text"]


@given(st.text())
def test_whatever_a_text_holds_the_drawing_stays_well_formed_and_says_it(text: str) -> None:
    root = parsed(Text((0, 0), f"<{text}>&"), title=text)
    said = root.find(f"{SVG}text")
    assert said is not None
    assert said.text is not None
    assert said.text[0] == "<"
    assert said.text[-2:] == ">&"
    assert [element.tag for element in root] == [f"{SVG}title", f"{SVG}text"]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=200), st.floats(40, 300))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, room: float) -> None:
    lines = wrapped(text, 10.0, room)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_of(line, 10.0) <= room or len(line) == 1 for line in lines)
