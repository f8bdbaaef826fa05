"""A record of the audit as FHIR R4B AuditEvent, coded as its DICOM message is (`radloop.audit.meanings`)."""

from base64 import b64encode
from types import MappingProxyType
from typing import Final, TypeAlias

from fhir.resources.R4B.auditevent import AuditEvent
from pydantic import ValidationError

from radloop.audit.atna import KINDS, SYSTEM, Source, access_of
from radloop.audit.meanings import Code, meaning
from radloop.domain.errors import InvalidObject
from radloop.ledger.audit_log import Entry

Element: TypeAlias = dict[str, object]
"""One JSON object; fhir.resources holds it against its definition."""
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
ACTION: Final = "urn:radloop:audit-action"
ROLE: Final = "urn:radloop:role"
ACTOR: Final = "urn:radloop:actor"
OURS: Final = "urn:radloop:surrogate"
SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
ENTITY_WORDS: Final = MappingProxyType({"1": "Person", "2": "System Object"})


def to_fhir(entry: Entry, source: Source) -> Element:
    """One AuditEvent, checked against its definition.

    Raises:
        InvalidObject: it breaks it, and where; values left out.
    """
    row = meaning(entry.action)
    types = [_dcm(row.type)] if row.type else []
    resource: Element = {
        "resourceType": "AuditEvent",
        "id": entry.id.replace("_", "-"),
        "type": _dcm(row.event),
        "subtype": [*types, {"system": ACTION, "code": entry.action, "display": row.words}],
        "action": str(row.done),
        "recorded": entry.at.isoformat(),
        "outcome": str(row.outcome),
        "agent": [_person(entry), _application(source)],
        "source": _source(source),
        "entity": [_entity(entry)],
    }
    try:
        AuditEvent.model_validate(resource)
    except ValidationError as broken:
        words = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in broken.errors(include_input=False)]
        raise InvalidObject(f"record {entry.id}: {'; '.join(words[:8])}") from None
    return resource


def _person(entry: Entry) -> Element:
    roles = [{"coding": [{"system": ROLE, "code": role}]} for role in entry.role.split(",") if role]
    return {
        "who": {"identifier": {"system": ACTOR, "value": entry.actor}},
        "requestor": True,
        **({"role": roles} if roles else {}),
        **_network(entry.address),
    }


def _application(source: Source) -> Element:
    return {"who": {"display": source.name}, "requestor": False, **_network(source.host)}


def _source(source: Source) -> Element:
    kind = {"system": SOURCE_TYPE, "code": "4", "display": "Application Server"}
    return {"site": source.site, "observer": {"display": source.name}, "type": [kind]}


def _entity(entry: Entry) -> Element:
    type_, role = KINDS.get(entry.object_kind, (SYSTEM, ""))
    details: list[Element] = [
        {"type": "record", "valueString": entry.id},
        {"type": "kind", "valueString": entry.object_kind},
    ]
    if entry.number is not None and entry.link is not None:
        details.append({"type": "number", "valueString": str(entry.number)})
        details.append({"type": "link", "valueBase64Binary": b64encode(entry.link).decode()})
    if entry.detail.strip():
        details.append({"type": "detail", "valueString": entry.detail})
    return {
        "what": {"identifier": {"system": OURS, "value": entry.object_id or "-"}},
        "type": {"system": ENTITY_TYPE, "code": type_, "display": ENTITY_WORDS[type_]},
        **({"role": {"system": OBJECT_ROLE, "code": role}} if role else {}),
        "detail": details,
    }


def _network(address: str) -> Element:
    found = access_of(address)
    return {"network": {"address": found[0], "type": found[1]}} if found else {}


def _dcm(code: Code) -> Element:
    return {"system": DCM, "code": code.value, "display": code.meaning}
