"""Head CT without contrast agent: axial slices, with or without fresh blood."""

from functools import reduce

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.ct import Scan, ct_slice
from models.phantoms.header import Subject
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, clouds, grain

SCAN = Scan(body_part="HEAD", position="HFS", field=230.0, thickness=5.0, window=(40, 80))
# Hounsfield units of what a head is made of; fresh blood has 50 to 75 (Broder, Diagnostic Imaging for the Emergency
# Physician, chapter 1), the tentorium and the falx about 50, calcium above 100.
AIR, SKIN, BONE, FLUID, GREY, WHITE = -1000, 20, 1000, 8, 37, 29


def head_ct(seed: int, bleed: bool, count: int = 1, rows: int = 256) -> list[Dataset]:  # noqa: FBT001
    """`count` neighbouring axial slices of one series (CT Image Storage), `rows` x `rows`, 12 bits.

    With `bleed` every slice cuts the same haemorrhage. The same seed gives the same bytes.
    """
    subject = Subject(kind="headct", seed=seed, description="CT HEAD PHANTOM")
    return [ct_slice(subject, n, head_ct_units(seed, bleed, n, rows), SCAN) for n in range(1, count + 1)]


def head_ct_units(seed: int, bleed: bool, number: int, rows: int) -> Floats:  # noqa: FBT001 - the label of the image
    """One slice alone: (rows, rows) float32 in HU. `number` counts the slices of one head from 1."""
    anatomy, noise = np.random.default_rng([seed, 5]), np.random.default_rng([seed, number, 6])
    canvas = Canvas.of(rows, rows)
    head = Ellipse(0.5, 0.5, anatomy.uniform(0.34, 0.38), anatomy.uniform(0.42, 0.46), anatomy.uniform(-0.12, 0.12))
    brain = _within(head, anatomy.uniform(0.82, 0.86)).mask(canvas, 0.012)
    units = _skull(canvas, head) + brain * (_tissue(anatomy, canvas, head) - FLUID)
    units = units + _calcium(anatomy, canvas, head)
    # Drawn whether or not it is shown: the anatomy around it is the same with and without.
    blood = _blood(anatomy, canvas, head)
    if bleed:
        units = units + blood * brain
    # Bone hardens the beam: the middle of a head comes out a little too dark or too bright.
    shade = anatomy.uniform(-4, 4) * _within(head, 0.6).glow(canvas)
    return as_floats(units + brain * shade + anatomy.uniform(2.5, 5.0) * grain(noise, canvas.shape))


def _within(head: Ellipse, share: float) -> Ellipse:
    return Ellipse(head.cx, head.cy, head.rx * share, head.ry * share, head.tilt)


def _skull(canvas: Canvas, head: Ellipse) -> Floats:
    """Everything but the brain: air, skin, bone, and the fluid between bone and brain."""
    rims = ((1.0, AIR, SKIN), (0.95, SKIN, BONE), (0.88, BONE, FLUID))
    return reduce(
        lambda units, rim: as_floats(units + (rim[2] - rim[1]) * _within(head, rim[0]).mask(canvas, 0.012)),
        rims,
        np.full(canvas.shape, AIR, np.float32),
    )


def _tissue(rng: np.random.Generator, canvas: Canvas, head: Ellipse) -> Floats:
    """The brain: grey and white matter, sulci, ventricles; more fluid in some than in others, as with age."""
    white = _within(head, 0.66).mask(canvas, 0.16)
    folds = np.clip(np.abs(clouds(rng, canvas.shape, 26)) * 1.6, 0, 1)
    shrunk = rng.uniform(0.3, 1.0)
    tissue = GREY + (WHITE - GREY) * white - shrunk * (GREY - FLUID) * 0.5 * (1 - white) * (1 - folds)
    size = 0.8 + 0.5 * shrunk
    horns = (
        Ellipse(0.5 + side * 0.045, 0.47 + dy, 0.022 * size, 0.11 * size, side * turn)
        for side in (-1, 1)
        for dy, turn in ((-0.05, -0.25), (0.09, 0.3))
    )
    fluid = reduce(np.maximum, (horn.mask(canvas, 0.12) for horn in horns))
    falx = rng.uniform(6, 18) * np.exp(-(((canvas.x - 0.5) / 0.005) ** 2)) * (np.abs(canvas.y - 0.5) > 0.2)
    return as_floats(tissue + (FLUID - tissue) * fluid + falx + 1.5 * clouds(rng, canvas.shape, 9))


def _calcium(rng: np.random.Generator, canvas: Canvas, head: Ellipse) -> Floats:
    """What is bright and no blood: calcium of the pineal gland and the choroid plexus, in many heads but not in all."""
    found = np.zeros(canvas.shape, np.float32)
    for x, y in ((0.0, 0.06), (-0.075, 0.12), (0.075, 0.12)):
        size, dense = rng.uniform(0.006, 0.014), rng.uniform(40, 160)
        if rng.random() < 0.6:
            found = found + dense * Ellipse(head.cx + x, head.cy + y, size, size).mask(canvas, 0.4)
    return as_floats(found)


def _blood(rng: np.random.Generator, canvas: Canvas, head: Ellipse) -> Floats:
    """What a haemorrhage adds, in HU: within the brain with an oedema around it, or a crescent below the bone."""
    side = -1 if rng.integers(2) else 1
    dense = rng.uniform(9, 32)
    size, across, along = rng.uniform(0.022, 0.065), rng.uniform(0.10, 0.20), rng.uniform(-0.16, 0.16)
    thick = rng.uniform(0.025, 0.07)
    if rng.random() < 0.3:
        outer, inner = _within(head, 0.87), _within(head, 0.87)
        inner = Ellipse(inner.cx - side * thick, inner.cy, inner.rx, inner.ry, inner.tilt)
        half = np.clip((side * (canvas.x - head.cx) - 0.12) * 20, 0, 1)
        return as_floats(dense * np.clip(outer.mask(canvas, 0.02) - inner.mask(canvas, 0.02), 0, 1) * half)
    place = Ellipse(head.cx + side * across, head.cy + along, size, size * rng.uniform(0.7, 1.4), rng.uniform(0, 3))
    core = place.mask(canvas, 0.25)
    oedema = Ellipse(place.cx, place.cy, place.rx * 1.7, place.ry * 1.7, place.tilt).mask(canvas, 0.3)
    return as_floats(dense * core * (1 + 0.2 * clouds(rng, canvas.shape, 30)) - 8 * (oedema - core).clip(0, 1))
