"""A reading workstation that assesses our SR: Comprehensive 3D SR after docs/verdicts.md, by highdicom."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.uid import generate_uid

from integrations.objects import concepts
from integrations.objects.sr import assessment_codes as codes
from radloop.domain.enums import Awareness, Laterality, Severity, VerdictKind
from radloop.domain.records import Code


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a reader says of finding `number` (from 0) of our SR, or of another one (None)."""

    number: int | None
    kind: VerdictKind
    code: Code | None = None
    text: str = ""
    awareness: Awareness | None = None
    severity: Severity | None = None
    laterality: Laterality | None = None


def assess(
    report: bytes,
    said: Sequence[Said],
    *,
    reader: str = "Curie^Marie",
    login: str | None = None,
    at: datetime | None = None,
    sop_uid: str | None = None,
    **changes: object,
) -> Dataset:
    """An assessment of our SR `report` (a file), in the same study; `changes` set or (None) remove attributes."""
    ours = dcmread(io.BytesIO(report))
    ds = Comprehensive3DSR(
        evidence=[ours],
        content=_content(ours, said, reader, login),
        series_instance_uid=generate_uid(),
        series_number=801,
        sop_instance_uid=sop_uid or generate_uid(),
        instance_number=1,
        manufacturer="Viewer",
        is_complete=True,
        is_final=True,
        is_verified=False,
        record_evidence=True,
        institution_name=None,
    )
    ds.SpecificCharacterSet = "ISO_IR 192"
    if at is not None:
        ds.TimezoneOffsetFromUTC = at.strftime("%z")
        ds.ContentDate, ds.ContentTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def _content(ours: Dataset, said: Sequence[Said], reader: str, login: str | None) -> MeasurementReport:
    person = PersonObserverIdentifyingAttributes(name=reader, login_name=login)
    context = ObservationContext(
        observer_person_context=ObserverContext(
            observer_type=dicom_codes.DCM.Person, observer_identifying_attributes=person
        )
    )
    return MeasurementReport(
        observation_context=context,
        procedure_reported=CodedConcept("363679005", "SCT", "Imaging procedure"),
        imaging_measurements=[_group(ours, one) for one in said],
        title=dicom_codes.DCM.ImagingMeasurementReport,
    )


def _group(ours: Dataset, said: Said) -> MeasurementsAndQualitativeEvaluations:
    uid = tracking_uids(ours)[said.number] if said.number is not None else str(generate_uid())
    evaluations = [_evaluation(codes.ASSESSMENT, codes.KINDS[said.kind])]
    if said.awareness:
        evaluations.append(_evaluation(codes.AWARENESS, codes.AWARENESSES[said.awareness]))
    if said.severity:
        evaluations.append(_evaluation(concepts.SEVERITY, concepts.SEVERITIES[said.severity]))
    site = None
    if said.laterality:
        side = _concept(concepts.LATERALITIES[said.laterality])
        site = [FindingSite(anatomic_location=CodedConcept("39607008", "SCT", "Lung"), laterality=side)]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uid, identifier="assessed"),
        finding_type=_concept(said.code) if said.code else None,
        finding_sites=site,
        qualitative_evaluations=evaluations,
    )
    if said.text:
        contains = RelationshipTypeValues.CONTAINS
        group[0].ContentSequence.append(TextContentItem(_concept(codes.COMMENT), said.text, contains))
    return group


def tracking_uids(ours: Dataset) -> list[str]:
    """The tracking UIDs of the groups of our SR, in their order."""
    measurements = next(i for i in ours.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    return [
        str(item.UID)
        for group in measurements.ContentSequence
        for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "112040"
    ]


def _evaluation(name: Code, value: Code) -> QualitativeEvaluation:
    return QualitativeEvaluation(_concept(name), _concept(value))


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)
