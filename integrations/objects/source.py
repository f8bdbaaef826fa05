"""The patient, study and images as the headers have them, read without trust.

A header may lack anything, name a character set that does not exist, or hold values that its VRs forbid. Elements are
read from their raw bytes, so that no library validates, warns of or logs a patient's data on the way.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, decode_bytes, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import TEXT_VR_DELIMS

from integrations.objects import values
from integrations.objects.context import AnswerContext
from radloop.domain.records import Code

_NAME_DELIMITERS = TEXT_VR_DELIMS | {ord("^"), ord("=")}
_CODE_KEYWORDS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_ESCAPE = b"\x1b"
_STAND_ALONE = frozenset(python_encoding[name] for name in STAND_ALONE_ENCODINGS)
# What pydicom raises on a sequence whose bytes do not parse.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, EOFError, OSError, struct.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The patient, in values that every object may carry."""

    name: str
    id: str
    issuer: str
    birth_date: str
    sex: str
    age: str
    size: str
    weight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image read: what a reference to it must say."""

    instance_id: str
    sop_class_uid: str
    sop_uid: str
    series_uid: str
    modality: str
    rows: int
    columns: int
    frames: int
    lossy: bool
    lossy_ratios: tuple[str, ...]
    lossy_methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The study that was read."""

    subject: Subject
    study_uid: str
    accession: str
    accession_issuer: str
    study_id: str
    study_date: str
    study_time: str
    description: str
    referring: str
    requested_procedure_id: str
    procedure: Code | None
    timezone_offset: str
    body_part: str
    images: tuple[Image, ...]

    @property
    def modality(self) -> str:
        """Of the first image read; OT where there is none."""
        return self.images[0].modality if self.images else "OT"

    def image(self, instance_id: str | None) -> Image | None:
        """The image read under that id."""
        return next((image for image in self.images if image.instance_id == instance_id), None)


def read_source(ctx: AnswerContext) -> Source:
    """What the headers and the order say of the study, cleaned. The first header speaks for the study."""
    ds = next(iter(ctx.sources.values()), Dataset())
    request = _first_item(ds, "RequestAttributesSequence")
    return Source(
        subject=_subject(ds, ctx),
        study_uid=ctx.study.study_uid,
        accession=values.identifier(text_of(ds, "AccessionNumber"), values.SHORT_STRING),
        accession_issuer=_issuer(_first_item(ds, "IssuerOfAccessionNumberSequence")),
        study_id=values.identifier(text_of(ds, "StudyID"), values.SHORT_STRING),
        study_date=values.date(text_of(ds, "StudyDate")),
        study_time=values.time(text_of(ds, "StudyTime")),
        description=values.long_text(text_of(ds, "StudyDescription")),
        referring=values.person_name(text_of(ds, "ReferringPhysicianName")),
        requested_procedure_id=values.identifier(text_of(request, "RequestedProcedureID", ds), values.SHORT_STRING),
        procedure=_procedure(ds, ctx),
        timezone_offset=values.offset(text_of(ds, "TimezoneOffsetFromUTC")) or ctx.site.timezone_offset,
        body_part=values.long_text(text_of(ds, "BodyPartExamined"), values.SHORT_STRING),
        images=tuple(_images(ctx)),
    )


def text_of(ds: Dataset, keyword: str, parent: Dataset | None = None) -> str:
    """The value as text, values of a multiple one joined by a backslash; '' where there is none.

    Raw bytes are decoded with the character set of the data set, or of the `parent` whose item it is
    (PS3.5 section 6.1.2.3), with UTF-8 or Latin-1 where that fails.
    """
    element = ds.get_item(tag_for_keyword(keyword) or 0)
    if element is None or element.value is None:
        return ""
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return _decode(element.value, _encodings(ds if parent is None else parent))
    return _join(element.value)


def _join(value: object) -> str:
    parts = value if isinstance(value, MultiValue | list | tuple) else [value]
    return "\\".join(_decode(part, ("utf-8",)) if isinstance(part, bytes) else str(part) for part in parts)


def _encodings(ds: Dataset) -> tuple[str, ...]:
    """Python's names of the data set's character sets; unknown ones are left out."""
    element = ds.get_item(0x00080005)
    value = element.value if element is not None else None
    names = _join(value.decode("latin-1") if isinstance(value, bytes) else value or "").split("\\")
    known = [python_encoding[name.strip("\0 ")] for name in names if name.strip("\0 ") in python_encoding]
    return tuple(known) if any(name.strip("\0 ") for name in names) else ()


