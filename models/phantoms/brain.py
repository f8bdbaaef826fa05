"""Brain MR: axial T2-weighted slices, with or without a bright lesion."""

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.header import Grey, Subject, data_set, put_pixels
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, clouds, grain

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
BITS = 12
THICKNESS = 5.0


def brain_slices(seed: int, lesion: bool, count: int = 1, rows: int = 256) -> list[Dataset]:  # noqa: FBT001
    """`count` neighbouring axial slices of one series (MR Image Storage), `rows` x `rows`, 12 bits.

    With `lesion` every slice cuts the same bright, ringed lesion. The same seed gives the same bytes.
    """
    subject = Subject(kind="brain", seed=seed, description="MR BRAIN AX T2 PHANTOM")
    return [_slice(subject, number, brain_pixels(seed, lesion, number, rows)) for number in range(1, count + 1)]


def brain_pixels(seed: int, lesion: bool, number: int, rows: int) -> Grey:  # noqa: FBT001 - the label of the image
    """One picture alone: (rows, rows) uint16, 0..4095. `number` counts the slices of one head from 1."""
    anatomy, noise = np.random.default_rng([seed, 2]), np.random.default_rng([seed, number, 3])
    canvas = Canvas.of(rows, rows)
    head = Ellipse(0.5, 0.5, anatomy.uniform(0.34, 0.38), anatomy.uniform(0.42, 0.46))
    image = _head(anatomy, canvas, head) + _ventricles(anatomy, canvas, 1.0 - 0.06 * (number - 1))
    if lesion:
        image = _lesion(anatomy, canvas, image)
    image = image + 0.015 * np.abs(grain(noise, canvas.shape))
    return np.round(np.clip(image, 0, 1) * ((1 << BITS) - 1) * 0.6).astype(np.uint16)


def _slice(subject: Subject, number: int, pixels: Grey) -> Dataset:
    ds = data_set(subject, MR_IMAGE, "MR", number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.BodyPartExamined = "BRAIN"
    ds.PatientPosition = "HFS"
    _sequence(ds)
    spacing = 230.0 / pixels.shape[0]
    ds.FrameOfReferenceUID = subject.uid("frame")
    ds.PositionReferenceIndicator = ""
    ds.PixelSpacing = [f"{spacing:.4f}"] * 2
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.ImagePositionPatient = ["-115", "-115", f"{THICKNESS * (number - 1):.1f}"]
    ds.SliceThickness = f"{THICKNESS:.1f}"
    put_pixels(ds, pixels, BITS)
    ds.WindowCenter, ds.WindowWidth = "1200", "2400"
    return ds


def _sequence(ds: Dataset) -> None:
    """The MR Image module's type 1 and 2 attributes (PS3.3 C.8.3.1) of a turbo spin echo."""
    ds.ScanningSequence = "SE"
    ds.SequenceVariant = "SK"
    ds.ScanOptions = ""
    ds.MRAcquisitionType = "2D"
    ds.RepetitionTime = "4000"
    ds.EchoTime = "90"
    ds.EchoTrainLength = "9"
    ds.MagneticFieldStrength = "1.5"


def _head(rng: np.random.Generator, canvas: Canvas, head: Ellipse) -> Floats:
    skin = head.mask(canvas, 0.012)
    skull = Ellipse(head.cx, head.cy, head.rx * 0.94, head.ry * 0.95).mask(canvas, 0.012)
    fluid = Ellipse(head.cx, head.cy, head.rx * 0.86, head.ry * 0.875).mask(canvas, 0.012)
    cortex = Ellipse(head.cx, head.cy, head.rx * 0.83, head.ry * 0.85).mask(canvas, 0.02)
    white = Ellipse(head.cx, head.cy, head.rx * 0.66, head.ry * 0.70).mask(canvas, 0.16)
    folds = np.clip(np.abs(clouds(rng, canvas.shape, 26)) * 1.6, 0, 1)
    tissue = 0.46 + 0.16 * (1 - white) * (1 - folds) - 0.10 * white + 0.025 * clouds(rng, canvas.shape, 9)
    midline = 0.10 * np.exp(-(((canvas.x - 0.5) / 0.006) ** 2)) * cortex * (1 - white * 0.6)
    brain = tissue * cortex + midline
    return as_floats(0.55 * (skin - skull) + 0.05 * (skull - fluid) + 0.70 * (fluid - cortex) + brain)


def _ventricles(rng: np.random.Generator, canvas: Canvas, size: float) -> Floats:
    tilt, long = rng.uniform(0.25, 0.35), rng.uniform(0.10, 0.13) * size
    horns = (
        Ellipse(0.5 + side * 0.045, 0.47 + dy, 0.022 * size, long, side * turn)
        for side in (-1, 1)
        for dy, turn in ((-0.05, tilt * -0.8), (0.09, tilt))
    )
    bright = np.zeros(canvas.shape, np.float32)
    for horn in horns:
        bright = np.maximum(bright, horn.mask(canvas, 0.12))
    return as_floats(0.45 * bright)


def _lesion(rng: np.random.Generator, canvas: Canvas, image: Floats) -> Floats:
    side = -1 if rng.integers(2) else 1
    size = rng.uniform(0.055, 0.085)
    place = Ellipse(0.5 + side * rng.uniform(0.14, 0.19), rng.uniform(0.36, 0.6), size, size * rng.uniform(0.85, 1.2))
    swelling = Ellipse(place.cx, place.cy, place.rx * 1.5, place.ry * 1.5).glow(canvas)
    core = Ellipse(place.cx, place.cy, place.rx * 0.55, place.ry * 0.55).mask(canvas, 0.2)
    rim = place.mask(canvas, 0.12)
    brighter = image + 0.28 * swelling * (image > 0.2) * (1 - rim)
    return as_floats(brighter * (1 - rim) + rim * (0.95 - 0.35 * core + 0.06 * clouds(rng, canvas.shape, 30)))
