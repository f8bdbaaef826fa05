"""HL7 v2.5.1 as we write it: escaping, components and segments; hl7apy checks the message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException, ValidationError
from hl7apy.parser import parse_message

from integrations.objects import identity
from integrations.objects.context import AnswerContext
from integrations.objects.source import Source, Subject
from integrations.objects.values import plain
from radloop.domain.enums import ObjectKind, Urgency
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject

VERSION = "2.5.1"
MEDIA_TYPE = "x-application/hl7-v2+er7"
SEGMENT_END = "\r"
FIELD = "|"
REPETITION = "~"
DELIMITERS = "^~\\&"
"""MSH-2: component, repetition, escape, subcomponent (section 2.5.4)."""
FIRST_FIELD = {"MSH": 2}
"""MSH-1 is the field separator itself."""
UNNAMED = "^^^^^^U"
"""XPN of a patient whose name nobody sent: name type "unspecified" (table 0200), since PID-5 must be there."""

# Section 2.7.1 with the delimiters of section 2.5.4. The escape character comes first, or it would escape the others.
ESCAPES = (("\\", "\\E\\"), ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"))
# Table 0485, "Extended priority codes".
PRIORITY = {Urgency.ROUTINE: "R", Urgency.URGENT: "A", Urgency.CRITICAL: "S"}
PRIORITY_TEXT = {Urgency.ROUTINE: "Routine", Urgency.URGENT: "As soon as possible", Urgency.CRITICAL: "Stat"}
# Table 0396, "Coding system", where HL7 names a scheme otherwise than DICOM does.
SCHEMES = {"SCT": "SCT", "LN": "LN", "RADLEX": "RADLEX", "DCM": "DCM"}
# Table 0001, "Administrative sex".
SEX = {"M": "M", "F": "F", "O": "O", "": "U"}
# Table 0465, "Name/address representation", in the order of the groups of a DICOM name.
REPRESENTATIONS = ("A", "I", "P")
DEFAULT_PROCEDURE = Code("18748-4", "LN", "Diagnostic imaging study")


@dataclass(frozen=True, slots=True)
class Row:
    """One segment: its name, and its fields by number as escaped text."""

    name: str
    fields: Mapping[int, str]


def text(value: str) -> str:
    """A value as it may stand in a component: no control character, no delimiter of the message's own."""
    clean = plain(value)
    for character, escape in ESCAPES:
        clean = clean.replace(character, escape)
    return clean


def components(*parts: str) -> str:
    """Escaped components of one field."""
    return "^".join(text(part) for part in parts).rstrip("^")


def coded(code: Code) -> str:
    """CE or CWE: identifier, text, name of coding system."""
    return components(code.value, code.meaning, SCHEMES.get(code.scheme, code.scheme))


def moment(ctx: AnswerContext) -> str:
    """When the result was made, as a TS in UTC."""
    return ctx.result.created_at.strftime("%Y%m%d%H%M%S+0000")


def header(ctx: AnswerContext, structure: str) -> Row:
    """MSH (section 2.15.9)."""
    site = ctx.site
    code, event = structure.split("_")
    fields = {
        2: DELIMITERS,
        3: text(site.application),
        4: text(site.facility),
        5: text(site.receiving_application),
        6: text(site.receiving_facility),
        7: moment(ctx),
        9: components(code, event, structure),
        10: identity.control_id(ctx, structure),
        11: text(site.processing_id),
        12: VERSION,
        18: "UNICODE UTF-8",
    }
    return Row("MSH", fields)


def patient(subject: Subject) -> Row:
    """PID (section 3.4.2)."""
    names = [_name(group, mark) for group, mark in zip(subject.name.split("="), REPRESENTATIONS, strict=False)]
    fields = {
        1: "1",
        3: f"{text(subject.id)}^^^{text(subject.issuer)}^MR",
        5: REPETITION.join(filter(None, names)) or UNNAMED,
        7: subject.birth_date,
        8: SEX[subject.sex],
    }
    return Row("PID", fields)