def _decode(data: bytes, encodings: tuple[str, ...]) -> str:
    """Text of one value; a data set's own words first, then the two charsets that modalities use unannounced."""
    if _extended(data, encodings):
        return decode_bytes(data, list(encodings), set(_NAME_DELIMITERS)).rstrip("\0 ")
    for encoding in (*encodings[:1], "utf-8"):
        try:
            return data.decode(encoding).rstrip("\0 ")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1").rstrip("\0 ")


def _extended(data: bytes, encodings: tuple[str, ...]) -> bool:
    """Whether the value switches character sets by escape sequences, all of them known (PS3.5 section 6.1.2.5)."""
    _, *switched = data.split(_ESCAPE)
    known = all((_ESCAPE + part).startswith(tuple(CODES_TO_ENCODINGS)) for part in switched)
    return bool(switched and encodings) and known and _STAND_ALONE.isdisjoint(encodings)


def _first_item(ds: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty data set where there is none that can be read."""
    tag = tag_for_keyword(keyword) or 0
    try:
        value = ds[tag].value if tag in ds else None
    except _UNREADABLE:
        return Dataset()
    return value[0] if isinstance(value, Sequence) and len(value) > 0 else Dataset()


def _issuer(item: Dataset) -> str:
    return text_of(item, "LocalNamespaceEntityID") or text_of(item, "UniversalEntityID")


def _subject(ds: Dataset, ctx: AnswerContext) -> Subject:
    order_id = ctx.order.patient_id if ctx.order else ""
    order_issuer = ctx.order.issuer if ctx.order else ""
    return Subject(
        name=values.person_name(text_of(ds, "PatientName")),
        id=values.identifier(text_of(ds, "PatientID")) or values.identifier(order_id),
        issuer=values.identifier(text_of(ds, "IssuerOfPatientID") or order_issuer or ctx.site.assigning_authority),
        birth_date=values.date(text_of(ds, "PatientBirthDate")),
        sex=values.sex(text_of(ds, "PatientSex")),
        age=values.age(text_of(ds, "PatientAge")),
        size=values.decimal(text_of(ds, "PatientSize")),
        weight=values.decimal(text_of(ds, "PatientWeight")),
    )


def _procedure(ds: Dataset, ctx: AnswerContext) -> Code | None:
    """What was ordered: as the order says, else as the images say; None where neither has a code."""
    ordered = ctx.order.procedure if ctx.order else None
    if ordered is not None and values.plain(ordered.value):
        return ordered
    item = _first_item(ds, "ProcedureCodeSequence")
    code = Code(*(values.long_text(text_of(item, k, ds)) for k in _CODE_KEYWORDS))
    return code if code.value and code.meaning else None


def _images(ctx: AnswerContext) -> Iterable[Image]:
    """Every header that can be referenced: without its UIDs an image cannot be named at all."""
    for instance_id, ds in ctx.sources.items():
        image = _image(instance_id, ds)
        if image.sop_class_uid and image.sop_uid and image.series_uid:
            yield image


def _image(instance_id: str, ds: Dataset) -> Image:
    return Image(
        instance_id=instance_id,
        sop_class_uid=values.uid(text_of(ds, "SOPClassUID")),
        sop_uid=values.uid(text_of(ds, "SOPInstanceUID")),
        series_uid=values.uid(text_of(ds, "SeriesInstanceUID")),
        modality=values.long_text(text_of(ds, "Modality"), values.SHORT_STRING).upper() or "OT",
        rows=_count(ds, "Rows"),
        columns=_count(ds, "Columns"),
        frames=_count(ds, "NumberOfFrames") or 1,
        lossy=text_of(ds, "LossyImageCompression") == "01",
        lossy_ratios=tuple(filter(None, map(values.decimal, text_of(ds, "LossyImageCompressionRatio").split("\\")))),
        lossy_methods=tuple(filter(None, text_of(ds, "LossyImageCompressionMethod").split("\\"))),
    )


def _count(ds: Dataset, keyword: str) -> int:
    """A small whole number (US or IS); 0 where there is none."""
    element = ds.get_item(tag_for_keyword(keyword) or 0)
    value = element.value if element is not None else None
    if isinstance(element, RawDataElement) and element.VR in ("US", None) and isinstance(value, bytes):
        return int.from_bytes(value[:2], "little" if element.is_little_endian else "big")
    text = text_of(ds, keyword).strip()
    return int(text) if text.isdigit() else 0
