"""FHIR R4 DiagnosticReport, self-contained: what it refers to is inside it, or named by the hospital's own identifiers.

One resource is one conditional create on one business identifier, so a resend can never leave half a report behind. The
report before a reader has signed is ordinal 0, the final one ordinal 1, each with an identifier of its own: what was
sent is never rewritten.
"""

import base64
import json
from typing import TypeAlias

from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from pydantic import ValidationError

from integrations.objects import concepts, narrative
from integrations.objects.context import AnswerContext, Signed
from integrations.objects.diagnostic_report import codes
from integrations.objects.diagnostic_report.statements import Statement, conclusion, lines, statements
from integrations.objects.source import Image, Source, read_source
from integrations.objects.values import plain
from radloop.domain.enums import ObjectKind, ResultStatus
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject, Finding

Element: TypeAlias = dict[str, object]
"""One JSON object of the resource; fhir.resources holds it against its definition."""

DEVICE: Element = {"reference": "#device"}
STUDY: Element = {"reference": "#study"}
ITSELF: Element = {"reference": "#"}
# What qualifies a finding that the model calls, and one that a reader states; the site is the bodySite.
CALLED = (concepts.PRIORITY, concepts.SEVERITY, concepts.LATERALITY)
READ = (concepts.SEVERITY, concepts.LATERALITY)


class DiagnosticReportEncoder:
    """RESULTS.md, FHIR R4."""

    kind = ObjectKind.DIAGNOSTIC_REPORT
    statuses = frozenset({ResultStatus.OK})

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """One resource.

        Raises:
            InvalidObject: it breaks the resource's own definition.
        """
        report = _checked(_report(ctx, read_source(ctx)))
        data = report.model_dump_json().encode("utf-8")
        ordinal = 0 if ctx.signed is None else 1
        made = EncodedObject(
            kind=self.kind, ordinal=ordinal, identifier=_name(ctx), media_type=codes.MEDIA_TYPE, data=data
        )
        return (made,)

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """By fhir.resources, invariant dom-3, and the identifier.

        Raises:
            InvalidObject: in the validator's words, values left out.
        """
        resource = json.loads(obj.data)
        _checked(resource)
        loose = _unreferenced(resource)
        if loose:
            raise InvalidObject(f"{obj.kind}: dom-3: contained and not referred to: {', '.join(sorted(loose))}")
        stated = resource["identifier"][0]
        if not f"{stated['system']}|{stated['value']}" == obj.identifier == _name(ctx):
            raise InvalidObject(f"{obj.kind}: the identifier is not the one of this result")


ENCODER = DiagnosticReportEncoder()


def _checked(resource: Element) -> DiagnosticReport:
    try:
        return DiagnosticReport.model_validate(resource)
    except ValidationError as broken:
        # The path and the rule; the value may be the patient's.
        words = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in broken.errors(include_input=False)]
        raise InvalidObject(f"DIAGNOSTIC_REPORT: {'; '.join(words[:8])}") from None


def _unreferenced(resource: Element) -> set[str]:
    """Contained resources that nothing refers to, and that do not refer to the report (R4 DomainResource, dom-3)."""
    contained = resource["contained"]
    parts = {str(p["id"]): json.dumps(p) for p in contained} if isinstance(contained, list) else {}
    whole = json.dumps(resource)
    return {name for name, part in parts.items() if f'"#{name}"' not in whole and '"reference": "#"' not in part}


def _name(ctx: AnswerContext) -> str:
    return f"{ctx.site.fhir_system}|{_value(ctx)}"


def _value(ctx: AnswerContext) -> str:
    return ctx.result.id if ctx.signed is None else f"{ctx.result.id}.final"


