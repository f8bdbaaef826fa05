from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from radloop.render.layers import BOX_WIDTH, Box, layers
from radloop.render.shapes import Drawing, Rect, Text, width_of

words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=90)
boxes = st.recursive(
    st.builds(Box, kind=words, title=words, lines=st.lists(words, max_size=4).map(tuple)),
    lambda below: st.builds(Box, kind=words, title=words, children=st.lists(below, max_size=3).map(tuple)),
    max_leaves=8,
)


def outlines(drawing: Drawing) -> list[Rect]:
    return [shape for shape in drawing.shapes if isinstance(shape, Rect) and shape.width == BOX_WIDTH]


def counted(box: Box) -> int:
    return 1 + sum(map(counted, box.children))


def overlap(one: Rect, other: Rect) -> bool:
    across = one.left < other.left + other.width and other.left < one.left + one.width
    return across and one.top < other.top + other.height and other.top < one.top + one.height


@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
def test_no_two_boxes_overlap_and_every_word_lies_inside_its_box(inputs: list[Box], outputs: list[Box]) -> None:
    drawing = layers(Box("result", "an answer"), inputs, outputs, "a chain")
    drawn = outlines(drawing)
    assert len(drawn) == 1 + sum(map(counted, [*inputs, *outputs]))
    assert not any(overlap(one, other) for one, other in combinations(drawn, 2))
    for text in (shape for shape in drawing.shapes if isinstance(shape, Text) and shape.text != shape.text.upper()):
        x, y = text.at
        end = x + width_of(text.text, text.size, bold=text.bold)
        assert any(box.left < x and end <= box.left + box.width and box.top < y < box.top + box.height for box in drawn)
    assert all(box.left >= 0 and box.left + box.width <= drawing.width for box in drawn)
    assert all(box.top >= 0 and box.top + box.height <= drawing.height for box in drawn)


def test_what_an_answer_rests_on_is_left_of_it_and_what_came_of_it_right() -> None:
    inputs = [Box("model", "m", children=(Box("run", "r"),))]
    drawn = outlines(layers(Box("result", "x"), inputs, [Box("object", "o")], "a chain"))
    places = {
        "result": drawn[0].left, "model": drawn[1].left, "run": drawn[2].left, "object": drawn[3].left
    }  # fmt: skip
    assert places["run"] < places["model"] < places["result"] < places["object"]
