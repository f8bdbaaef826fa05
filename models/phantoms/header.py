"""The modules that every phantom has, whatever its modality (PS3.3 A.2, A.3, A.4)."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from radloop.domain.ids import derive_uid

ROOT = "2.25.8037215901166293"
"""Under 2.25, which everyone may use (PS3.5 B.2); phantoms belong to no site."""
FIRST_DAY = dt.date(2026, 1, 5)
Grey = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What tells one phantom study from another. `kind` and `seed` make all of its identifiers."""

    kind: str
    seed: int
    description: str

    def uid(self, *parts: str) -> UID:
        """A UID of this study, the same for the same seed."""
        return UID(derive_uid(ROOT, self.kind, str(self.seed), *parts))


def data_set(subject: Subject, sop_class: str, modality: str, number: int) -> Dataset:
    """A data set with patient, study, series, equipment and SOP common modules, ready to be saved.

    `number` is the Instance Number, from 1.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.file_meta.MediaStorageSOPInstanceUID = subject.uid("instance", str(number))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = subject.uid("instance", str(number))
    ds.Modality = modality
    ds.InstanceNumber = number
    _patient(ds, subject)
    _study(ds, subject)
    _equipment(ds)
    return ds


def put_pixels(ds: Dataset, pixels: Grey, bits: int) -> None:
    """Add the Image Pixel module (PS3.3 C.7.6.3): `pixels` (H, W) or (F, H, W), unsigned, `bits` stored of 16."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated = 16
    ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = 0
    ds.BurnedInAnnotation = "NO"
    ds.PixelData = pixels.astype("<u2").tobytes()


def _patient(ds: Dataset, subject: Subject) -> None:
    ds.PatientName = f"Phantom^{subject.kind.title()}^{subject.seed:04d}"
    ds.PatientID = f"PHANTOM-{subject.kind.upper()}-{subject.seed:04d}"
    ds.IssuerOfPatientID = "RADLOOP-PHANTOMS"
    ds.PatientBirthDate = f"{1940 + subject.seed % 60:04d}0101"
    ds.PatientSex = "FM"[subject.seed % 2]


def _study(ds: Dataset, subject: Subject) -> None:
    day = FIRST_DAY + dt.timedelta(days=subject.seed % 300)
    clock = f"{8 + subject.seed % 10:02d}{subject.seed % 60:02d}00"
    ds.StudyInstanceUID = subject.uid("study")
    ds.SeriesInstanceUID = subject.uid("series")
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", day.strftime("%Y%m%d"))
        setattr(ds, f"{kind}Time", clock)
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.StudyID = "1"
    ds.SeriesNumber = 1
    ds.AccessionNumber = f"PH{subject.kind[:2].upper()}{subject.seed:08d}"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = subject.description
    ds.SeriesDescription = subject.description


def _equipment(ds: Dataset) -> None:
    ds.Manufacturer = "radloop phantoms"
    ds.ManufacturerModelName = "Phantom"
    ds.DeviceSerialNumber = "1"
    ds.SoftwareVersions = "1"
    ds.StationName = "PHANTOM"
    ds.InstitutionName = "Phantom Hospital"
