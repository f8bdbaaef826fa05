"""The golden study: a fixed synthetic image that a version reads before it may be asked.

Every probability must be a number in 0..1. Where the bundle recorded what it says of the golden images of its gates
(`docs/golden.json`, written by `models.evaluation.measuring.golden_record`), it must say that again, to 1e-4.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from pydicom import Dataset

from models.bundles import contents
from models.phantoms import brain_slices, chest, head_ct
from models.preparation import header_facts, to_unit
from models.runtime import LoadedModel
from models.spec import ModelSpec
from radloop.domain.errors import IntegrityError

FILE: Final = "docs/golden.json"
SEED: Final = 1
ROWS: Final = 256
IMAGES: Final = 2
"""Of the recorded ones: with the finding, and without. The gates hold the version to all of them."""
TOLERANCE: Final = 1e-4
"""Another number of threads moves a probability by about 2e-7."""

DRAWN: Final[Mapping[str, Callable[[], Dataset]]] = {
    "CR": lambda: chest(SEED, opacity=True, rows=ROWS),
    "MR": lambda: brain_slices(SEED, lesion=True, rows=ROWS)[0],
    "CT": lambda: head_ct(SEED, bleed=True, rows=ROWS)[0],
}
"""By the first modality of a card that is among them; for a model of anything else, a radiograph."""


def read_golden(model: LoadedModel) -> Mapping[str, float]:
    """The probabilities of the golden study by target; also the model's first forward pass, so that it is warm.

    Raises:
        IntegrityError: a probability is no number in 0..1, or another one than the bundle recorded.
    """
    ds = golden_study(model.spec)
    unit = to_unit(ds.pixel_array.astype(np.float32), header_facts(ds), model.spec.window)
    probabilities, _ = model.predict_and_explain(model.prepare(unit)[None])
    names = [target.name for target in model.spec.targets]
    found = {name: float(value) for name, value in zip(names, probabilities[0], strict=True)}
    if not all(math.isfinite(value) and 0.0 <= value <= 1.0 for value in found.values()):
        raise IntegrityError("the bundle's answer to the golden study is no probability")
    _hold_to_its_record(model)
    return found


def golden_study(spec: ModelSpec) -> Dataset:
    """One image of the kind that the model reads."""
    return next((DRAWN[one] for one in spec.modalities if one in DRAWN), DRAWN["CR"])()


def _hold_to_its_record(model: LoadedModel) -> None:
    data = contents(model.spec.bundle).get(FILE)
    if data is None:
        return
    # Imported here: a bundle without a record, as those of the zoo, does not pay for it.
    from models.change_plan import GoldenGate  # noqa: PLC0415
    from models.evaluation.measuring import golden_answers, golden_images  # noqa: PLC0415

    try:
        record = json.loads(data)
        said = np.array(record["probabilities"], np.float64)[:IMAGES]
        gate = GoldenGate(images=len(said), seed=record["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("the bundle's record of golden answers cannot be read") from error
    found = golden_answers(model, golden_images(model, gate))
    if found.shape != said.shape or float(np.abs(found - said).max()) > TOLERANCE:
        raise IntegrityError("the bundle's answer to the golden images is not the one that it recorded")
