"""Chest radiographs from the side: spine behind, heart and breastbone in front, both lungs over each other."""

import numpy as np

from models.phantoms.chest import BITS
from models.phantoms.header import Grey
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, clouds, grain

RIBS = 8


def lateral_pixels(seed: int, rows: int) -> Grey:
    """The picture alone: (rows, rows) uint16, 0..4095. The same seed gives the same picture."""
    rng = np.random.default_rng([seed, 7])
    canvas = Canvas.of(rows, rows)
    image = _body(rng, canvas) - _air(rng, canvas) + _bones(rng, canvas) + _heart(rng, canvas)
    image = image + 0.012 * grain(rng, canvas.shape)
    found: Grey = np.round(np.clip(image, 0, 1) * ((1 << BITS) - 1)).astype(np.uint16)
    return found


def _body(rng: np.random.Generator, canvas: Canvas) -> Floats:
    trunk = Ellipse(0.5, 0.62, rng.uniform(0.33, 0.38), 0.62, 0.05).mask(canvas, 0.12)
    belly = np.clip((canvas.y - 0.72) / 0.15, 0, 1) * trunk
    return as_floats(0.70 * trunk + 0.14 * belly + 0.02 * clouds(rng, canvas.shape, 6))


def _air(rng: np.random.Generator, canvas: Canvas) -> Floats:
    lungs = Ellipse(0.52, rng.uniform(0.42, 0.46), rng.uniform(0.20, 0.24), rng.uniform(0.30, 0.34), 0.12)
    dome = np.clip((0.76 - 0.35 * (canvas.x - 0.35) - canvas.y) / 0.04, 0, 1)
    vessels = 0.08 * np.abs(clouds(rng, canvas.shape, 24))
    return as_floats(lungs.mask(canvas, 0.12) * dome * (rng.uniform(0.42, 0.5) - vessels))


def _bones(rng: np.random.Generator, canvas: Canvas) -> Floats:
    spine = 0.20 * Ellipse(0.73, 0.5, 0.05, 0.7, 0.06).mask(canvas, 0.3) * (1 + 0.3 * np.sin(canvas.y * 80))
    breastbone = 0.12 * Ellipse(0.27, 0.38, 0.018, 0.2, -0.2).mask(canvas, 0.3)
    ribs = np.zeros(canvas.shape, np.float32)
    for number in range(RIBS):
        height = 0.16 + 0.08 * number + rng.uniform(-0.005, 0.005)
        ribs += np.exp(-(((canvas.y - height - 0.25 * (0.7 - canvas.x)) / 0.012) ** 2))
    cage = Ellipse(0.5, 0.45, 0.26, 0.38).mask(canvas, 0.12)
    return as_floats(spine + breastbone + 0.05 * ribs * cage)


def _heart(rng: np.random.Generator, canvas: Canvas) -> Floats:
    heart = Ellipse(0.41, 0.60, rng.uniform(0.11, 0.13), 0.13, 0.5).mask(canvas, 0.12)
    return as_floats(0.28 * heart)
