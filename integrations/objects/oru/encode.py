"""HL7 v2.5.1 ORU^R01 (chapter 7): what the RIS files as an unverified result."""

from collections.abc import Iterator, Mapping

from integrations.objects import concepts, narrative
from integrations.objects.context import AnswerContext
from integrations.objects.hl7message import (
    REPETITION,
    Row,
    coded,
    message,
    moment,
    order_numbers,
    patient,
    text,
    timing,
    validate_fields,
    validate_structure,
)
from integrations.objects.oru import codes
from integrations.objects.source import Source, read_source
from radloop.domain.enums import ObjectKind, ResultStatus, Urgency
from radloop.domain.records import Code, EncodedObject, Finding


class OruEncoder:
    """RESULTS.md, HL7 ORU^R01."""

    kind = ObjectKind.ORU
    statuses = frozenset({ResultStatus.OK})

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """One message."""
        source = read_source(ctx)
        rows = [
            patient(source.subject),
            _request(ctx, source),
            timing(ctx.result.urgency),
            *_observations(ctx, source),
        ]
        return (message(ctx, ObjectKind.ORU, codes.STRUCTURE, rows),)

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """By hl7apy and the table of required fields.

        Raises:
            InvalidObject: a segment is out of place, or a required field is empty.
        """
        validate_structure(obj)
        validate_fields(obj, ctx, codes.REQUIRED)


ENCODER = OruEncoder()


def _request(ctx: AnswerContext, source: Source) -> Row:
    """OBR (section 7.4.1)."""
    fields = order_numbers(ctx, source) | {
        7: source.study_date and source.study_date + source.study_time[:6],
        22: moment(ctx),
        24: codes.RADIOLOGY,
        25: ctx.site.observation_status,
    }
    return Row("OBR", fields)


def _observations(ctx: AnswerContext, source: Source) -> Iterator[Row]:
    """Every OBX, numbered; those of one finding share a sub-id (OBX-4)."""
    listed = [
        _study(source),
        *(row for number, finding in enumerate(ctx.result.findings, 1) for row in _finding(number, finding)),
        _obx("TX", codes.NARRATIVE, REPETITION.join(text(line) for line in narrative.lines(ctx))),
        _model(ctx),
    ]
    for number, fields in enumerate(listed, 1):
        own = {1: str(number), 11: ctx.site.observation_status, 14: moment(ctx)}
        yield Row("OBX", own | fields)


def _obx(kind: str, name: Code, value: str, sub_id: str = "") -> dict[int, str]:
    """OBX-2, 3, 4 and 5 (section 7.4.2)."""
    return {2: kind, 3: coded(name), 4: sub_id, 5: value}


def _study(source: Source) -> dict[int, str]:
    return _obx("ST", codes.STUDY, text(source.study_uid)) | {11: codes.STUDY_STATUS}


def _finding(number: int, finding: Finding) -> Iterator[dict[int, str]]:
    """The coded finding, its probability against the threshold, and what qualifies it."""
    sub_id = str(number)
    yield _obx("CWE", concepts.FINDING, coded(finding.code), sub_id) | {8: _flag(finding, codes.ABNORMAL)}
    number_field = _obx("NM", concepts.PROBABILITY, f"{finding.probability:.4f}", sub_id)
    yield number_field | {6: coded(concepts.NO_UNITS), 7: f"<{finding.threshold:.4f}", 8: _flag(finding, codes.HIGH)}
    side = concepts.WITH_FINDINGS if finding.positive else concepts.WITHOUT_FINDINGS
    yield _obx("CWE", concepts.SUMMARY, coded(side), sub_id)
    for name, value in (*concepts.qualifiers(finding), *concepts.places(finding)):
        yield _obx("CWE", name, coded(value), sub_id)


def _flag(finding: Finding, flags: Mapping[Urgency, str]) -> str:
    return flags[finding.urgency] if concepts.actionable(finding) else codes.NORMAL


def _model(ctx: AnswerContext) -> dict[int, str]:
    model = ctx.result.model
    stated = f"{model.name} {model.version} sha256:{model.digest} {model.qualification}"
    return _obx("ST", concepts.ALGORITHM_NAME, text(stated))
