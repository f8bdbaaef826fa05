"""Small answers and headers, made on the spot, for the contract of the encoders."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

from integrations.objects.context import AnswerContext, SiteFacts
from radloop.domain.enums import (
    Laterality,
    Qualification,
    ResultStatus,
    Severity,
    Standing,
    StudyState,
    Urgency,
)
from radloop.domain.records import Code, Evidence, Finding, ModelVersion, Order, Result, StudyVersion

ROOT = "1.2.826.0.1.3680043.10.1338"
STUDY = f"{ROOT}.1"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
PNEUMONIA = Code("233604007", "SCT", "Pneumonia")
PNEUMOTHORAX = Code("36118008", "SCT", "Pneumothorax")
LUNG = Code("39607008", "SCT", "Lung")


def header(**changes: object) -> Dataset:
    """A chest radiograph's header. A change to None takes the attribute out; bytes stand as they were received."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = f"{ROOT}.2"
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = f"{ROOT}.3"
    ds.StudyDate, ds.StudyTime = "20260304", "040506"
    ds.AccessionNumber = "ACC0001"
    ds.StudyID = "1"
    ds.Modality = "CR"
    ds.PatientName = "Müller^Jörg"
    ds.PatientID = "PID-7"
    ds.IssuerOfPatientID = "HOSPITAL"
    ds.PatientBirthDate = "19700102"
    ds.PatientSex = "M"
    ds.ReferringPhysicianName = "Arzt^Anna"
    ds.StudyDescription = "XR CHEST PA"
    ds.BodyPartExamined = "CHEST"
    ds.PatientOrientation = ["L", "F"]
    ds.Rows = ds.Columns = 256
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        elif isinstance(value, bytes):
            ds[keyword] = received(keyword, value)
        else:
            setattr(ds, keyword, value)
    return ds


def received(keyword: str, value: bytes) -> RawDataElement:
    """An element as it came from the wire: nobody has looked at its value yet."""
    tag = Tag(keyword)
    return RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)


def png(size: int = 256, seed: int = 0) -> bytes:
    """A grey PNG with a smooth blob."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    blob = np.exp(-((rows - 0.4 - 0.1 * seed) ** 2 + (columns - 0.35) ** 2) * 30) * 255
    with io.BytesIO() as buffer:
        Image.fromarray(blob.astype(np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()


def finding(**changes: object) -> Finding:
    """A positive, urgent finding with its picture."""
    base = Finding(
        target="pneumonia",
        code=PNEUMONIA,
        probability=0.9213,
        threshold=0.5,
        urgency=Urgency.URGENT,
        severity=Severity.MODERATE,
        location=LUNG,
        laterality=Laterality.RIGHT,
        instance_id="in_1",
        picture_key="picture",
        heatmap_key="heatmap",
        box=(40.0, 50.0, 120.0, 160.0),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


NEGATIVE = Finding(
    target="pneumothorax",
    code=PNEUMOTHORAX,
    probability=0.0312,
    threshold=0.4,
    urgency=Urgency.ROUTINE,
    instance_id="in_1",
    picture_key="picture",
    heatmap_key="heatmap",
)
ORDER = Order(
    accession_number="ACC0001",
    placer_number="PLACER-1",
    filler_number="FILLER-1",
    patient_id="PID-7",
    issuer="HOSPITAL",
    priority=Urgency.ROUTINE,
    procedure=Code("36643-5", "LN", "XR Chest 2 Views"),
)
SITE = SiteFacts(
    uid_root=ROOT,
    name="Spital am See",
    facility="RADIOLOGY",
    receiving_application="RIS",
    receiving_facility="HOSPITAL",
    assigning_authority="HOSPITAL",
    timezone_offset="+0100",
    patient_system="urn:hospital:patients",
    accession_system="urn:hospital:accessions",
)


def context(
    findings: Sequence[Finding] | None = None,
    *,
    status: ResultStatus = ResultStatus.OK,
    reason: str | None = None,
    qualification: Qualification = Qualification.RESEARCH,
    sources: Sequence[Dataset] | None = None,
    **changes: object,
) -> AnswerContext:
    """An answer for one study; findings are one positive and one negative where not said."""
    listed = tuple(findings) if findings is not None else (finding(), NEGATIVE)
    model = ModelVersion(
        name="cxr_pneumonia",
        version="1.2.0",
        digest=DIGEST,
        standing=Standing.CHAMPION,
        qualification=qualification,
    )
    result = Result(
        id="rs_0123456789abcdef0123",
        version_id="sv_1",
        model=model,
        status=status,
        reason=reason,
        findings=listed if status is ResultStatus.OK else (),
        run=None,
        predecessor_id=None,
        created_at=AT,
    )
    headers = list(sources) if sources is not None else [header()]
    base = AnswerContext(
        study=study(),
        result=result,
        title="Chest radiograph pneumonia",
        sources={f"in_{number}": ds for number, ds in enumerate(headers, 1)},
        pictures={"picture": png(), "heatmap": png(seed=1)},
        order=ORDER,
        predecessor=None,
        site=SITE,
        software_version="0.1.0",
        calibration="temperature 1.3",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def study() -> StudyVersion:
    return StudyVersion(
        id="sv_1",
        study_id="st_1",
        study_uid=STUDY,
        number=1,
        state=StudyState.READING,
        reason=None,
        urgency=Urgency.ROUTINE,
        evidence=Evidence(),
        received_at=AT,
        completed_at=AT,
        answered_at=None,
        instances=1,
        modalities=("CR",),
        peer="pacs",
    )


def random_uid() -> str:
    return str(generate_uid(f"{ROOT}."))
