"""A picture of an image (PNG, JPEG) as the DICOM image that a model can read: greyscale, of a made-up patient.

It was made without the header of its scanner: what a model says of it is a trial, and its report says so.
"""

import warnings
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from radloop.domain.errors import TooLarge, Undecodable
from radloop.domain.ids import derive_uid, new_id

FORMATS: Final = ("PNG", "JPEG")
BEGINNINGS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
MOST_PIXELS: Final = 64 * 1024 * 1024
UID_ROOT: Final = "2.25"
# PS3.4 B.5: the classes of the modalities that a picture can be said to be of.
SOP_CLASSES: Final = {
    "CR": UID("1.2.840.10008.5.1.4.1.1.1"),
    "MR": UID("1.2.840.10008.5.1.4.1.1.4"),
    "CT": UID("1.2.840.10008.5.1.4.1.1.2"),
}
IMPLEMENTATION: Final = UID("2.25.98201177230173812361")


def is_picture(data: bytes) -> bool:
    """Whether it begins like a PNG or a JPEG."""
    return data.startswith(BEGINNINGS)


def wrapped(data: bytes, modality: str, body_part: str) -> bytes:
    """The Part 10 file (PS3.10) of a picture, 8 bits, MONOCHROME2.

    Raises:
        Undecodable: no PNG or JPEG, or a broken one.
        TooLarge: more pixels than are taken.
    """
    image = _grey(data)
    ds = _dataset(image, modality, body_part)
    with BytesIO() as buffer:
        ds.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()


def _grey(data: bytes) -> Image.Image:
    try:
        # A picture of more pixels than Pillow likes is only warned about: it is refused here, by its header.
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(BytesIO(data), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise TooLarge(f"the picture has more than {MOST_PIXELS} pixels")
            return image.convert("L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Undecodable("the picture cannot be read") from None


def _dataset(image: Image.Image, modality: str, body_part: str) -> Dataset:
    made = new_id("up")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SOP_CLASSES[modality]
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(derive_uid(UID_ROOT, made, "instance"))
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION
    ds.StudyInstanceUID = derive_uid(UID_ROOT, made, "study")
    ds.SeriesInstanceUID = derive_uid(UID_ROOT, made, "series")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.Modality, ds.BodyPartExamined = modality, body_part
    ds.PatientID = ds.PatientName = made
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ""
    ds.ReferringPhysicianName = ""
    # Derived, since grey levels and depth were changed; primary, since it shows the patient as examined (PS3.3
    # C.7.6.1.1.2): as a secondary capture no model would look at it.
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ConversionType = "WSD"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = image.height, image.width
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    pixels = image.tobytes()
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return ds
