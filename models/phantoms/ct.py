"""What every CT phantom has in common: the CT Image module (PS3.3 C.8.2.1) around Hounsfield units."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.header import Subject, data_set, put_pixels
from models.phantoms.shapes import Floats

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
BITS = 12
OFFSET = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """How a part of the body is scanned: `field` and `thickness` in mm, `window` (centre, width) in HU."""

    body_part: str
    position: str
    field: float
    thickness: float
    window: tuple[int, int]


def ct_slice(subject: Subject, number: int, units: Floats, scan: Scan) -> Dataset:
    """One axial slice of a series: `units` (rows, rows) in HU, -1024..3071; `number` counts from 1."""
    ds = data_set(subject, CT_IMAGE, "CT", number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.BodyPartExamined = scan.body_part
    ds.PatientPosition = scan.position
    ds.KVP = "120"
    ds.AcquisitionNumber = 1
    ds.FrameOfReferenceUID = subject.uid("frame")
    ds.PositionReferenceIndicator = ""
    ds.PixelSpacing = [f"{scan.field / units.shape[0]:.4f}"] * 2
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    corner = f"{-scan.field / 2:g}"
    ds.ImagePositionPatient = [corner, corner, f"{scan.thickness * (number - 1):.1f}"]
    ds.SliceThickness = f"{scan.thickness:.1f}"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = f"{-OFFSET}", "1", "HU"
    put_pixels(ds, np.clip(units + OFFSET, 0, (1 << BITS) - 1).astype(np.uint16), BITS)
    ds.WindowCenter, ds.WindowWidth = map(str, scan.window)
    return ds
