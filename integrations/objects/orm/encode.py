"""The order's priority, raised: how a worklist that the RIS drives puts an urgent study on top. It never lowers one."""

from collections.abc import Iterator

from integrations.objects.context import AnswerContext, PriorityMessage
from integrations.objects.hl7message import (
    PRIORITY,
    Row,
    components,
    message,
    moment,
    order_numbers,
    patient,
    text,
    timing,
    validate_fields,
    validate_structure,
)
from integrations.objects.narrative import conclusion
from integrations.objects.orm import codes
from integrations.objects.source import Source, read_source
from radloop.domain.enums import ObjectKind, ResultStatus, Urgency
from radloop.domain.errors import InvalidObject
from radloop.domain.records import EncodedObject


class OrmEncoder:
    """RESULTS.md, HL7 ORU^R01, last sentences of its first paragraph; Worklist."""

    kind = ObjectKind.ORM
    statuses = frozenset({ResultStatus.OK})

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """One message where the result is more urgent than the order; none where it would lower the order."""
        ordered = ctx.order.priority if ctx.order else Urgency.ROUTINE
        if ctx.result.urgency.rank <= ordered.rank:
            return ()
        source = read_source(ctx)
        structure = ctx.site.priority_message
        rows = [patient(source.subject), *_order(ctx, source, structure)]
        return (message(ctx, ObjectKind.ORM, structure, rows),)

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """By the table of required fields, and by hl7apy where it knows the structure.

        Raises:
            InvalidObject: a segment is out of place, a required field is empty, or nothing is raised.
        """
        if ctx.site.priority_message in codes.CHECKABLE:
            validate_structure(obj)
        validate_fields(obj, ctx, codes.REQUIRED)
        if ctx.result.urgency is Urgency.ROUTINE:
            raise InvalidObject(f"{obj.kind}: a routine result raises no priority")


ENCODER = OrmEncoder()


def _order(ctx: AnswerContext, source: Source, structure: PriorityMessage) -> Iterator[Row]:
    """ORC, TQ1, OBR and, for the imaging order, IPC."""
    numbers = order_numbers(ctx, source)
    quantity = f"^^^^^{PRIORITY[ctx.result.urgency]}"
    order = {1: codes.CHANGE_ORDER, 2: numbers[2], 3: numbers[3], 7: quantity, 9: moment(ctx)}
    yield Row("ORC", order)
    yield timing(ctx.result.urgency)
    yield Row("OBR", numbers | {13: text(conclusion(ctx)[:300]), 27: quantity})
    if structure is PriorityMessage.OMI_O23:
        yield Row("IPC", _procedure(ctx, source, numbers))


def _procedure(ctx: AnswerContext, source: Source, numbers: dict[int, str]) -> dict[int, str]:
    """IPC (section 4.5.6): the accession, the requested procedure, the study and its step."""
    own = ctx.order.filler_number if ctx.order else ""
    return {
        1: numbers[18] or numbers[3],
        2: text(source.requested_procedure_id or own) or numbers[3],
        3: text(source.study_uid),
        4: text(source.requested_procedure_id or own) or numbers[3],
        5: components(source.modality, "", "DCM"),
    }
