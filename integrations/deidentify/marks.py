"""What an output says of itself: that it was de-identified, how, and by which options (PS3.15 E.1.1, PS3.3 C.7.1.1)."""

from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from integrations.deidentify.options import Options
from integrations.deidentify.table import EDITION
from radloop.domain.ids import derive_uid

METHOD: Final = f"radloop deidentify, PS3.15 {EDITION} Table E.1-1"
# PS3.16 CID 7050.
BASIC: Final = ("113100", "Basic Application Confidentiality Profile")
CLEAN_PIXELS: Final = ("113101", "Clean Pixel Data Option")
CLEAN_DESCRIPTORS: Final = ("113105", "Clean Descriptors Option")
MODIFIED_DATES: Final = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
CHARACTERISTICS: Final = ("113108", "Retain Patient Characteristics Option")
IMPLEMENTATION_UID: Final = derive_uid("2.25", "radloop", "deidentify")


def mark(ds: Dataset, options: Options, *, masked: bool, looked: bool) -> None:
    """Write the marks. BurnedInAnnotation says NO only where every frame was looked at."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = METHOD
    ds.LongitudinalTemporalInformationModified = "MODIFIED"
    done = [BASIC, MODIFIED_DATES, CHARACTERISTICS]
    done += [CLEAN_PIXELS] if masked else []
    done += [CLEAN_DESCRIPTORS] if options.keep_descriptors else []
    ds.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in sorted(done)])
    if looked:
        ds.BurnedInAnnotation = "NO"


def file_meta(ds: Dataset, transfer_syntax_uid: str) -> FileMetaDataset:
    """A new file meta (PS3.10 7.1): nothing of the input's but the transfer syntax."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "RADLOOP_DEID"
    return meta


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
