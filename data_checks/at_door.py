"""Checks at the door: typed code about one study, before inference on headers, after it on what the pixels are like.

They remark; they never decide: whatever a check says, or if it fails, the study is answered.
"""

import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from operator import mul
from types import MappingProxyType
from typing import Final

from radloop.domain.acquired import Family, ImageGround, NoteOutcome, PixelFacts, Seen
from radloop.domain.records import Acquisition

SECONDS: Final = 0.25
"""All checks of one study together: what is not looked at by then is not looked at."""
ODD: Final = 1.0
"""An image that lies further than so many reaches from the inverted ones is not one of them: it is something else."""


class Stage(StrEnum):
    """When a check at the door runs, and so what it can know."""

    HEADER = "header"
    """Before inference: the typed row of the header."""
    PIXELS = "pixels"
    """On the pixel facts that inference returns."""
    EMBEDDING = "embedding"
    """On the embedding that inference returns, held against the model's ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model's card asks of an image: body parts and views, empty where any will do."""

    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One image at the door, on its way to one model.

    `outside` says why the model's card excludes it ('' where it does not). `seen` is None before inference; `ground`
    None where the model has none.
    """

    row: Acquisition
    asked: Asked = Asked()
    outside: str = ""
    seen: Seen | None = None
    ground: ImageGround | None = None

    @property
    def facts(self) -> PixelFacts:
        """The image's pixel facts.

        Raises:
            ValueError: nothing has looked at the pixels.
        """
        if self.seen is None:
            raise ValueError("nothing has looked at the pixels")
        return self.seen.facts


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check has to say of one image; a pass says nothing. A plain sentence, no patient data."""

    outcome: NoteOutcome
    detail: str


@dataclass(frozen=True, slots=True)
class Remarked:
    """A remark, the check that makes it, and the image."""

    check: str
    instance_id: str
    remark: Remark


Judge = Callable[[Case], Remark | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCheck:
    """One named check. `guards` says in words against what; `threshold` from where on it remarks.

    Checks of a stage are asked by `turn`, the gravest first.
    """

    name: str
    turn: int
    stage: Stage
    columns: tuple[str, ...]
    guards: str
    threshold: str
    judge: Judge


@cache
def door() -> Mapping[str, DoorCheck]:
    """Every check at the door by its name, in the order in which they are asked.

    Raises:
        ValueError: two checks have one name.
    """
    # Imported here: the modules of the folder import this one.
    from data_checks import door as folder  # noqa: PLC0415

    names = [module.name for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")]
    found: list[DoorCheck] = sorted((import_module(name).CHECK for name in names), key=lambda one: (one.turn, one.name))
    by_name = {check.name: check for check in found}
    if len(by_name) != len(found):
        raise ValueError("two checks at the door have the same name")
    return MappingProxyType(by_name)


def warn(detail: str) -> Remark:
    """Something is odd."""
    return Remark(NoteOutcome.WARN, detail)


def not_applicable(detail: str) -> Remark:
    """It cannot be told."""
    return Remark(NoteOutcome.NOT_APPLICABLE, detail)


def remarks(
    checks: Sequence[DoorCheck], cases: Iterable[Case], clock: Callable[[], float] = time.monotonic
) -> Iterator[Remarked]:
    """What the checks say of the images of one study, within `SECONDS`.

    Of one image only the first check that warns is heard on pixels and embedding: an image that is all black is no
    blurred one, too. The order of `checks` decides.
    """
    until = clock() + SECONDS
    for case in cases:
        if clock() > until:
            return
        yield from _of_image(checks, case)


def _of_image(checks: Sequence[DoorCheck], case: Case) -> Iterator[Remarked]:
    for check in checks:
        remark = check.judge(case)
        if remark is not None:
            yield Remarked(check.name, case.row.instance_id, remark)
        if remark is not None and remark.outcome is NoteOutcome.WARN and check.stage is not Stage.HEADER:
            return


def distance(family: Family, embedding: Sequence[float], centre: Sequence[float] | None = None) -> float:
    """The squared Mahalanobis distance of an embedding from a family, or from its `centre` turned inside out.

    An embedding may be longer than the ground's: it is the first numbers that no training moves.
    """
    mean = family.mean if centre is None else centre
    apart = [one - other for one, other in zip(embedding, mean, strict=False)]
    rows = (sum(map(mul, weights, apart)) for weights in family.precision)
    return float(sum(map(mul, apart, rows)))


def nearest(ground: ImageGround, embedding: Sequence[float]) -> Family:
    """The family that an image is most like by its reach, the right way up or inverted."""
    return min(ground.families, key=lambda family: min(_both(family, embedding)) / family.reach)


def usual(case: Case) -> Family | None:
    """The family that the image is most like; None where there is no ground."""
    if case.ground is None or case.seen is None:
        return None
    return nearest(case.ground, case.seen.embedding)


def upside_down(case: Case) -> bool:
    """Whether the image is more like the inverted images of its family than like the upright ones."""
    family = usual(case)
    if family is None or case.seen is None:
        return False
    upright, inverted = _both(family, case.seen.embedding)
    return inverted < upright and inverted <= ODD * family.reach


def _both(family: Family, embedding: Sequence[float]) -> tuple[float, float]:
    return distance(family, embedding), distance(family, embedding, family.inverted)
