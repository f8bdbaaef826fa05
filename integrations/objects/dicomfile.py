"""What every DICOM object of ours shares: the modules of PS3.3 around its content, its bytes, its validator."""

import logging
import os
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import BinaryIO

import structlog
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian

from integrations.objects import identity
from integrations.objects.context import AnswerContext
from integrations.objects.source import Source
from integrations.objects.values import SHORT_STRING, identifier, long_text
from radloop.domain.enums import ObjectKind
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject

MEDIA_TYPE = "application/dicom"
MANUFACTURER = "radloop"
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
"""Purpose of Reference of what made the object (PS3.16 CID 7005)."""
SERIES_NUMBER = {ObjectKind.SR: 9901, ObjectKind.SC: 9902}
"""High, so that our series stand after the modality's own."""

VALIDATOR = "dciodvfy"
VALIDATOR_SECONDS = 10.0
_VALUE = re.compile(r"[<'\"].*")
_ATTRIBUTE = re.compile(r"(?:Element=<|</)(\w+)")
_REQUIRED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SpecificCharacterSet",
)

log = structlog.get_logger()
# highdicom tells SOP Instance UIDs at INFO, and identifiers are patient data too (DESIGN.md).
logging.getLogger("highdicom").setLevel(logging.WARNING)


def created(ctx: AnswerContext, source: Source) -> datetime:
    """When the result was made, in the offset that the object declares."""
    sign = -1 if source.timezone_offset[0] == "-" else 1
    hours, minutes = int(source.timezone_offset[1:3]), int(source.timezone_offset[3:5])
    return ctx.result.created_at.astimezone(timezone(sign * timedelta(hours=hours, minutes=minutes)))


def series_description(ctx: AnswerContext) -> str:
    """Model name, version, RESEARCH or PRODUCT; the name gives way where 64 characters are too few."""
    tail = f" {ctx.result.model.version} {ctx.result.model.qualification}"
    return long_text(long_text(ctx.title, 64 - len(tail)) + tail)


def coded(code: Code) -> Dataset:
    """One item of a code sequence (PS3.3 section 8.8)."""
    item = Dataset()
    item.add_new("CodeValue" if len(code.value) <= 16 else "LongCodeValue", *_code_value(code))
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = long_text(code.meaning)
    return item


def coded_if_whole(code: Code | None) -> list[Dataset]:
    """The code as a sequence of one item; of none where a RIS left out what PS3.3 section 8.8 asks for."""
    if code is None or not (code.meaning and identifier(code.value) and identifier(code.scheme, SHORT_STRING)):
        return []
    return [coded(code)]


def _code_value(code: Code) -> tuple[str, str]:
    return ("SH", code.value) if len(code.value) <= 16 else ("UC", code.value)


def dress(ds: Dataset, ctx: AnswerContext, source: Source, kind: ObjectKind) -> None:
    """Set the patient, study, series, equipment and SOP common modules (PS3.3 C.7.1 to C.7.5, C.12.1)."""
    _set_patient(ds, source)
    _set_study(ds, source)
    _set_series(ds, ctx, source, kind)
    _set_equipment(ds, ctx)
    _set_common(ds, ctx, source, kind)


def _set_patient(ds: Dataset, source: Source) -> None:
    subject = source.subject
    ds.PatientName = subject.name
    ds.PatientID = subject.id
    ds.PatientBirthDate = subject.birth_date
    ds.PatientSex = subject.sex
    optional = {
        "IssuerOfPatientID": subject.issuer if subject.id else "",
        "PatientAge": subject.age,
        "PatientSize": subject.size,
        "PatientWeight": subject.weight,
    }
    _set_known(ds, optional)


def _set_study(ds: Dataset, source: Source) -> None:
    ds.StudyInstanceUID = source.study_uid
    ds.StudyDate = source.study_date
    ds.StudyTime = source.study_time
    ds.StudyID = source.study_id
    ds.AccessionNumber = source.accession
    ds.ReferringPhysicianName = source.referring
    _set_known(ds, {"StudyDescription": source.description})
    if source.accession and source.accession_issuer:
        issuer = Dataset()
        issuer.LocalNamespaceEntityID = long_text(source.accession_issuer)
        ds.IssuerOfAccessionNumberSequence = [issuer]


def _set_known(ds: Dataset, optional: dict[str, str]) -> None:
    for keyword, value in optional.items():
        if value:
            setattr(ds, keyword, value)


def _set_series(ds: Dataset, ctx: AnswerContext, source: Source, kind: ObjectKind) -> None:
    moment = created(ctx, source)
    ds.SeriesInstanceUID = identity.series_uid(ctx, kind)
    ds.SeriesNumber = SERIES_NUMBER[kind]
    ds.SeriesDescription = series_description(ctx)
    ds.SeriesDate = moment.strftime("%Y%m%d")
    ds.SeriesTime = moment.strftime("%H%M%S")


