"""How each model of the zoo is trained, and what its card says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from models.phantoms.brain import brain_pixels
from models.phantoms.chest import chest_pixels
from models.phantoms.head_ct import head_ct_units
from models.preparation import Window
from models.spec import Applicability, TargetSpec
from radloop.domain.enums import Urgency
from radloop.domain.records import Code

Phantom = Callable[[int, bool], npt.NDArray[np.generic]]
"""The pixels of one synthetic image by seed and label, bright = dense; in HU where the recipe has a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How far an augmentation may go: degrees, and shares of 1."""

    rotate: float
    scale: float
    shear: float
    shift: float
    grey: float
    cut: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a convolutional member is trained (AdamW, one cosine cycle, an average of its weights at the end)."""

    epochs: int
    batch: int = 16
    rate: float = 2e-3
    decay: float = 0.05
    warm_up: float = 0.1
    smoothing: float = 0.05
    mixup: float = 0.2
    average: float = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out, apart from the data."""

    name: str
    version: str
    title: str
    positive: str
    near_duplicates: bool
    """Whether images carry no patient identity, so that alike ones are grouped before splitting."""
    target: TargetSpec
    applicability: Applicability
    input_size: int
    window: Window | None = None
    """In Hounsfield units, for a model that reads CT; None: grey levels by percentiles."""
    grey: str
    """How the convolutional members see grey levels: a name of `models.networks.INPUTS`."""
    members: int
    """Convolutional members beside the one that reads oriented gradients."""
    share: float
    """The weight of the convolutional members together, 0..1; the rest is the linear member's."""
    strength: Strength
    schedule: Schedule
    retrain: Schedule
    """From a parent's weights: short and slow, so that what is new is learned without forgetting the rest."""
    phantom: Phantom
    phantoms: int
    """Synthetic images of each label that join every training set; never evaluated on."""
    folds: int = 5
    seed: int = 20260101
    width: int = 16
    inverse_penalty: float = 5.0


CHEST = Recipe(
    name="cxr_pneumonia",
    version="1.0.0",
    title="Pneumonia on frontal chest radiographs",
    positive="pneumonia",
    near_duplicates=False,
    target=TargetSpec(
        name="pneumonia",
        code=Code("233604007", "SCT", "Pneumonia"),
        threshold=0.5,
        escalate_at=0.85,
        escalates_to=Urgency.URGENT,
        location=Code("39607008", "SCT", "Lung"),
        paired=True,
    ),
    applicability=Applicability(
        modalities=("CR", "DX"),
        body_parts=("CHEST", "THORAX", "LUNG"),
        views=("PA", "AP"),
        photometric=("MONOCHROME1", "MONOCHROME2"),
        min_rows=256,
        min_columns=256,
    ),
    input_size=96,
    grey="centred",
    members=3,
    share=0.15,
    strength=Strength(rotate=12, scale=0.18, shear=0.08, shift=0.12, grey=0.2, cut=0.5),
    schedule=Schedule(epochs=30),
    retrain=Schedule(epochs=8, rate=5e-4),
    phantom=partial(chest_pixels, rows=256),
    phantoms=20,
)

BRAIN = Recipe(
    name="brain_mr_tumour",
    version="1.0.0",
    title="Tumour on axial brain MR slices",
    positive="tumour",
    near_duplicates=True,
    target=TargetSpec(
        name="tumour",
        code=Code("126952004", "SCT", "Neoplasm of brain"),
        threshold=0.5,
        escalate_at=0.85,
        escalates_to=Urgency.URGENT,
        location=Code("12738006", "SCT", "Brain"),
        paired=False,
    ),
    applicability=Applicability(
        modalities=("MR",),
        body_parts=("BRAIN", "HEAD"),
        views=(),
        photometric=("MONOCHROME1", "MONOCHROME2"),
        min_rows=96,
        min_columns=96,
        plane="AXIAL",
    ),
    input_size=96,
    grey="standardised",
    members=3,
    share=0.6,
    strength=Strength(rotate=20, scale=0.18, shear=0.08, shift=0.12, grey=1.0, cut=0.5),
    schedule=Schedule(epochs=60),
    retrain=Schedule(epochs=12, rate=5e-4),
    phantom=partial(brain_pixels, number=1, rows=256),
    phantoms=6,
)

HEAD_CT = Recipe(
    name="head_ct_haemorrhage",
    version="1.0.0",
    title="Haemorrhage on axial head CT slices (phantoms alone)",
    positive="haemorrhage",
    near_duplicates=False,
    target=TargetSpec(
        name="haemorrhage",
        code=Code("1386000", "SCT", "Intracranial hemorrhage"),
        threshold=0.5,
        escalate_at=0.85,
        escalates_to=Urgency.URGENT,
        location=Code("12738006", "SCT", "Brain"),
        paired=False,
    ),
    applicability=Applicability(
        modalities=("CT",),
        body_parts=("HEAD", "BRAIN", "SKULL"),
        views=(),
        photometric=("MONOCHROME2",),
        min_rows=128,
        min_columns=128,
        plane="AXIAL",
    ),
    input_size=96,
    window=(40.0, 80.0),
    grey="centred",
    members=2,
    share=0.5,
    strength=Strength(rotate=12, scale=0.12, shear=0.05, shift=0.08, grey=0.1, cut=0.3),
    schedule=Schedule(epochs=40),
    retrain=Schedule(epochs=12, rate=5e-4),
    phantom=partial(head_ct_units, number=1, rows=256),
    phantoms=20,
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (CHEST, BRAIN, HEAD_CT)}