def _report(ctx: AnswerContext, source: Source) -> Element:
    stated = statements(ctx)
    findings = [_finding(ctx, source, n, one) for n, one in enumerate(stated, 1)]
    resource: Element = {
        "resourceType": "DiagnosticReport",
        "meta": {"tag": [{"system": codes.QUALIFICATION, "code": ctx.result.model.qualification}]},
        "contained": [_study(ctx, source), _device(ctx), *findings, _provenance(ctx)],
        "identifier": [{"system": ctx.site.fhir_system, "value": _value(ctx)}],
        # Unverified: `preliminary` would mean verified early results (R4 DiagnosticReport.status).
        "status": "partial" if ctx.signed is None else "final",
        "category": [{"coding": [{"system": codes.CATEGORY_SYSTEM, "code": "RAD", "display": "Radiology"}]}],
        "code": _concept(source.procedure or codes.REPORT),
        "subject": _subject(ctx, source),
        "issued": _issued(ctx),
        "resultsInterpreter": [_reader(ctx, ctx.signed)] if ctx.signed else [],
        "result": [{"reference": f"#{finding['id']}"} for finding in findings],
        "imagingStudy": [STUDY],
        "conclusion": conclusion(ctx),
        "conclusionCode": [_concept(one.finding.code) for one in stated if _concluded(ctx, one)],
        "presentedForm": [_form(ctx)],
        "basedOn": _based_on(ctx, source),
        "effectiveDateTime": _performed(source),
    }
    return _filled(resource)


def _issued(ctx: AnswerContext) -> str:
    return (ctx.signed.at if ctx.signed else ctx.result.created_at).isoformat()


def _concluded(ctx: AnswerContext, one: Statement) -> bool:
    """What is said to be there: by the model until a reader has signed, then by the reader alone."""
    return one.finding.positive and (ctx.signed is None or one.verified)


def _reader(ctx: AnswerContext, signed: Signed) -> Element:
    """The reader by a number: we keep no practitioners, so there is no resource to point at."""
    number = _filled({"system": ctx.site.practitioner_system, "value": plain(signed.reader_id)})
    return _filled({"type": "Practitioner", "identifier": number, "display": plain(signed.reader)})


def _filled(element: Element) -> Element:
    """FHIR has no empty lists or strings (R4 section 2.6.2)."""
    return {key: value for key, value in element.items() if value not in ("", [], {})}


def _concept(code: Code) -> Element:
    coding = _filled(
        {"system": codes.SYSTEMS.get(code.scheme, ""), "code": _token(code.value), "display": plain(code.meaning)}
    )
    return _filled({"coding": [coding], "text": plain(code.meaning)})


def _token(text: str) -> str:
    """A FHIR code: no white space but single spaces inside (R4 section 2.24.0.1)."""
    return " ".join(plain(text).split())


def _subject(ctx: AnswerContext, source: Source) -> Element:
    """The patient by the hospital's own number: we keep no patients, so there is no resource to point at."""
    subject = source.subject
    if not subject.id:
        return {"type": "Patient", "display": "Patient not identified"}
    assigner = {"display": subject.issuer} if subject.issuer else {}
    number: Element = {"type": _identifier_type("MR"), "system": ctx.site.patient_system, "value": subject.id}
    return {"type": "Patient", "identifier": _filled(number | {"assigner": assigner})}


def _identifier_type(code: str) -> Element:
    return {"coding": [{"system": codes.IDENTIFIER_TYPE_SYSTEM, "code": code}]}


def _based_on(ctx: AnswerContext, source: Source) -> list[Element]:
    """The order by its accession number."""
    accession = (plain(ctx.order.accession_number) if ctx.order else "") or source.accession
    number: Element = {"type": _identifier_type("ACSN"), "system": ctx.site.accession_system, "value": accession}
    return [{"type": "ServiceRequest", "identifier": _filled(number)}] if accession else []


def _performed(source: Source) -> str:
    """When the study was done, as far as its header says."""
    day, clock = source.study_date, source.study_time
    if not day:
        return ""
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    shift = f"{source.timezone_offset[:3]}:{source.timezone_offset[3:]}"
    return f"{date}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}{shift}" if len(clock) >= 6 else date


def _study(ctx: AnswerContext, source: Source) -> Element:
    """The images read, by their own UIDs."""
    series = {image.series_uid: image for image in source.images}
    listed = [_series(source, image) for image in series.values()]
    return _filled(
        {
            "resourceType": "ImagingStudy",
            "id": "study",
            "identifier": [{"system": codes.STUDY_SYSTEM, "value": f"urn:oid:{source.study_uid}"}],
            "status": "available",
            "subject": _subject(ctx, source),
            "series": listed,
        }
    )


def _series(source: Source, first: Image) -> Element:
    images = [image for image in source.images if image.series_uid == first.series_uid]
    modality = {"system": codes.SYSTEMS["DCM"], "code": _token(first.modality)}
    instances = [{"uid": i.sop_uid, "sopClass": _sop_class(i)} for i in images]
    return {"uid": first.series_uid, "modality": modality, "instance": instances}


