"""What an order (ORM^O01, OMI^O23) or a patient update (ADT^A08) says (HL7 2.5.1 chapters 3 and 4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from integrations.hl7.message import Message, Segment
from radloop.domain.enums import Urgency
from radloop.domain.errors import Unparsable
from radloop.domain.records import Code, Order


class MessageKind(StrEnum):
    """What a message is to us."""

    ORDER = "order"
    PATIENT_UPDATE = "patient update"
    REPORT = "report"
    MERGE = "patient merge"
    """Recognised and refused: identities are not merged on a message's word."""
    UNKNOWN = "unknown"


# HL7 2.5.1 chapter 3: trigger events that merge, move, link or unlink identities.
KINDS = {
    "ORM^O01": MessageKind.ORDER,
    "OMI^O23": MessageKind.ORDER,
    "ADT^A08": MessageKind.PATIENT_UPDATE,
    "ADT^A31": MessageKind.PATIENT_UPDATE,
    "ORU^R01": MessageKind.REPORT,
    **dict.fromkeys(
        (f"ADT^A{event}" for event in (18, 24, 30, 34, 35, 36, 37, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51)),
        MessageKind.MERGE,
    ),
}

# HL7 table 0485 (TQ1-9) and table 0027 (ORC-7.6, OBR-27.6, OBR-5), with the words that some systems write.
PRIORITIES = {
    "S": Urgency.CRITICAL,
    "STAT": Urgency.CRITICAL,
    "A": Urgency.URGENT,
    "ASAP": Urgency.URGENT,
}

Place = tuple[str, int, int]
"""Segment, field, component."""

# Where systems put one thing; the first that is not empty counts. IHE RAD TF-2 sections 4.4 and 4.2.
ACCESSION: tuple[Place, ...] = (
    ("IPC", 1, 1),
    ("OBR", 18, 1),
    ("OBR", 19, 1),
    ("OBR", 3, 1),
    ("ORC", 3, 1),
    ("OBR", 2, 1),
    ("ORC", 2, 1),
)
PLACER: tuple[Place, ...] = (("ORC", 2, 1), ("OBR", 2, 1))
FILLER: tuple[Place, ...] = (("ORC", 3, 1), ("OBR", 3, 1))
PRIORITY: tuple[Place, ...] = (("TQ1", 9, 1), ("ORC", 7, 6), ("OBR", 27, 6), ("OBR", 5, 1))
PROCEDURE: tuple[tuple[str, int], ...] = (("OBR", 4), ("IPC", 6))

# HL7 table 0119: the order is no more.
CANCELLED = frozenset(("CA", "OC", "DC", "OD", "CR", "DR", "UA", "UC", "UD"))

# HL7 table 0203: the identifiers that PatientID (0010,0020) carries, the best first.
PATIENT_ID_TYPES = ("MR", "PI", "PT", "")


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """The patient that an ADT^A08 is about. Nothing of it shows when printed."""

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    family_name: str = field(repr=False)
    given_name: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)


def kind_of(message: Message) -> MessageKind:
    """What a message is to us, by MSH-9."""
    return KINDS.get(message.type, MessageKind.UNKNOWN)


def read_order(message: Message) -> tuple[Order, ...]:
    """The orders of an ORM^O01 or OMI^O23, without cancelled ones.

    Raises:
        Unparsable: no order in it, or one without any number to know it by, or no patient.
    """
    groups = list(_groups(message))
    if not groups:
        raise Unparsable("an order message without ORC and OBR")
    patient = message.first("PID")
    return tuple(_order(group, patient) for group in groups if group["ORC"].value(1).upper() not in CANCELLED)


def read_patient_update(message: Message) -> PatientUpdate:
    """The patient of an ADT^A08.

    Raises:
        Unparsable: no patient identifier.
    """
    pid = message.first("PID")
    patient_id, issuer = patient_of(pid)
    return PatientUpdate(
        patient_id=patient_id,
        issuer=issuer,
        family_name=pid.value(5),
        given_name=pid.value(5, 2),
        birth_date=pid.value(7),
        sex=pid.value(8),
    )


def _groups(message: Message) -> Iterator[dict[str, Segment]]:
    """The first ORC, TQ1, OBR and IPC of each order; an order begins with ORC, or with OBR where ORC is left out."""
    empty = {name: Segment(name, (name,), message.header.delimiters) for name in ("ORC", "TQ1", "OBR", "IPC")}
    group: dict[str, Segment] = {}
    for segment in message.segments:
        if segment.name == "ORC" or (segment.name == "OBR" and "OBR" in group):
            if group:
                yield empty | group
            group = {}
        if segment.name in ("ORC", "OBR") or (group and segment.name in empty):
            group.setdefault(segment.name, segment)
    if group:
        yield empty | group


def _order(group: dict[str, Segment], pid: Segment) -> Order:
    accession = _at(group, ACCESSION)
    if not accession:
        raise Unparsable("an order without accession, filler or placer number")
    patient_id, issuer = patient_of(pid)
    return Order(
        accession_number=accession,
        placer_number=_at(group, PLACER),
        filler_number=_at(group, FILLER),
        patient_id=patient_id,
        issuer=issuer,
        priority=PRIORITIES.get(_at(group, PRIORITY).upper(), Urgency.ROUTINE),
        procedure=next((code for place in PROCEDURE if (code := _code(group[place[0]], place[1]))), None),
    )


def _at(group: dict[str, Segment], places: tuple[Place, ...]) -> str:
    values = (group[name].value(number, component) for name, number, component in places)
    return next((value for value in values if value), "")


def _code(segment: Segment, number: int) -> Code | None:
    # CE: identifier, text, coding system, then the same three of another coding.
    for first in (1, 4):
        value, text, system = (segment.value(number, first + n) for n in range(3))
        if value or text:
            return Code(value, system, text)
    return None


def patient_of(pid: Segment) -> tuple[str, str]:
    """PID-3: the identifier and its assigning authority, of the repetition whose type we like best.

    Raises:
        Unparsable: there is none.
    """
    found = []
    for repetition in range(1, pid.repetitions(3) + 1):
        identifier, kind = pid.value(3, repetition=repetition), pid.value(3, 5, repetition=repetition).upper()
        # HD: a local name, or else a universal id.
        issuer = pid.value(3, 4, 1, repetition) or pid.value(3, 4, 2, repetition)
        if identifier:
            rank = PATIENT_ID_TYPES.index(kind) if kind in PATIENT_ID_TYPES else len(PATIENT_ID_TYPES)
            found.append((rank, repetition, identifier, issuer))
    if not found:
        raise Unparsable("no patient identifier in PID-3")
    _, _, identifier, issuer = min(found)
    return identifier, issuer