def _set_equipment(ds: Dataset, ctx: AnswerContext) -> None:
    model = ctx.result.model
    ds.Manufacturer = MANUFACTURER
    ds.InstitutionName = long_text(ctx.site.name)
    ds.ManufacturerModelName = long_text(model.name)
    ds.DeviceSerialNumber = model.digest[:64]
    ds.SoftwareVersions = [long_text(model.version), long_text(f"radloop {ctx.software_version}")]
    made = Dataset()
    made.PurposeOfReferenceCodeSequence = [coded(PROCESSING_EQUIPMENT)]
    made.Manufacturer = MANUFACTURER
    made.ManufacturerModelName = long_text(ctx.title)
    made.DeviceSerialNumber = model.digest[:64]
    made.SoftwareVersions = [long_text(model.version), long_text(f"radloop {ctx.software_version}")]
    ds.ContributingEquipmentSequence = [made]


def _set_common(ds: Dataset, ctx: AnswerContext, source: Source, kind: ObjectKind) -> None:
    moment = created(ctx, source)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.TimezoneOffsetFromUTC = source.timezone_offset
    ds.SOPInstanceUID = identity.sop_uid(ctx, kind)
    ds.InstanceNumber = 1
    ds.InstanceCreationDate = ds.ContentDate = moment.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.ContentTime = moment.strftime("%H%M%S")
    ds.InstanceCreatorUID = UID(identity.device_uid(ctx))
    ds.ContentQualification = str(ctx.result.model.qualification)


def encoded(ds: Dataset, ctx: AnswerContext, kind: ObjectKind) -> EncodedObject:
    """The Part 10 file (PS3.10 section 7.1): zero preamble, Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.ImplementationClassUID = UID(identity.implementation_uid(ctx))
    meta.ImplementationVersionName = long_text(f"RADLOOP_{ctx.software_version}", 16)
    plain_set = Dataset(ds)
    plain_set.file_meta = meta
    plain_set.preamble = bytes(128)
    buffer = BytesIO()
    dcmwrite(buffer, plain_set, enforce_file_format=True)
    return EncodedObject(
        kind=kind, ordinal=0, identifier=str(ds.SOPInstanceUID), media_type=MEDIA_TYPE, data=buffer.getvalue()
    )


def validate_file(obj: EncodedObject, ctx: AnswerContext) -> None:
    """Hold a Part 10 file against PS3.3 by dciodvfy, by our own structural checks where it is not installed.

    The bytes go in by a file in memory: no patient data touches a disk in the clear.

    Raises:
        InvalidObject: with the validator's lines, values left out.
    """
    _check_structure(obj, ctx)
    program = shutil.which(VALIDATOR)
    if program is None:
        log.warning("validator absent, structural checks only", program=VALIDATOR, package="dicom3tools")
        return
    errors = _errors(program, obj.data)
    if errors:
        raise InvalidObject(f"{obj.kind}: {VALIDATOR}: {'; '.join(errors[:8])}")


def _errors(program: str, data: bytes) -> list[str]:
    try:
        with _in_memory(data) as file:
            done = subprocess.run([program], stdin=file, capture_output=True, timeout=VALIDATOR_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise InvalidObject(f"{VALIDATOR} gave no verdict in {VALIDATOR_SECONDS:g} s") from late
    lines = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
    return [_without_values(line) for line in lines if line.startswith("Error")]


def _without_values(line: str) -> str:
    """The rule and the attribute; everything from the first bracket or quote may be the patient's."""
    named = [name for name in _ATTRIBUTE.findall(line) if tag_for_keyword(name) is not None]
    return f"{_VALUE.sub('', line).strip()} {' '.join(named)}".strip()


def _in_memory(data: bytes) -> BinaryIO:
    """A file that only we can see: dciodvfy seeks in its input, so a pipe will not do."""
    file = os.fdopen(os.memfd_create("object"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _check_structure(obj: EncodedObject, ctx: AnswerContext) -> None:
    try:
        ds = dcmread(BytesIO(obj.data))
    except (InvalidDicomError, ValueError, KeyError, EOFError) as broken:
        raise InvalidObject(f"{obj.kind}: not a DICOM file: {type(broken).__name__}") from None
    missing = [keyword for keyword in _REQUIRED if not ds.get(keyword)]
    if missing:
        raise InvalidObject(f"{obj.kind}: required and empty: {', '.join(missing)}")
    if not obj.identifier == ds.SOPInstanceUID == identity.sop_uid(ctx, obj.kind, obj.ordinal):
        raise InvalidObject(f"{obj.kind}: the identifier is not the SOP Instance UID of this result")
    if ds.StudyInstanceUID != ctx.study.study_uid:
        raise InvalidObject(f"{obj.kind}: it names another study than it was made for")
