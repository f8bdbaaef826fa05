"""A chain of records as a picture: SVG, what the answer rests on to the left, what came of it to the right."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from flows.chain import OUTPUTS, Node
from radloop.render.layers import Box, layers
from radloop.render.shapes import BLUE, GREEN, ORANGE, RED, SOFT
from radloop.render.svg import to_svg

MOST_ALIKE: Final = 6
"""So many nodes of one kind are drawn below another; the rest is counted."""
INLINE: Final = frozenset(("gate",))
"""Kinds that are lines of the node above."""
INKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "result": BLUE,
        "study version": GREEN,
        "instance": GREEN,
        "checks": GREEN,
        "model version": ORANGE,
        "training run": ORANGE,
        "cohort": ORANGE,
        "evaluation": ORANGE,
        "approval": ORANGE,
        "standing": ORANGE,
        "object": BLUE,
        "delivery": BLUE,
        "verdict": RED,
        "sign-off": RED,
    }
)


def picture_of(node: Node) -> str:
    """The SVG of one result's chain."""
    inputs = [child for child in node.children if child.kind not in OUTPUTS]
    outputs = [child for child in node.children if child.kind in OUTPUTS]
    title = f"Where the answer {node.id} comes from, and what came of it"
    return to_svg(layers(_box(node), _boxes(inputs), _boxes(outputs), title))


def _boxes(nodes: Sequence[Node]) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for kind in dict.fromkeys(node.kind for node in nodes):
        alike = [node for node in nodes if node.kind == kind]
        boxes += [_box(node) for node in alike[:MOST_ALIKE]]
        if len(alike) > MOST_ALIKE:
            boxes.append(Box(kind, f"and {len(alike) - MOST_ALIKE} more", faint=True))
    return tuple(boxes)


def _box(node: Node) -> Box:
    return Box(
        kind=node.kind,
        title=node.title,
        lines=tuple(_lines(node)),
        ink=INKS.get(node.kind, SOFT),
        faint=not node.on_record,
        children=_boxes([child for child in node.children if child.kind not in INLINE]),
    )


def _lines(node: Node) -> Iterable[str]:
    if node.id:
        yield node.id
    if node.digest:
        yield f"SHA-256 {node.digest}"
    if node.at or node.by:
        at = node.at.isoformat(timespec="seconds") if node.at else ""
        yield f"{at}{f' by {node.by}' if node.by else ''}".strip()
    yield from (f"{name}: {value}" for name, value in node.facts)
    for child in node.children:
        if child.kind in INLINE:
            yield ", ".join([child.title, *(value for name, value in child.facts if name == "value")])
