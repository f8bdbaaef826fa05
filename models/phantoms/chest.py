"""Chest radiographs: frontal, postero-anterior, with or without an opacity in one lung."""

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.header import Grey, Subject, data_set, put_pixels
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, clouds, grain

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
BITS = 12
RIBS = 9


def chest(seed: int, opacity: bool, rows: int = 512) -> Dataset:  # noqa: FBT001 - the label of the image
    """One PA chest radiograph (Computed Radiography Image Storage) of `rows` x `rows`, 12 bits.

    With `opacity` one lung carries a soft, cloudy consolidation. The same seed gives the same bytes.
    """
    subject = Subject(kind="chest", seed=seed, description="XR CHEST PA PHANTOM")
    ds = data_set(subject, CR_IMAGE, "CR", 1)
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = "PA"
    ds.KVP = "120"
    ds.PlateID = "PHANTOM"
    ds.PatientOrientation = ["L", "F"]
    ds.ImagerPixelSpacing = [f"{0.35 * 1024 / rows:.4f}"] * 2
    ds.LossyImageCompression = "00"
    put_pixels(ds, chest_pixels(seed, opacity, rows), BITS)
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    return ds


def chest_pixels(seed: int, opacity: bool, rows: int) -> Grey:  # noqa: FBT001 - the label of the image
    """The picture alone: (rows, rows) uint16, 0..4095."""
    rng = np.random.default_rng([seed, int(opacity), 1])
    canvas = Canvas.of(rows, rows)
    lungs = _lungs(rng)
    image = _body(rng, canvas)
    image -= _air(rng, canvas, lungs)
    image += _bones(rng, canvas) + _heart(rng, canvas)
    if opacity:
        image += _opacity(rng, canvas, lungs)
    image += 0.012 * grain(rng, canvas.shape)
    return np.round(np.clip(image, 0, 1) * ((1 << BITS) - 1)).astype(np.uint16)


def _lungs(rng: np.random.Generator) -> tuple[Ellipse, Ellipse]:
    """Right and left lung of the patient; the patient's right is on the picture's left."""
    top, wide = rng.uniform(0.43, 0.47), rng.uniform(0.125, 0.15)
    right = Ellipse(0.315, top, wide, rng.uniform(0.29, 0.33), 0.10)
    return right, Ellipse(0.685, top + 0.01, wide * 0.95, rng.uniform(0.29, 0.33), -0.10)


def _body(rng: np.random.Generator, canvas: Canvas) -> Floats:
    trunk = Ellipse(0.5, 0.75, rng.uniform(0.45, 0.5), 0.68).mask(canvas, 0.12)
    neck = Ellipse(0.5, 0.05, 0.11, 0.25).mask(canvas, 0.2)
    base = np.maximum(0.72 * trunk, 0.62 * neck)
    belly = np.clip((canvas.y - 0.70) / 0.18, 0, 1) * trunk
    return as_floats(base + 0.10 * belly + 0.02 * clouds(rng, canvas.shape, 6))


def _air(rng: np.random.Generator, canvas: Canvas, lungs: tuple[Ellipse, Ellipse]) -> Floats:
    level = rng.uniform(0.42, 0.5)
    dome = np.clip((0.74 + 0.4 * (np.abs(canvas.x - 0.5) - 0.2) ** 2 - canvas.y) / 0.03, 0, 1)
    vessels = 0.10 * np.abs(clouds(rng, canvas.shape, 28)) + 0.05 * clouds(rng, canvas.shape, 12)
    hilum = sum(0.16 * Ellipse(x, 0.46, 0.05, 0.07).glow(canvas) for x in (0.41, 0.59))
    shade = sum((lung.mask(canvas, 0.10) for lung in lungs), np.float32(0))
    trachea = 0.10 * Ellipse(0.5, 0.17, 0.022, 0.16).mask(canvas, 0.3)
    return as_floats(shade * dome * (level - vessels - hilum) + trachea)


def _bones(rng: np.random.Generator, canvas: Canvas) -> Floats:
    spine = 0.09 * Ellipse(0.5, 0.5, 0.035, 0.75).mask(canvas, 0.3) * (1 + 0.25 * np.sin(canvas.y * 90))
    bow = 0.55 * (np.abs(canvas.x - 0.5) - 0.17) ** 2 * 6
    ribs = np.zeros(canvas.shape, np.float32)
    for number in range(RIBS):
        height = 0.14 + 0.075 * number + rng.uniform(-0.004, 0.004)
        ribs += np.exp(-(((canvas.y - height - bow) / 0.011) ** 2))
    cage = Ellipse(0.5, 0.48, 0.37, 0.42).mask(canvas, 0.12) - Ellipse(0.5, 0.48, 0.08, 0.5).mask(canvas, 0.3)
    collar = np.exp(-(((canvas.y - 0.155 + 0.16 * np.abs(canvas.x - 0.5)) / 0.014) ** 2))
    collar = collar * Ellipse(0.5, 0.13, 0.33, 0.2).mask(canvas, 0.1)
    return as_floats(spine + 0.06 * ribs * np.clip(cage, 0, 1) + 0.09 * collar)


def _heart(rng: np.random.Generator, canvas: Canvas) -> Floats:
    wide = rng.uniform(0.12, 0.145)
    heart = Ellipse(0.555, 0.62, wide, 0.13, 0.45).mask(canvas, 0.10)
    middle = Ellipse(0.5, 0.42, 0.065, 0.3).mask(canvas, 0.35)
    return as_floats(0.30 * np.maximum(heart, middle))


def _opacity(rng: np.random.Generator, canvas: Canvas, lungs: tuple[Ellipse, Ellipse]) -> Floats:
    lung = lungs[int(rng.integers(2))]
    size = rng.uniform(0.075, 0.11)
    place = Ellipse(lung.cx + rng.uniform(-0.02, 0.02), lung.cy + rng.uniform(0.0, 0.14), size, size * 1.15)
    cloudy = place.glow(canvas) * (1.0 + 0.45 * clouds(rng, canvas.shape, 18))
    inside = lung.mask(canvas, 0.12)
    return as_floats(rng.uniform(0.30, 0.38) * cloudy * inside)
