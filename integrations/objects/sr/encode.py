"""Comprehensive 3D SR after TID 1500 "Measurement Report" (PS3.16), by highdicom.

One measurement group per target, below its threshold too; a result without findings says so in a group of its own.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageContentItem,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.uid import Comprehensive3DSRStorage

from integrations.objects import concepts, identity
from integrations.objects.context import AnswerContext, Predecessor
from integrations.objects.dicomfile import MANUFACTURER, coded_if_whole, dress, encoded, validate_file
from integrations.objects.narrative import failure, quality
from integrations.objects.source import Image, Source, read_source
from integrations.objects.sr import codes
from integrations.objects.values import identifier, long_text, plain
from radloop.domain.enums import ObjectKind, ResultStatus
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject, Finding


class SrEncoder:
    """RESULTS.md, Structured report."""

    kind = ObjectKind.SR
    statuses = frozenset(ResultStatus)

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """One SR.

        Raises:
            InvalidObject: no image of the study can be referenced.
        """
        source = read_source(ctx)
        if not source.images:
            raise InvalidObject(f"{ctx.result.id}: no image that a report could refer to")
        ds = _document(ctx, source)
        dress(ds, ctx, source, ObjectKind.SR)
        return (encoded(ds, ctx, ObjectKind.SR),)

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """By dciodvfy.

        Raises:
            InvalidObject: the file breaks PS3.3.
        """
        validate_file(obj, ctx)


ENCODER = SrEncoder()


def _document(ctx: AnswerContext, source: Source) -> Dataset:
    """SR document series, general and content modules (PS3.3 C.17.1 to C.17.3) of a Comprehensive 3D SR (A.35.13)."""
    # highdicom's own class for this IOD takes patient and study from the header as it is, and copies the tree twice.
    ds = Dataset()
    ds.SOPClassUID = Comprehensive3DSRStorage
    ds.Modality = "SR"
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(source)]
    ds.ReferencedRequestSequence = [_request(ctx, source)]
    if ctx.predecessor is not None:
        ds.PredecessorDocumentsSequence = [_previous(ctx.predecessor)]
    ds.update(_content(ctx, source))
    return ds


def _evidence(source: Source) -> Dataset:
    """Every image read, by study and series (PS3.3 Table C.17-3, "Hierarchical SOP Instance Reference")."""
    series: dict[str, list[Dataset]] = {}
    for image in source.images:
        series.setdefault(image.series_uid, []).append(_reference(image.sop_class_uid, image.sop_uid))
    return _hierarchy(source.study_uid, series)


def _previous(predecessor: Predecessor) -> Dataset:
    document = _reference(Comprehensive3DSRStorage, predecessor.sop_uid)
    return _hierarchy(predecessor.study_uid, {predecessor.series_uid: [document]})


def _hierarchy(study_uid: str, series: Mapping[str, Sequence[Dataset]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.ReferencedSeriesSequence = [_series(uid, instances) for uid, instances in series.items()]
    return item


def _series(uid: str, instances: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ReferencedSOPSequence = list(instances)
    return item


def _reference(sop_class_uid: str, sop_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_uid
    return item


def _request(ctx: AnswerContext, source: Source) -> Dataset:
    """Referenced Request Sequence (PS3.3 C.17.2): the order where there is one, the accession always."""
    order = ctx.order
    item = Dataset()
    item.StudyInstanceUID = source.study_uid
    item.ReferencedStudySequence = []
    item.AccessionNumber = source.accession
    item.PlacerOrderNumberImagingServiceRequest = identifier(order.placer_number) if order else ""
    item.FillerOrderNumberImagingServiceRequest = identifier(order.filler_number) if order else ""
    item.RequestedProcedureID = source.requested_procedure_id
    item.RequestedProcedureDescription = long_text(source.procedure.meaning) if source.procedure else ""
    item.RequestedProcedureCodeSequence = coded_if_whole(source.procedure)
    return item


def _content(ctx: AnswerContext, source: Source) -> Dataset:
    """TID 1500."""
    observer = DeviceObserverIdentifyingAttributes(
        uid=identity.device_uid(ctx),
        name=plain(ctx.title),
        manufacturer_name=MANUFACTURER,
        model_name=ctx.result.model.name,
        serial_number=ctx.result.model.digest,
    )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=dicom_codes.DCM.Device, observer_identifying_attributes=observer
            )
        ),
        procedure_reported=_concept(codes.PROCEDURE_REPORTED.get(source.modality, codes.IMAGING_PROCEDURE)),
        imaging_measurements=list(_groups(ctx, source)),
    )
    root: Dataset = report[0]
    # TID 1500: the image library (row 5) stands before the imaging measurements (row 6), which highdicom puts last.
    root.ContentSequence.insert(len(root.ContentSequence) - 1, _library(source))
    if ctx.quality:
        root.ContentSequence.append(_quality(ctx))
    return root


def _quality(ctx: AnswerContext) -> ContainerContentItem:
    """TID 1500 rows 12 and 14: what is odd about the images, in words."""
    contains = RelationshipTypeValues.CONTAINS
    container = ContainerContentItem(name=_concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=contains)
    said = [TextContentItem(_concept(codes.IMAGE_QUALITY), note, contains) for note in quality(ctx)]
    container.ContentSequence = ContentSequence(said)
    return container


def _library(source: Source) -> ContainerContentItem:
    """TID 1600, one group; TID 1602 with the descriptors that every header has."""
    contains = RelationshipTypeValues.CONTAINS
    group = ContainerContentItem(name=_concept(codes.IMAGE_LIBRARY_GROUP), relationship_type=contains)
    group.ContentSequence = ContentSequence([_library_entry(image) for image in source.images])
    library = ContainerContentItem(name=_concept(codes.IMAGE_LIBRARY), relationship_type=contains)
    library.ContentSequence = ContentSequence([group])
    return library


def _library_entry(image: Image) -> ImageContentItem:
    context = RelationshipTypeValues.HAS_ACQ_CONTEXT
    entry = ImageContentItem(
        name=dicom_codes.SCT.Source,
        referenced_sop_class_uid=image.sop_class_uid,
        referenced_sop_instance_uid=image.sop_uid,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    modality = _concept(codes.MODALITIES.get(image.modality, codes.OTHER_MODALITY))
    described: list[ContentItem] = [CodeContentItem(_concept(codes.MODALITY), modality, context)]
    for name, count in ((codes.ROWS, image.rows), (codes.COLUMNS, image.columns)):
        if count:
            described.append(NumContentItem(_concept(name), count, _concept(codes.PIXELS), relationship_type=context))
    entry.ContentSequence = ContentSequence(described)
    return entry


def _groups(ctx: AnswerContext, source: Source) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    if not ctx.result.findings:
        yield _empty_group(ctx)
    for finding in ctx.result.findings:
        yield _group(ctx, source, finding)


def _empty_group(ctx: AnswerContext) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501 of a result without findings: CID 6047 says which way it ended, a comment why."""
    why = failure(ctx)
    summary = concepts.NONE_SUCCEEDED if why else concepts.WITHOUT_FINDINGS
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=identity.sop_uid(ctx, ObjectKind.SR, 1), identifier=f"{ctx.result.model.name} {ctx.result.status}"
        ),
        algorithm_id=_algorithm(ctx, []),
        qualitative_evaluations=[_evaluation(concepts.SUMMARY, summary)],
    )
    if why:
        group[0].ContentSequence.append(TextContentItem(_concept(codes.COMMENT), why, RelationshipTypeValues.CONTAINS))
    return group