def _sop_class(image: Image) -> Element:
    return {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{image.sop_class_uid}"}


def _device(ctx: AnswerContext) -> Element:
    """The model: name, version, and the digest of its weights."""
    model = ctx.result.model
    names = [("user-friendly-name", plain(ctx.title)), ("model-name", plain(model.name))]
    return {
        "resourceType": "Device",
        "id": "device",
        "identifier": [{"system": codes.MODEL_DIGEST, "value": model.digest}],
        "status": "active",
        "manufacturer": "radloop",
        "deviceName": [{"type": kind, "name": name} for kind, name in names if name],
        "version": [{"value": plain(model.version)}, {"value": plain(f"radloop {ctx.software_version}")}],
    }


def _provenance(ctx: AnswerContext) -> Element:
    """Who made the report, who stands for it, and from what it was made."""
    agents = [_agent("assembler", "Assembler", DEVICE)]
    entities: list[Element] = [{"role": "source", "what": STUDY}]
    if ctx.signed is not None:
        agents.append(_agent("verifier", "Verifier", _reader(ctx, ctx.signed)))
        number = {"system": ctx.site.fhir_system, "value": ctx.result.id}
        entities.append({"role": "revision", "what": {"type": "DiagnosticReport", "identifier": number}})
    return {
        "resourceType": "Provenance",
        "id": "provenance",
        "target": [ITSELF],
        "recorded": _issued(ctx),
        "agent": agents,
        "entity": entities,
    }


def _agent(code: str, display: str, who: Element) -> Element:
    role = {"system": codes.PARTICIPANT_SYSTEM, "code": code, "display": display}
    return {"type": {"coding": [role]}, "who": who}


def _finding(ctx: AnswerContext, source: Source, number: int, one: Statement) -> Element:
    """One target: the code asks, the value answers, so that a negative is never read as the finding itself."""
    imaging = {"system": codes.IMAGING_SYSTEM, "code": "imaging", "display": "Imaging"}
    finding = one.finding
    return _filled(
        {
            "resourceType": "Observation",
            "id": f"finding-{number}",
            "status": one.status,
            "category": [{"coding": [imaging]}],
            "code": _concept(finding.code),
            "subject": _subject(ctx, source),
            "issued": _issued(ctx),
            "performer": [_reader(ctx, ctx.signed)] if ctx.signed and one.verified else [],
            "valueCodeableConcept": _concept(codes.POSITIVE if finding.positive else codes.NEGATIVE),
            "interpretation": [_interpretation(finding)],
            "bodySite": _concept(finding.location) if finding.location else {},
            "device": {} if one.by_reader else DEVICE,
            "derivedFrom": [STUDY],
            "component": _components(one),
        }
    )


def _interpretation(finding: Finding) -> Element:
    code, display = codes.INTERPRETATIONS[finding.urgency] if concepts.actionable(finding) else codes.NORMAL
    return {"coding": [{"system": codes.INTERPRETATION_SYSTEM, "code": code, "display": display}]}


def _components(one: Statement) -> list[Element]:
    """The model's numbers, where it is the model that speaks, then what qualifies the finding."""
    finding = one.finding
    numbers = ((concepts.PROBABILITY, finding.probability), (concepts.THRESHOLD, finding.threshold))
    measured: list[Element] = [{"code": _concept(name), "valueQuantity": _quantity(value)} for name, value in numbers]
    coded: list[Element] = [
        {"code": _concept(name), "valueCodeableConcept": _concept(value)}
        for name, value in (*concepts.qualifiers(finding), *concepts.places(finding))
        if name in (READ if one.by_reader else CALLED)
    ]
    return coded if one.by_reader else measured + coded


def _quantity(value: float) -> Element:
    return {"value": round(value, 4), "system": codes.SYSTEMS["UCUM"], "code": concepts.NO_UNITS.value}


def _form(ctx: AnswerContext) -> Element:
    """The report for people, as plain text."""
    text = "\n".join(lines(ctx))
    heading = narrative.NOT_A_DIAGNOSIS if ctx.signed is None else "Final report"
    return {
        "contentType": "text/plain; charset=utf-8",
        "language": "en",
        "data": base64.b64encode(text.encode("utf-8")).decode("ascii"),
        "title": plain(f"{heading}: {ctx.title}"),
        "creation": _issued(ctx),
    }
