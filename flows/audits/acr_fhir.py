"""A period as FHIR R4B resources, shaped like what ACR's Assess-AI takes over FHIR: see `flows.audits.acr`."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from flows.audits.acr import PLATFORM, Names
from flows.audits.cases import Case, Reading
from integrations.objects.diagnostic_report.codes import (
    CATEGORY_SYSTEM,
    IMAGING_SYSTEM,
    MODEL_DIGEST,
    NEGATIVE,
    POSITIVE,
    QUALIFICATION,
    STUDY_SYSTEM,
    SYSTEMS,
)
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code

Element: TypeAlias = dict[str, object]
"""One JSON object; fhir.resources holds it against its definition."""
OURS: Final = "urn:radloop:surrogate"
AWARENESS: Final = "urn:radloop:reading"
SCORE: Final = "urn:radloop:score"
GENDERS: Final = MappingProxyType({"F": "female", "M": "male", "O": "other"})


def to_fhir(cases: Sequence[Case], names: Names, at: datetime) -> bytes:
    """The same as one FHIR R4B Bundle (collection), checked against its definition.

    Raises:
        InvalidObject: it breaks it, and where; values left out.
    """
    resources: dict[str, Element] = {}
    for case in cases:
        resources |= {_url(str(one["resourceType"]), str(one["id"])): one for one in _resources(case, names)}
    entries = [{"fullUrl": url, "resource": one} for url, one in resources.items()]
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": at.isoformat(), "entry": entries}
    try:
        checked = Bundle.model_validate(bundle if entries else {**bundle, "entry": None})
    except ValidationError as broken:
        words = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in broken.errors(include_input=False)]
        raise InvalidObject(f"the bundle: {'; '.join(words[:8])}") from None
    return (json.dumps(json.loads(checked.model_dump_json()), indent=1) + "\n").encode()


def _resources(case: Case, names: Names) -> Iterator[Element]:
    yield _person(case, names)
    yield _model(case)
    yield _study(case, names)
    made = _answered(case, names)
    yield made
    yield from _read(case, made)


def _person(case: Case, names: Names) -> Element:
    number = [{"system": OURS, "value": case.answer.signed.patient}]
    if names.given and (own := names.patient(case.answer.signed)):
        number.append({"value": own})
    gender = GENDERS.get(case.facts.sex, "unknown")
    return {"resourceType": "Patient", "id": case.answer.signed.patient, "identifier": number, "gender": gender}


def _model(case: Case) -> Element:
    model = case.model
    return {
        "resourceType": "Device",
        "id": _token(model.digest[:40]),
        "meta": {"tag": [{"system": QUALIFICATION, "code": model.qualification.value}]},
        "identifier": [{"system": MODEL_DIGEST, "value": model.digest}],
        "manufacturer": PLATFORM,
        "deviceName": [{"name": model.name, "type": "model-name"}],
        "version": [{"value": model.version}],
    }


def _study(case: Case, names: Names) -> Element:
    signed = case.answer.signed
    numbers: list[Element] = [{"system": OURS, "value": signed.study_id}]
    if names.given:
        numbers.append({"system": STUDY_SYSTEM, "value": f"urn:oid:{signed.study_uid}"})
        numbers += [{"value": signed.accession_number}] if signed.accession_number else []
    modalities = [{"system": SYSTEMS["DCM"], "code": code} for code in signed.modalities]
    study: Element = {
        "resourceType": "ImagingStudy",
        "id": _token(signed.version_id),
        "identifier": numbers,
        "status": "available",
        "subject": _reference("Patient", signed.patient),
        "started": names.moment(signed.received_at),
    }
    return {**study, "modality": modalities} if modalities else study


def _answered(case: Case, names: Names) -> Element:
    finding, result = case.finding, case.answer.result
    return {
        "resourceType": "Observation",
        "id": _token(f"{result.id}.{finding.target}"),
        "status": "final",
        "category": _category(),
        "code": _concept(finding.code),
        "subject": _reference("Patient", case.answer.signed.patient),
        "effectiveDateTime": names.moment(result.created_at),
        "device": _reference("Device", _token(case.model.digest[:40])),
        "derivedFrom": [_reference("ImagingStudy", _token(result.version_id))],
        "valueCodeableConcept": _concept(POSITIVE if finding.positive else NEGATIVE),
        "component": [_score("probability", finding.probability), _score("threshold", finding.threshold)],
    }


def _read(case: Case, made: Element) -> Iterator[Element]:
    """What readers say of it, one observation for each way of reading; no reader is named."""
    for reading in Reading:
        value = case.value(reading)
        if value is None:
            continue
        yield {
            "resourceType": "Observation",
            "id": _token(f"{made['id']}.{reading.name.lower()}"),
            "status": "final",
            "category": _category(),
            "code": _concept(case.finding.code),
            "subject": _reference("Patient", case.answer.signed.patient),
            "method": {"coding": [{"system": AWARENESS, "code": reading.name}], "text": reading.value},
            "derivedFrom": [
                _reference("ImagingStudy", _token(case.answer.result.version_id)),
                _reference("Observation", str(made["id"])),
            ],
            "valueCodeableConcept": _concept(POSITIVE if value else NEGATIVE),
        }


def _category() -> list[Element]:
    coding = {"system": IMAGING_SYSTEM, "code": "imaging", "display": "Imaging"}
    return [{"coding": [coding, {"system": CATEGORY_SYSTEM, "code": "RAD", "display": "Radiology"}]}]


def _score(name: str, value: float) -> Element:
    quantity = {"value": value, "system": SYSTEMS["UCUM"], "code": "1"}
    return {"code": {"coding": [{"system": SCORE, "code": name}]}, "valueQuantity": quantity}


def _concept(code: Code) -> Element:
    system = {"system": SYSTEMS[code.scheme]} if code.scheme in SYSTEMS else {}
    return {"coding": [{**system, "code": code.value, "display": code.meaning}], "text": code.meaning}


def _reference(kind: str, name: str) -> Element:
    return {"reference": _url(kind, name)}


def _url(kind: str, name: str) -> str:
    """Where an entry of the bundle is found (R4B 2.36.4.1): absolute, and no address of ours."""
    return uuid5(NAMESPACE_OID, f"radloop/{kind}/{name}").urn


def _token(name: str) -> str:
    """An id as FHIR has them (R4B 2.24.0.1): letters, digits, `-` and `.`, at most 64."""
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)[:64]