def _group(ctx: AnswerContext, source: Source, finding: Finding) -> MeasurementsAndQualitativeEvaluations:
    """TID 1410 where the finding has a region in an image, else TID 1501."""
    shared = {
        "tracking_identifier": TrackingIdentifier(
            uid=identity.tracking_uid(ctx, finding), identifier=plain(f"{ctx.result.model.name} {finding.target}")
        ),
        "finding_type": _concept(finding.code),
        "finding_sites": _sites(finding),
        "algorithm_id": _algorithm(ctx, [f"threshold={finding.threshold:.4f}"]),
        "measurements": [
            Measurement(_concept(concepts.PROBABILITY), round(finding.probability, 4), _concept(concepts.NO_UNITS)),
            Measurement(_concept(concepts.THRESHOLD), round(finding.threshold, 4), _concept(concepts.NO_UNITS)),
        ],
        "qualitative_evaluations": list(_evaluations(finding)),
    }
    region = _region(source, finding)
    if region is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **shared)


def _evaluations(finding: Finding) -> Iterator[QualitativeEvaluation]:
    """CID 6047 says which side of its threshold the target is; the rest qualifies it."""
    yield _evaluation(concepts.SUMMARY, concepts.WITH_FINDINGS if finding.positive else concepts.WITHOUT_FINDINGS)
    # A side without a site has no Finding Site (TID 1501 row 6) to modify.
    homeless = concepts.places(finding) if finding.location is None else ()
    for name, value in (*concepts.qualifiers(finding), *homeless):
        yield _evaluation(name, value)


def _sites(finding: Finding) -> list[FindingSite] | None:
    if finding.location is None:
        return None
    side = _concept(concepts.LATERALITIES[finding.laterality]) if finding.laterality else None
    return [FindingSite(anatomic_location=_concept(finding.location), laterality=side)]


def _algorithm(ctx: AnswerContext, parameters: list[str]) -> AlgorithmIdentification:
    """TID 4019."""
    model = ctx.result.model
    stated = [f"digest=sha256:{model.digest}", *parameters, f"calibration={plain(ctx.calibration)}"]
    return AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=stated,
        family=_concept(codes.ARTIFICIAL_INTELLIGENCE),
    )


def _region(source: Source, finding: Finding) -> ImageRegion | None:
    """The box as a closed polyline in pixels of the image (PS3.3 C.18.6): (0, 0) is its top left corner."""
    image = source.image(finding.instance_id)
    if finding.box is None or image is None:
        return None
    left, top, right, bottom = finding.box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], dtype=np.float32)
    frames = [1] if image.frames > 1 and image.sop_class_uid in codes.MULTI_FRAME else None
    shown = SourceImageForRegion(image.sop_class_uid, image.sop_uid, referenced_frame_numbers=frames)
    return ImageRegion(GraphicTypeValues.POLYLINE, corners, shown)


def _evaluation(name: Code, value: Code) -> QualitativeEvaluation:
    return QualitativeEvaluation(_concept(name), _concept(value))


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, long_text(code.meaning))