def _name(group: str, representation: str) -> str:
    """XPN of one group of a DICOM name: prefix and suffix change places."""
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    return components(family, given, middle, suffix, prefix, "", "", representation) if group else ""


def order_numbers(ctx: AnswerContext, source: Source) -> dict[int, str]:
    """OBR-2, 3, 4 and 18: as the order had them; without one, the accession and a filler number of our own."""
    order = ctx.order
    accession = (order.accession_number if order else "") or source.accession
    return {
        1: "1",
        2: text(order.placer_number if order else ""),
        3: text((order.filler_number if order else "") or identity.filler_number(ctx)),
        4: coded(source.procedure or DEFAULT_PROCEDURE),
        18: text(accession),
    }


def timing(urgency: Urgency) -> Row:
    """TQ1 (section 4.5.4)."""
    priority = components(PRIORITY[urgency], PRIORITY_TEXT[urgency], "HL70485")
    return Row("TQ1", {1: "1", 9: priority})


def message(ctx: AnswerContext, kind: ObjectKind, structure: str, rows: Sequence[Row]) -> EncodedObject:
    """The rows as one message, in UTF-8, each segment ended by a carriage return (section 2.5)."""
    er7 = "".join(f"{_segment(row)}{SEGMENT_END}" for row in (header(ctx, structure), *rows))
    return EncodedObject(
        kind=kind,
        ordinal=0,
        identifier=identity.control_id(ctx, structure),
        media_type=MEDIA_TYPE,
        data=er7.encode("utf-8"),
    )


def _segment(row: Row) -> str:
    """Fields in their places, the empty ones at the end left out."""
    last = max(number for number, value in row.fields.items() if value)
    values = [row.fields.get(number, "") for number in range(FIRST_FIELD.get(row.name, 1), last + 1)]
    return FIELD.join([row.name, *values])


def validate_structure(obj: EncodedObject) -> None:
    """Hold a message against its abstract structure and the data types of its fields.

    Raises:
        InvalidObject: with hl7apy's words, which name segments and fields, never their values.
    """
    try:
        parse_message(obj.data.decode("utf-8"), validation_level=VALIDATION_LEVEL.TOLERANT).validate()
    except ValidationError as broken:
        raise InvalidObject(f"{obj.kind}: hl7apy: {broken}") from None
    except HL7apyException as broken:
        raise InvalidObject(f"{obj.kind}: hl7apy: {type(broken).__name__}") from None


def validate_fields(obj: EncodedObject, ctx: AnswerContext, required: Mapping[str, Sequence[int]]) -> None:
    """Hold a message against its identifier and the fields that RESULTS.md asks for.

    Raises:
        InvalidObject: MSH-10 is not the one of this result, or a field is empty.
    """
    lines = obj.data.decode("utf-8").rstrip(SEGMENT_END).split(SEGMENT_END)
    msh = lines[0].split(FIELD)
    structure = msh[8].rpartition("^")[2]
    if not msh[9] == obj.identifier == identity.control_id(ctx, structure):
        raise InvalidObject(f"{obj.kind}: the identifier is not the MSH-10 of this result")
    for name, numbers in required.items():
        _check_fields(obj, [line for line in lines if line.startswith(name + FIELD)], name, numbers)


def _check_fields(obj: EncodedObject, lines: Sequence[str], name: str, numbers: Sequence[int]) -> None:
    if not lines:
        raise InvalidObject(f"{obj.kind}: no {name} segment")
    shift = FIRST_FIELD.get(name, 1) - 1
    for fields in (line.split(FIELD) for line in lines):
        empty = [n for n in numbers if n - shift >= len(fields) or not fields[n - shift].strip("^")]
        if empty:
            raise InvalidObject(f"{obj.kind}: {name}-{empty[0]} is required and empty")
