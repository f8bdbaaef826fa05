"""The code systems and value sets of the FHIR report."""

from radloop.domain.enums import Urgency
from radloop.domain.records import Code

MEDIA_TYPE = "application/fhir+json"

# https://hl7.org/fhir/R4/terminologies-systems.html: the URI of each scheme that DICOM names by a designator.
SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "RADLEX": "http://www.radlex.org",
    "UCUM": "http://unitsofmeasure.org",
}

REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
"""Where neither the order nor the images say what was done."""
MODEL_DIGEST = "urn:radloop:model-digest"
QUALIFICATION = "urn:radloop:qualification"
STUDY_SYSTEM = "urn:dicom:uid"
"""With urn:oid: before the UID (ImagingStudy, notes)."""

CATEGORY_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0074"
IMAGING_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
IDENTIFIER_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0203"
PARTICIPANT_SYSTEM = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

# Observation.interpretation of a target that is actionable, by urgency; N for every other.
INTERPRETATIONS = {
    Urgency.ROUTINE: ("A", "Abnormal"),
    Urgency.URGENT: ("A", "Abnormal"),
    Urgency.CRITICAL: ("AA", "Critical abnormal"),
}
NORMAL = ("N", "Normal")

# Observation.value: on which side of its threshold the target is (SNOMED CT qualifier values).
POSITIVE = Code("10828004", "SCT", "Positive")
NEGATIVE = Code("260385009", "SCT", "Negative")
