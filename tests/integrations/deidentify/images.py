"""Images to de-identify: small, valid, full of what must not go out."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from integrations.deidentify import Pseudonyms
from integrations.deidentify.table import TECHNICAL, outside

KEYS = Pseudonyms.of_project(b"k" * 32, "pilot")
NAME, PATIENT_ID = "Quaxweiler^Zofredina^Maria", "ZK-4471902"
TEXT_VRS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
LONGEST = 16


def image(pixels: NDArray[np.uint16] | None = None) -> Dataset:
    """A CT slice of one patient, with the usual identifiers."""
    pixels = hills(32, 32) if pixels is None else pixels
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.826.0.1.3680043.8.498.77.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.77.1", "1.2.826.0.1.3680043.8.498.77.2"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = NAME, PATIENT_ID, "19310203", "F"
    ds.PatientAge, ds.AccessionNumber, ds.StudyID = "093Y", "ACC-881726", "S77"
    ds.StudyDate, ds.SeriesDate, ds.StudyTime = "20240229", "20240302", "101112.5"
    ds.AcquisitionDateTime = "20240302101500.25+0100"
    ds.ReferringPhysicianName, ds.InstitutionName = "Brontowski^Egon", "Klinikum Hinterzarten"
    ds.StudyDescription, ds.Modality, ds.BodyPartExamined = "CT Thorax Quaxweiler", "CT", "CHEST"
    ds.Manufacturer, ds.ImageType = "SIEMENS", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber, ds.SeriesNumber = "4", "2"
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelData = pixels.tobytes()
    return ds


def hills(rows: int, columns: int) -> NDArray[np.uint16]:
    """Soft, like anatomy: no lettering."""
    y, x = np.mgrid[0:rows, 0:columns]
    return (1500 + 900 * np.sin(x / 17.0) * np.cos(y / 23.0)).astype(np.uint16)


def lettered(text: str, size: int = 20) -> NDArray[np.uint16]:
    """As `hills`, with a line of white text near the top."""
    picture = hills(256, 384)
    drawn = Image.new("L", (384, 256))
    ImageDraw.Draw(drawn).text((12, 8), text, fill=255, font=ImageFont.load_default(size))
    return np.where(np.asarray(drawn) > 127, 4095, picture).astype(np.uint16)


def in_bytes(ds: Dataset) -> bytes:
    """A Part 10 file, as pydicom writes it."""
    out = BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def text_keywords() -> list[tuple[str, str]]:
    """Every attribute of PS3.6 that holds text, with its VR; the sequences are `sequence_keywords`."""
    return [(keyword, vr) for keyword, vr in _keywords() if vr in TEXT_VRS]


def sequence_keywords() -> list[str]:
    """Every sequence of PS3.6."""
    return [keyword for keyword, vr in _keywords() if vr == "SQ"]


def plant(ds: Dataset, keyword: str, vr: str, token: str) -> None:
    """Put a token into an attribute. Free text of the technical list is met only by what identifies elsewhere."""
    if pydicom.datadict.tag_for_keyword(keyword) in TECHNICAL:
        token = PATIENT_ID
    setattr(ds, keyword, f"http://{token}.example" if vr == "UR" else token.upper() if vr in ("AE", "CS") else token)


def nested(ds: Dataset, depth: int) -> Dataset:
    """A data set that holds `ds` so many sequences deep, in sequences that are entered and not removed."""
    for _ in range(depth):
        outer = Dataset()
        outer.SourceImageSequence = Sequence([ds])
        ds = outer
    return ds


def _keywords() -> Iterator[tuple[str, str]]:
    for tag, entry in DicomDictionary.items():
        keyword = keyword_for_tag(tag)
        if keyword and not outside(pydicom.tag.Tag(tag)) and keyword != "SpecificCharacterSet":
            yield keyword, entry[0]
