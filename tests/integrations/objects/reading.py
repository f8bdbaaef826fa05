"""Reads our objects back as a stranger would: by the standards' own paths, with none of the encoders' code."""

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset, dcmread

from radloop.domain.enums import ObjectKind, Urgency
from radloop.domain.records import EncodedObject

CATEGORIES = {"RID49480": Urgency.CRITICAL, "RID49481": Urgency.URGENT, "RID49482": Urgency.ROUTINE}


@dataclass(frozen=True)
class Read:
    """One finding as an object tells it."""

    code: str
    probability: float
    threshold: float
    urgency: Urgency
    positive: bool


def findings(obj: EncodedObject) -> list[Read]:
    return list(READERS[obj.kind](obj.data))


def dicom(obj: EncodedObject) -> Dataset:
    return dcmread(io.BytesIO(obj.data))


def groups(ds: Dataset) -> list[Dataset]:
    """The measurement groups (125007) under imaging measurements (126010)."""
    measurements = [item for item in ds.ContentSequence if name_of(item) == "126010"]
    return [group for item in measurements for group in item.ContentSequence if name_of(group) == "125007"]


def name_of(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def named(group: Dataset, code: str) -> list[Dataset]:
    return [item for item in group.ContentSequence if name_of(item) == code]


def coded_value(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def number(group: Dataset, code: str) -> float:
    return float(named(group, code)[0].MeasuredValueSequence[0].NumericValue)


def _sr(data: bytes) -> Iterator[Read]:
    for group in groups(dcmread(io.BytesIO(data))):
        stated = [item.TextValue for item in named(group, "111002")]
        threshold = next(text for text in stated if text.startswith("threshold="))
        assert float(threshold.partition("=")[2]) == number(group, "122411")
        category = [coded_value(item) for item in named(group, "260870009")]
        yield Read(
            coded_value(named(group, "121071")[0]),
            number(group, "122157"),
            number(group, "122411"),
            CATEGORIES[category[0]] if category else Urgency.ROUTINE,
            coded_value(named(group, "111017")[0]) == "111242",
        )


def segments(data: bytes) -> list[list[str]]:
    text = data.decode("utf-8")
    assert text.endswith("\r")
    return [line.split("|") for line in text[:-1].split("\r")]


def unescape(text: str) -> str:
    characters = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
    return re.sub(r"\\([FSTRE])\\", lambda match: characters[match[1]], text)


def _oru(data: bytes) -> Iterator[Read]:
    observations = [fields for fields in segments(data) if fields[0] == "OBX" and fields[4]]
    for sub_id in sorted({fields[4] for fields in observations}, key=int):
        own = {fields[3].partition("^")[0]: fields for fields in observations if fields[4] == sub_id}
        category = own["260870009"][5].partition("^")[0] if "260870009" in own else "RID49482"
        yield Read(
            own["121071"][5].partition("^")[0],
            float(own["122157"][5]),
            float(own["122157"][7].lstrip("<")),
            CATEGORIES[category],
            own["111017"][5].startswith("111242"),
        )


def _report(data: bytes) -> Iterator[Read]:
    for part in json.loads(data)["contained"]:
        if part["resourceType"] != "Observation":
            continue
        own = {c["code"]["coding"][0]["code"]: c for c in part["component"]}
        category = own["260870009"]["valueCodeableConcept"]["coding"][0]["code"] if "260870009" in own else "RID49482"
        yield Read(
            part["code"]["coding"][0]["code"],
            own["122157"]["valueQuantity"]["value"],
            own["122411"]["valueQuantity"]["value"],
            CATEGORIES[category],
            part["valueCodeableConcept"]["coding"][0]["code"] == "10828004",
        )


def form(obj: EncodedObject) -> str:
    """The report for people."""
    return base64.b64decode(json.loads(obj.data)["presentedForm"][0]["data"]).decode("utf-8")


READERS = {ObjectKind.SR: _sr, ObjectKind.ORU: _oru, ObjectKind.DIAGNOSTIC_REPORT: _report}
