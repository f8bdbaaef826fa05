"""PS3.15 Table E.1-1 (edition 2026c, as dicom-anonymizer carries it), and what of its options we do.

The Basic Profile's column is taken from the library's table. Its own walk does not enter sequences and its UIDs are
random, so the walk and the actions are ours. An attribute that the table does not list and that could hold text is not
kept for that: `cleaning` lets through what is on a list, and nothing else.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag

EDITION: Final = "2026c"


class Action(StrEnum):
    """PS3.15 Table E.1-1a, the stricter one where the table leaves a choice by the type of the attribute."""

    REMOVE = "X"
    """It is gone."""
    EMPTY = "Z"
    """Zero length."""
    DUMMY = "D"
    """A value that says nothing."""
    UID = "U"
    """A UID of the project."""


_COLUMNS: Final = {
    "D_TAGS": Action.DUMMY,
    "Z_TAGS": Action.EMPTY,
    "X_TAGS": Action.REMOVE,
    "U_TAGS": Action.UID,
    "Z_D_TAGS": Action.DUMMY,
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.DUMMY,
    "X_Z_U_STAR_TAGS": Action.UID,
}
# Z and Z/D: PS3.15 E.3.7, Retain Patient Characteristics.
RETAINED_CHARACTERISTICS: Final = ("PatientSex", "PatientAge", "PatientSize", "PatientWeight")
# PS3.15 E.3.6 keeps intervals; a date of birth is no point in the course of an illness.
EMPTIED_TIMES: Final = ("PatientBirthDate", "PatientBirthTime")


def tags(*keywords: str) -> frozenset[int]:
    """The tags of PS3.6 keywords."""
    found = {keyword: tag_for_keyword(keyword) for keyword in keywords}
    if missing := [keyword for keyword, tag in found.items() if tag is None]:
        raise LookupError(f"no such keyword: {', '.join(missing)}")
    return frozenset(tag for tag in found.values() if tag is not None)


@lru_cache(maxsize=1)
def table() -> dict[int, Action]:
    """Every attribute of the table by its tag; the repeating groups and private elements are `outside`."""
    columns = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        row[0] << 16 | row[1]: action for column, action in _COLUMNS.items() for row in columns[column] if len(row) == 2
    }


def outside(tag: BaseTag) -> bool:
    """Whether a tag goes whatever it holds: private, curve, overlay, group length, command, file set, padding."""
    group = tag.group
    return bool(
        group % 2
        or tag.element == 0
        or group in (0x0000, 0x0002, 0x0004, 0xFFFC, 0xFFFE)
        or group & 0xFF00 in (0x5000, 0x6000)
    )


# Free text that tells how an image was made. It stays where it holds nothing that identifies (`needles`), and is
# listed for a person to read.
TECHNICAL: Final = tags(
    "AlgorithmName", "AlgorithmVersion", "AcquisitionMode", "ApplicationName", "ApplicationVersion",
    "AttenuationCorrectionMethod", "ConvolutionKernel", "DetectorManufacturerModelName", "DetectorManufacturerName",
    "FilterType", "FrameLabel", "ImagedNucleus", "Manufacturer", "ManufacturerModelName", "ModalityLUTType",
    "PhosphorType", "PlateType", "PulseSequenceName", "Radiopharmaceutical", "ReceiveCoilName", "ReconstructionMethod",
    "RescaleType", "ScatterCorrectionMethod", "SegmentAlgorithmName", "SegmentLabel", "SequenceName",
    "SoftwareVersions", "StackID", "TransmitCoilName", "TypeOfFilters",
)  # fmt: skip
# PS3.15 E.3.5, Clean Descriptors: kept on request, word by word (`vocabulary`).
DESCRIPTORS: Final = tags(
    "AcquisitionProtocolName", "ContrastBolusAgent", "DerivationDescription", "PerformedProcedureStepDescription",
    "ProtocolName", "RequestedProcedureDescription", "SeriesDescription", "StudyDescription",
)  # fmt: skip
# Bytes that an image cannot be shown or measured without.
BULK: Final = tags(
    "PixelData", "FloatPixelData", "DoubleFloatPixelData",
    "LUTData", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
PIXELS: Final = tags("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# What we say ourselves, whatever stood there.
OURS: Final = tags(
    "BurnedInAnnotation", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified", "PatientIdentityRemoved", "SpecificCharacterSet",
    "CodingSchemeIdentificationSequence", "RecognizableVisualFeatures",
)  # fmt: skip
