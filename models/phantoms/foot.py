"""A study that no model of ours may read: CT slices of a foot."""

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.header import Grey, Subject, data_set, put_pixels
from models.phantoms.shapes import Canvas, Ellipse, grain

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
BITS = 12


def unreadable_study(seed: int, count: int = 2, rows: int = 256) -> list[Dataset]:
    """`count` axial CT slices of a foot (CT Image Storage). The same seed gives the same bytes."""
    subject = Subject(kind="foot", seed=seed, description="CT FOOT PHANTOM")
    return [_slice(subject, number, rows) for number in range(1, count + 1)]


def _slice(subject: Subject, number: int, rows: int) -> Dataset:
    ds = data_set(subject, CT_IMAGE, "CT", number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.BodyPartExamined = "FOOT"
    ds.PatientPosition = "FFS"
    ds.Laterality = "L"
    ds.KVP = "120"
    ds.AcquisitionNumber = 1
    ds.FrameOfReferenceUID = subject.uid("frame")
    ds.PositionReferenceIndicator = ""
    ds.PixelSpacing = [f"{180.0 / rows:.4f}"] * 2
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.ImagePositionPatient = ["-90", "-90", f"{2.0 * (number - 1):.1f}"]
    ds.SliceThickness = "2.0"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    put_pixels(ds, _pixels(subject.seed, number, rows), BITS)
    ds.WindowCenter, ds.WindowWidth = "300", "1500"
    return ds


def _pixels(seed: int, number: int, rows: int) -> Grey:
    """(rows, rows) stored values: soft tissue with five bones in air, Hounsfield units + 1024."""
    rng = np.random.default_rng([seed, number, 4])
    canvas = Canvas.of(rows, rows)
    units = -1000 + 1040 * Ellipse(0.5, 0.5, 0.42, 0.24).mask(canvas, 0.04)
    for ray in range(5):
        centre = 0.24 + 0.13 * ray + rng.uniform(-0.01, 0.01)
        units += 700 * Ellipse(centre, 0.47, 0.045, 0.06).mask(canvas, 0.1)
    stored: Grey = np.clip(units + 12 * grain(rng, canvas.shape) + 1024, 0, 4095).astype(np.uint16)
    return stored
