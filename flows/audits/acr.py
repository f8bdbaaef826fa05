"""A period as ACR's Assess-AI takes it: one row for every finding of every answer, and the same as FHIR resources.

Shaped like, not certified by: the columns are those that ACR Connect's template for AI results names ("Import data from
local drive", acrconnectsupport.acr.org), in its order, followed by our own. Without identifiers patients and accession
numbers are ours, and dates are years (45 CFR 164.514(b)(2), the safe harbour). A reader's text is in neither.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias

from flows.audits.cases import Case, Reading
from radloop.ledger.signed import Signed

PLATFORM: Final = "radloop"
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run: header text comes from outside."""


@dataclass(frozen=True, slots=True)
class Names:
    """Whether identifiers and whole dates are given; then `patients` are the hospital's numbers, by study."""

    given: bool = False
    patients: Mapping[str, str] = field(default_factory=dict, repr=False)

    def patient(self, signed: Signed) -> str:
        """The patient's number, or one of ours that holds within one export."""
        return self.patients.get(signed.study_id, "") if self.given else signed.patient

    def accession(self, signed: Signed) -> str:
        """The accession number, or our id of the study."""
        return signed.accession_number if self.given else signed.study_id

    def day(self, at: datetime) -> str:
        """The day as DICOM writes it, or the year alone."""
        return f"{at:%Y%m%d}" if self.given else f"{at:%Y}"

    def moment(self, at: datetime) -> str:
        """The time as FHIR writes it, or the year alone."""
        return at.isoformat() if self.given else f"{at:%Y}"


def to_csv(cases: Iterable[Case], names: Names) -> bytes:
    """The table as UTF-8 CSV (RFC 4180)."""
    with io.StringIO(newline="") as text:
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for case in cases:
            writer.writerow([_safe(column(case, names)) for column in COLUMNS.values()])
        return text.getvalue().encode()


Cell: TypeAlias = Callable[[Case, Names], object]


def _concordance(case: Case) -> str:
    """Of the blinded word where there is one: a reader who saw the AI tends to agree."""
    value = next((value for reading in Reading if (value := case.value(reading)) is not None), None)
    return "" if value is None else "concordant" if bool(value) is case.finding.positive else "discordant"


def _reader_says(case: Case) -> str:
    value = next((value for reading in Reading if (value := case.value(reading)) is not None), None)
    return {None: "", 0: "Negative", 1: "Positive"}[value]


def _reading(case: Case) -> str:
    return next((reading.value for reading in Reading if case.value(reading) is not None), "")


COLUMNS: Final[Mapping[str, Cell]] = MappingProxyType(
    {
        "Patient ID": lambda c, names: names.patient(c.answer.signed),
        "Accession Number": lambda c, names: names.accession(c.answer.signed),
        "Result Indicator": lambda c, _: "Positive" if c.finding.positive else "Negative",
        "AI Result": lambda c, _: c.finding.code.meaning,
        "Manufacturer": lambda _c, _: PLATFORM,
        "Model": lambda c, _: c.model.name,
        # The day it was received: the ledger keeps no study date.
        "Study Date": lambda c, names: names.day(c.answer.signed.received_at),
        "Software Version": lambda c, _: c.model.version,
        "Platform": lambda _c, _: PLATFORM,
        "Inference Date": lambda c, names: names.day(c.answer.result.created_at),
        "Age": lambda c, _: c.facts.age_band,
        "Sex": lambda c, _: c.facts.sex,
        # Not in the images, and not kept.
        "Race": lambda _c, _: "",
        "Ethnicity": lambda _c, _: "",
        "Exam Name": lambda c, _: _exam(c),
        "Modality": lambda c, _: c.answer.device.modality,
        "Body Part Examined": lambda c, _: c.answer.device.body_part,
        "Contrast Indication": lambda _c, _: "",
        "radloop Study Version": lambda c, _: c.answer.signed.version_id,
        "radloop Result": lambda c, _: c.answer.result.id,
        "radloop Model Digest": lambda c, _: c.model.digest,
        "radloop Qualification": lambda c, _: c.model.qualification,
        "Finding Code": lambda c, _: f"{c.finding.code.scheme} {c.finding.code.value}",
        "Probability": lambda c, _: c.finding.probability,
        "Threshold": lambda c, _: c.finding.threshold,
        "Urgency": lambda c, _: c.finding.urgency,
        "Reader Result": lambda c, _: _reader_says(c),
        "Reader Reading": lambda c, _: _reading(c),
        "Concordance": lambda c, _: _concordance(c),
        "Site": lambda c, _: c.answer.signed.site,
        "Scanner Manufacturer": lambda c, _: c.answer.device.manufacturer,
        "Scanner Model": lambda c, _: c.answer.device.model_name,
        "Scanner Station": lambda c, _: c.answer.device.station,
        "Scanner Software Version": lambda c, _: c.answer.device.software,
        "Protocol": lambda c, _: c.answer.device.protocol,
    }
)


def _exam(case: Case) -> str:
    device = case.answer.device
    return " ".join(filter(None, (device.modality, device.body_part, device.view)))


def _safe(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
