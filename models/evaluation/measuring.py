"""Having versions answer: the test set in batches, golden images one by one, and how long one image takes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.change_plan import GoldenGate
from models.evaluation.panel import Timings
from models.evaluation.trial import Scores
from models.preparation import Floats, HeaderFacts, to_unit
from models.runtime import LoadedModel
from models.training.recipes import RECIPES
from radloop.domain.errors import IntegrityError, Rejected

BATCH: Final = 32
ROUNDING: Final = 4
"""As results record probabilities and thresholds: what is measured is what readers see."""
GOLDEN: Final = "docs/golden.json"
REPEATS: Final = 3


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads (0: as many as now) while this lasts: another count sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def score(model: LoadedModel, small: Floats, target: str) -> Scores:
    """What a version says of `small` (N, S, S) float32, 0..1, about one target.

    Raises:
        Rejected: the version has no such target, or reads images of another size.
    """
    names = [one.name for one in model.spec.targets]
    if target not in names:
        raise Rejected(f"{model.spec.name} {model.spec.version} does not look for {target}")
    if small.shape[1:] != (model.spec.input_size,) * 2:
        raise Rejected(f"{model.spec.name} {model.spec.version} reads images of another size than the test set's")
    column = names.index(target)
    batches = (small[start : start + BATCH, None] for start in range(0, len(small), BATCH))
    answers = np.concatenate([model.predict(torch.from_numpy(batch)) for batch in batches])
    probabilities = np.asarray(np.round(answers[:, column].astype(np.float64), ROUNDING), np.float64)
    return Scores(probabilities, round(model.spec.targets[column].threshold, ROUNDING))


def timings(challenger: LoadedModel, champion: LoadedModel | None, small: Floats) -> Timings:
    """Seconds per image of `small` (N, S, S) at batch 1, with maps, as inference answers; the two take turns."""
    models = {"challenger": challenger} | ({"champion": champion} if champion else {})
    batches = [torch.from_numpy(image[None, None]) for image in small]
    for model in models.values():
        model.predict_and_explain(batches[0])  # the first call pays for what later ones find ready
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number, batch in enumerate(batches):
        # Who goes first pays for a cold cache: that is shared fairly.
        for name in sorted(models, reverse=number % 2 == 1):
            seconds[name].append(_seconds(models[name], batch))
    return Timings(**{name: tuple(found) for name, found in seconds.items()})


def golden_images(model: LoadedModel, gate: GoldenGate) -> Tensor:
    """Synthetic images (n, 1, S, S): the model's own phantoms, every second one with the finding; else noise."""
    recipe = RECIPES.get(model.spec.name)
    if recipe is None:
        side = model.spec.input_size
        noise = np.random.default_rng(gate.seed).random((gate.images, 1, side, side), np.float32)
        return torch.from_numpy(noise)
    pixels = (recipe.phantom(gate.seed + number, number % 2 == 0) for number in range(gate.images))
    return torch.stack([model.prepare(to_unit(one, HeaderFacts(), model.spec.window)) for one in pixels])


def golden_answers(model: LoadedModel, images: Tensor) -> Floats:
    """Its probabilities (n, targets) of golden images (n, 1, S, S), at batch 1."""
    return np.concatenate([model.predict(image[None]) for image in images])


def golden_record(model: LoadedModel, gate: GoldenGate) -> str:
    """The text of a bundle's `docs/golden.json`: which images, and what the version says of them."""
    answers = [[float(one) for one in row] for row in golden_answers(model, golden_images(model, gate))]
    return json.dumps({"seed": gate.seed, "probabilities": answers}, indent=1) + "\n"


def golden_recorded(files: Mapping[str, bytes], gate: GoldenGate) -> npt.NDArray[np.float64] | None:
    """The answers (n, targets) that a checked bundle recorded for these very images; None where it has none.

    Raises:
        IntegrityError: the record cannot be read.
    """
    if GOLDEN not in files:
        return None
    try:
        record = json.loads(files[GOLDEN])
        answers = np.array(record["probabilities"], np.float64)
        return answers if record["seed"] == gate.seed else None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("the bundle's record of golden answers cannot be read") from error


def _seconds(model: LoadedModel, batch: Tensor) -> float:
    """The quickest of a few: what is above it was spent on something else (Python's `timeit` says the same)."""
    return min(_once(model, batch) for _ in range(REPEATS))


def _once(model: LoadedModel, batch: Tensor) -> float:
    start = perf_counter()
    model.predict_and_explain(batch)
    return perf_counter() - start
