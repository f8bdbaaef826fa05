"""What a training run is asked for: everything that decides what comes out, apart from pixels and labels."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import cast

from models.training.recipes import RECIPES, Recipe, Schedule
from radloop.domain.errors import IntegrityError, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The same order, images and build give the same weights, bit for bit.

    `cohort` and `parent` (None: from random weights) are digests; `code` names the build; `origin` counts the images
    of each split by where they come from, without a word about anybody.
    """

    model: str
    version: str
    cohort: str
    parent: str | None
    seed: int
    plan: Schedule
    device: str
    threads: int
    processes: int
    code: str
    origin: Mapping[str, Mapping[str, int]]

    @property
    def key(self) -> str:
        """SHA-256 (hex) of the order: the name of its checkpoints."""
        return hashlib.sha256(self.pack()).hexdigest()

    @property
    def recipe(self) -> Recipe:
        """The model's recipe, as this order has it."""
        return replace(recipe_of(self.model), version=self.version, seed=self.seed, schedule=self.plan)

    def pack(self) -> bytes:
        """The order as canonical JSON."""
        return (json.dumps(asdict(self), sort_keys=True, indent=1) + "\n").encode()


def unpack(data: bytes) -> Order:
    """An order from its bytes.

    Raises:
        IntegrityError: they are no order.
    """
    try:
        said = cast("dict[str, object]", json.loads(data))
        plan = Schedule(**cast("dict[str, int]", said.pop("plan")))
        return Order(plan=plan, **said)  # type: ignore[arg-type]  # a wrong field's type shows where it is used
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError("an order of training cannot be read") from error


def recipe_of(model: str) -> Recipe:
    """How a model of the zoo is trained.

    Raises:
        NotFound: there is no recipe for it.
    """
    if model not in RECIPES:
        raise NotFound("there is no recipe to train this model")
    return RECIPES[model]
