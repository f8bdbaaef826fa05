import numpy as np
import pytest

from radloop.render.figures import LEFT, SIDE, TOP, Bin, Row, forest, reliability, roc
from radloop.render.shapes import BLUE, ORANGE, Dot, Drawing, Line, Polyline, Text


def of(drawing: Drawing, kind: type, ink: str) -> list:
    return [shape for shape in drawing.shapes if isinstance(shape, kind) and shape.ink == ink]


def texts(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def test_a_roc_curve_goes_from_the_lower_left_to_the_upper_right_through_its_points() -> None:
    drawing = roc(np.array([[0.0, 0.0], [0.25, 0.5], [1.0, 1.0]]), "AUC 0.7", (0.25, 0.5))
    curve = of(drawing, Polyline, BLUE)[0]
    assert curve.points[0] == (LEFT, TOP + SIDE)
    assert curve.points[-1] == (LEFT + SIDE, TOP)
    assert curve.points[1] == pytest.approx((LEFT + SIDE / 4, TOP + SIDE / 2))
    assert of(drawing, Dot, ORANGE)[0].centre == curve.points[1]
    assert "AUC 0.7" in texts(drawing)


def test_without_a_threshold_no_dot_claims_one() -> None:
    drawing = roc(np.array([[0.0, 0.0], [1.0, 1.0]]), "")
    assert not of(drawing, Dot, ORANGE)
    assert not any("threshold" in text for text in texts(drawing))


def test_a_perfectly_calibrated_bin_lies_on_the_diagonal_inside_its_interval() -> None:
    drawing = reliability([Bin(0.3, 0.3, 0.2, 0.45, 40), Bin(0.8, 0.6, 0.5, 0.7, 10)], "n = 50")
    on, below = of(drawing, Dot, BLUE)
    assert on.centre[0] - LEFT == pytest.approx(TOP + SIDE - on.centre[1])
    assert below.centre[0] - LEFT > TOP + SIDE - below.centre[1]
    interval = of(drawing, Line, BLUE)[0]
    assert interval.start[1] > on.centre[1] > interval.end[1]


def test_a_subgroup_with_too_few_cases_is_named_and_not_drawn() -> None:
    drawing = forest([Row("sex F", 0.8, 0.7, 0.9, "n 40"), Row("sex M", None, None, None, "n 3")], "AUC", 0.75)
    assert len(of(drawing, Dot, BLUE)) == 1
    assert any(text.startswith("too few cases") for text in texts(drawing))
    assert {"sex F", "sex M"} <= set(texts(drawing))
    dot, interval = of(drawing, Dot, BLUE)[0], of(drawing, Line, BLUE)[0]
    assert interval.start[0] < dot.centre[0] < interval.end[0]
    assert of(drawing, Line, ORANGE)[0].start[0] < dot.centre[0]


def test_no_shape_leaves_the_sheet() -> None:
    rows = [Row(f"a scanner with a very long name indeed, number {n}", 1.0, 0.0, 1.0, "n 1000") for n in range(30)]
    for drawing in (forest(rows, "AUC"), reliability([Bin(0.0, 0.0, 0.0, 1.0, 1), Bin(1.0, 1.0, 0.0, 1.0, 9)], "x")):
        for shape in drawing.shapes:
            at = getattr(shape, "at", None) or getattr(shape, "centre", None) or (1.0, 1.0)
            assert 0 <= at[0] <= drawing.width
            assert 0 <= at[1] <= drawing.height
