"""From a header to what the rest asks of it: is it an image to read, what routes match on, the typed row it leaves.

Only values that say how an image was made come out of here; nothing of the patient does.
"""

import math
from collections.abc import Mapping
from typing import Final, TypedDict

from pydicom import Dataset
from pydicom.multival import MultiValue

from radloop.domain.records import Acquisition, Instance

# PS3.4 Table B.5-1. Pictures of pictures, and objects that say something about images, are not images to read.
SECONDARY_CAPTURES: Final = frozenset(
    ("1.2.840.10008.5.1.4.1.1.7", *(f"1.2.840.10008.5.1.4.1.1.7.{number}" for number in range(1, 5)))
)
SEGMENTATIONS: Final = frozenset(("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"))
PARAMETRIC_MAPS: Final = frozenset(("1.2.840.10008.5.1.4.1.1.30",))
NOT_READ: Final = SECONDARY_CAPTURES | SEGMENTATIONS | PARAMETRIC_MAPS

# What every image of its module should carry and often does not: PS3.3 C.7.3.1, C.7.6.3, C.8.1.1.
EXPECTED_TAGS: Final = (
    "BodyPartExamined",
    "ViewPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "SoftwareVersions",
    "PixelSpacing",
    "BitsStored",
    "PhotometricInterpretation",
)
# PS3.3 C.7.6.3, C.8.7.1, C.8.11.4: where spacing stands, by how well it is the patient's.
SPACING_TAGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
LONGEST_TEXT: Final = 128


def is_image(instance: Instance, ds: Dataset) -> bool:
    """Whether a model could be asked to read it: it has an image matrix, and is no picture that a machine drew."""
    return bool(_whole(ds, "Rows") and _whole(ds, "Columns")) and instance.header.sop_class_uid not in NOT_READ


def facts(instance: Instance, ds: Dataset) -> tuple[Mapping[str, str], ...]:
    """What a route's condition is held against: one mapping per description that the image has, one where it has none.

    The names are those of the fields of `radloop.settings.Condition`.
    """
    base = {
        "modality": instance.header.modality,
        "body_part": _text(ds, "BodyPartExamined"),
        "view": _text(ds, "ViewPosition"),
        "station": _text(ds, "StationName"),
        "peer": instance.peer,
    }
    described = [text for text in (_text(ds, "SeriesDescription"), _text(ds, "StudyDescription")) if text]
    return tuple({**base, "description": text} for text in described or [""])


def acquisition(instance: Instance, ds: Dataset) -> Acquisition:
    """The typed row of one instance."""
    return Acquisition(
        instance_id=instance.id,
        version_id=instance.version_id,
        site=instance.peer,
        **_made(ds),
        modality=instance.header.modality,
        body_part=_text(ds, "BodyPartExamined"),
        view=_text(ds, "ViewPosition"),
        description=_text(ds, "SeriesDescription") or _text(ds, "StudyDescription"),
        manufacturer=_text(ds, "Manufacturer"),
        model_name=_text(ds, "ManufacturerModelName"),
        station=_text(ds, "StationName"),
        software=_text(ds, "SoftwareVersions"),
        protocol=_text(ds, "ProtocolName"),
        photometric=_text(ds, "PhotometricInterpretation"),
        kvp=_number(ds, "KVP"),
        exposure=_number(ds, "Exposure"),
        rows=_whole(ds, "Rows"),
        columns=_whole(ds, "Columns"),
        frames=_whole(ds, "NumberOfFrames") or 1,
        bits_stored=_whole(ds, "BitsStored"),
        spacing=next(filter(None, (_number(ds, keyword) for keyword in SPACING_TAGS)), None),
        thickness=_number(ds, "SliceThickness"),
        kernel=_text(ds, "ConvolutionKernel"),
        transfer_syntax=instance.header.transfer_syntax_uid,
        missing_tags=tuple(keyword for keyword in EXPECTED_TAGS if not _text(ds, keyword)),
    )


class _Sequence(TypedDict):
    sequence: str
    exposure_time: float | None
    repetition_time: float | None
    echo_time: float | None
    flip_angle: float | None
    field_strength: float | None


def _made(ds: Dataset) -> _Sequence:
    """How the image was made: exposure (PS3.3 C.8.7.2, CR: C.8.1.1) and MR sequence (C.8.3.1)."""
    named = (_text(ds, keyword) for keyword in ("SequenceName", "PulseSequenceName", "ScanningSequence"))
    return {
        "sequence": next(filter(None, named), ""),
        "exposure_time": _number(ds, "ExposureTime"),
        "repetition_time": _number(ds, "RepetitionTime"),
        "echo_time": _number(ds, "EchoTime"),
        "flip_angle": _number(ds, "FlipAngle"),
        "field_strength": _number(ds, "MagneticFieldStrength"),
    }


def _text(ds: Dataset, keyword: str) -> str:
    """One line of printable text; the values of a multiple one joined by a backslash."""
    value = ds.get(keyword)
    parts = value if isinstance(value, MultiValue) else [value]
    text = "\\".join("" if part is None else str(part) for part in parts)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_TEXT]


def _number(ds: Dataset, keyword: str) -> float | None:
    """The (first) value as a finite number, or None."""
    value = ds.get(keyword)
    first = value[0] if isinstance(value, MultiValue) and len(value) else value
    try:
        number = float(first)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(ds: Dataset, keyword: str) -> int | None:
    """The value as a 32-bit whole number, or None."""
    number = _number(ds, keyword)
    return int(number) if number is not None and 0 <= number < 1 << 31 else None
