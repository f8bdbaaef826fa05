"""The FHIR report: self-contained, unverified, and readable by people."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.objects.context import AnswerContext
from integrations.objects.diagnostic_report import ENCODER
from radloop.domain.enums import Urgency
from radloop.domain.errors import InvalidObject
from tests.integrations.objects import answers, reading


def report(ctx: AnswerContext) -> dict[str, object]:
    (obj,) = ENCODER.encode(ctx)
    ENCODER.validate(obj, ctx)
    resource: dict[str, object] = json.loads(obj.data)
    return resource


def contained(resource: dict[str, object], kind: str) -> list[dict[str, object]]:
    parts = resource["contained"]
    assert isinstance(parts, list)
    return [part for part in parts if part["resourceType"] == kind]


def test_it_is_partial_and_its_observations_preliminary_while_nobody_has_verified_them() -> None:
    resource = report(answers.context())
    assert resource["status"] == "partial"
    assert "resultsInterpreter" not in resource
    assert {part["status"] for part in contained(resource, "Observation")} == {"preliminary"}


def test_patient_and_order_are_named_by_the_hospitals_own_identifiers() -> None:
    resource = report(answers.context())
    subject, (order,) = resource["subject"], resource["basedOn"]
    assert subject["identifier"]["value"] == "PID-7"
    assert subject["identifier"]["system"] == "urn:hospital:patients"
    assert subject["identifier"]["assigner"]["display"] == "HOSPITAL"
    assert order["type"] == "ServiceRequest"
    assert order["identifier"]["value"] == "ACC0001"


def test_the_business_identifier_is_what_a_conditional_create_asks_for() -> None:
    (obj,) = ENCODER.encode(answers.context())
    (identifier,) = json.loads(obj.data)["identifier"]
    assert obj.identifier == f"{identifier['system']}|{identifier['value']}"
    assert identifier["value"] == "rs_0123456789abcdef0123"


def test_the_model_the_images_and_the_provenance_are_inside() -> None:
    resource = report(answers.context())
    (device,), (study,), (provenance,) = (
        contained(resource, kind) for kind in ("Device", "ImagingStudy", "Provenance")
    )
    assert device["identifier"][0]["value"] == answers.DIGEST
    assert device["version"][0]["value"] == "1.2.0"
    assert study["identifier"][0]["value"] == f"urn:oid:{answers.STUDY}"
    assert study["series"][0]["instance"][0]["uid"] == f"{answers.ROOT}.2"
    assert provenance["target"] == [{"reference": "#"}]
    assert provenance["agent"][0]["who"] == {"reference": "#device"}


def test_an_observation_answers_its_own_question() -> None:
    positive, negative = contained(report(answers.context()), "Observation")
    assert positive["valueCodeableConcept"]["text"] == "Positive"
    assert negative["valueCodeableConcept"]["text"] == "Negative"
    assert positive["interpretation"][0]["coding"][0]["code"] == "A"
    assert negative["interpretation"][0]["coding"][0]["code"] == "N"
    for part in (positive, negative):
        assert part["device"] == {"reference": "#device"}
        assert part["derivedFrom"] == [{"reference": "#study"}]


def test_a_critical_finding_is_interpreted_as_one() -> None:
    (part,) = contained(report(answers.context([answers.finding(urgency=Urgency.CRITICAL)])), "Observation")
    assert part["interpretation"][0]["coding"][0]["code"] == "AA"


def test_the_form_for_people_lists_every_target_and_the_model() -> None:
    (obj,) = ENCODER.encode(answers.context())
    lines = reading.form(obj).splitlines()
    assert lines[0].startswith("AI result, not a diagnosis. For research use")
    assert lines[1].startswith("Pneumonia (Lung, right), moderate: probability 0.9213, at or above")
    assert lines[2].startswith("Pneumothorax: probability 0.0312, below")
    assert answers.DIGEST in lines[3]


def test_the_form_for_people_tells_what_is_odd_about_the_images() -> None:
    (obj,) = ENCODER.encode(answers.context(quality=("the grey values look inverted",)))
    assert "Image quality: the grey values look inverted" in reading.form(obj).splitlines()


def test_a_patient_without_a_number_is_still_a_report() -> None:
    ctx = answers.context(sources=[answers.header(PatientID=None)], order=None)
    assert report(ctx)["subject"] == {"type": "Patient", "display": "Patient not identified"}


def test_a_contained_resource_that_nothing_refers_to_is_refused() -> None:
    ctx = answers.context()
    (obj,) = ENCODER.encode(ctx)
    resource = json.loads(obj.data)
    resource["contained"].append({"resourceType": "Device", "id": "stray"})
    with pytest.raises(InvalidObject, match=r"dom-3.*stray"):
        ENCODER.validate(replace(obj, data=json.dumps(resource).encode()), ctx)


def test_a_resource_that_breaks_its_definition_is_refused_without_its_values() -> None:
    ctx = answers.context()
    (obj,) = ENCODER.encode(ctx)
    resource = json.loads(obj.data) | {"issued": "Müller"}
    with pytest.raises(InvalidObject) as refused:
        ENCODER.validate(replace(obj, data=json.dumps(resource).encode()), ctx)
    assert "issued" in str(refused.value)
    assert "Müller" not in str(refused.value)


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_makes_a_valid_resource(value: str) -> None:
    raw = value.encode("utf-8", "replace")
    ctx = answers.context(sources=[answers.header(PatientID=raw, AccessionNumber=raw, PatientName=raw)], title=value)
    report(ctx)
