import pytest

from radloop.render.shapes import Dot, Drawing, Line, Text
from radloop.render.spans import Span, lasting, spans
from radloop.render.svg import to_svg


def dots(drawing: Drawing) -> list[float]:
    return [shape.centre[0] for shape in drawing.shapes if isinstance(shape, Dot)]


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def test_seconds_and_days_stand_in_order_on_one_axis_and_inside_the_sheet() -> None:
    rows = [Span(str(s), s, 2 * s, "n 20") for s in (0.2, 5.0, 600.0, 86_400.0, 9e9)]
    drawing = spans(rows, "Turnaround")
    found = dots(drawing)
    assert found == sorted(found)
    ends = [x for shape in drawing.shapes if isinstance(shape, Line) for x in (shape.start[0], shape.end[0])]
    assert min(ends) > 0
    assert max(ends) < drawing.width
    assert to_svg(drawing).startswith("<svg")


def test_too_few_are_said_and_not_drawn() -> None:
    drawing = spans([Span("urgent", None, None, "n 3")], "Turnaround")
    assert dots(drawing) == []
    assert "insufficient data n 3" in words(drawing)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "0.25 s"), (59.0, "59 s"), (90.0, "1.5 min"), (7200.0, "2 h"), (86_400.0 * 400, "400 d")],
)
def test_a_length_of_time_is_said_in_the_unit_that_fits(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
