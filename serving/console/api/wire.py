"""What goes over the wire: verdicts and sign-offs in, answers of models out. No UIDs, no free text of readers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from radloop.domain.enums import Awareness, Laterality, Severity, VerdictKind
from radloop.domain.records import Code, Finding, Result, SignOff, Verdict
from radloop.domain.verdicts import is_override

THANKS: Final = "Thank you: this is recorded, and the model can learn from it."
KEY_LENGTH: Final = 200


def _as_member(value: object) -> object:
    """`saw-ai` for SAW_AI: case and hyphens do not matter."""
    return value.upper().replace("-", "_") if isinstance(value, str) else value


Spoken = BeforeValidator(_as_member)
Key = Annotated[str, StringConstraints(min_length=1, max_length=KEY_LENGTH)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WhyIn(_In):
    """The reason, for the record; no patient data."""

    why: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class CodeIn(_In):
    """A coded concept: SNOMED CT is the scheme SCT."""

    value: str
    scheme: str
    meaning: str


class VerdictIn(_In):
    """What a reader says of one finding of one result."""

    finding: str = Field("", description="the model's own name of the finding (`target`); empty for an addition")
    kind: Annotated[VerdictKind, Spoken]
    id: Key | None = Field(None, description="names this verdict, so that sending it again is safe")
    reader: Name | None = Field(None, description="who read; needed where a machine speaks for a reader")
    at: AwareDatetime | None = Field(None, description="when, with an offset; absent: now")
    awareness: Annotated[Awareness, Spoken] = Field(Awareness.SAW_AI, description="whether the reader had seen the AI")
    text: str = Field("", description="the reader's own words; kept in the ledger only")
    code: CodeIn | None = Field(None, description="what it is, where it is another thing than the model said")
    severity: Annotated[Severity, Spoken] | None = None
    laterality: Annotated[Laterality, Spoken] | None = None


class SignOffIn(_In):
    """A reader closes a study version."""

    reader: Name | None = Field(None, description="who signs; needed where a machine speaks for a reader")
    at: AwareDatetime | None = Field(None, description="when, with an offset; absent: now")
    conclusion: str = Field("", description="the reader's own, for the final report")


class CodeOut(BaseModel):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str


class VerdictOut(BaseModel):
    """A verdict as it is on record."""

    id: str
    result_id: str
    finding: str
    kind: VerdictKind
    override: bool
    reader: str
    entered_by: str
    at: datetime
    awareness: Awareness
    source: str
    code: CodeOut | None
    severity: Severity | None
    laterality: Laterality | None


class Receipt(BaseModel):
    """The answer to a verdict. An override is thanked for, and held against nobody."""

    verdict: VerdictOut
    thanks: str


class FindingOut(BaseModel):
    """One target of the model; listed also below threshold."""

    finding: str
    code: CodeOut
    probability: float
    threshold: float
    called: bool
    urgency: str
    severity: Severity | None
    laterality: Laterality | None


class ResultOut(BaseModel):
    """One model version's answer for one study version, and what readers said of it."""

    id: str
    version_id: str
    model: str
    model_version: str
    digest: str
    qualification: str
    status: str
    reason: str | None
    at: datetime
    findings: tuple[FindingOut, ...]
    verdicts: tuple[VerdictOut, ...]


class SignOffOut(BaseModel):
    """A sign-off as it is on record."""

    version_id: str
    reader: str
    entered_by: str
    at: datetime
    source: str


class Refusal(BaseModel):
    """An error, in our own words: never patient data."""

    code: str
    error: str


def code_of(code: CodeIn | None) -> Code | None:
    """As the domain has it."""
    return Code(code.value, code.scheme, code.meaning) if code else None


def receipt_of(verdict: Verdict) -> Receipt:
    """What whoever entered it is told."""
    return Receipt(verdict=verdict_of(verdict), thanks=THANKS)


def verdict_of(verdict: Verdict) -> VerdictOut:
    """Without the reader's words."""
    return VerdictOut(
        id=verdict.id,
        result_id=verdict.result_id,
        finding=verdict.target,
        kind=verdict.kind,
        override=is_override(verdict),
        reader=verdict.reader,
        entered_by=verdict.actor,
        at=verdict.at,
        awareness=verdict.awareness,
        source=verdict.source,
        code=_code(verdict.code),
        severity=verdict.severity,
        laterality=verdict.laterality,
    )


def result_of(result: Result, verdicts: Iterable[Verdict]) -> ResultOut:
    """A result with the verdicts that are about it."""
    return ResultOut(
        id=result.id,
        version_id=result.version_id,
        model=result.model.name,
        model_version=result.model.version,
        digest=result.model.digest,
        qualification=result.model.qualification,
        status=result.status,
        reason=result.reason,
        at=result.created_at,
        findings=tuple(_finding(finding) for finding in result.findings),
        verdicts=tuple(verdict_of(one) for one in verdicts if one.result_id == result.id),
    )


def signoff_of(signoff: SignOff) -> SignOffOut:
    """Without the reader's conclusion."""
    return SignOffOut(
        version_id=signoff.version_id,
        reader=signoff.reader,
        entered_by=signoff.actor,
        at=signoff.at,
        source=signoff.source,
    )


def _finding(finding: Finding) -> FindingOut:
    return FindingOut(
        finding=finding.target,
        code=CodeOut(value=finding.code.value, scheme=finding.code.scheme, meaning=finding.code.meaning),
        probability=finding.probability,
        threshold=finding.threshold,
        called=finding.positive,
        urgency=finding.urgency,
        severity=finding.severity,
        laterality=finding.laterality,
    )


def _code(code: Code | None) -> CodeOut | None:
    return CodeOut(value=code.value, scheme=code.scheme, meaning=code.meaning) if code else None
