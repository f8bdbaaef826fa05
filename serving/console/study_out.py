"""What the page and the REST interface say of one study version. It holds patient data, and no UID."""

from datetime import datetime

from pydantic import BaseModel

from radloop.domain.enums import Awareness, Laterality, Qualification, ResultStatus, Severity, Urgency
from radloop.ledger.worklist import Place
from serving.console.api.wire import CodeOut, SignOffOut, VerdictOut


class FindingSeen(BaseModel):
    """One finding as a reader sees it.

    `number` is its place in the whole study's list, from 1: urgent first, then called, then probable. `ordinal` is its
    place in its result. `box` is (left, top, right, bottom) in pixels of the instance. `awareness` is what a verdict of
    this reader on it would be now.
    """

    number: int
    result_id: str
    ordinal: int
    model: str
    model_version: str
    finding: str
    code: CodeOut
    probability: float
    threshold: float
    called: bool
    urgency: Urgency
    severity: Severity | None
    laterality: Laterality | None
    location: str
    instance_id: str | None
    box: tuple[float, float, float, float] | None
    heatmap: bool
    awareness: Awareness
    own: VerdictOut | None
    others: tuple[VerdictOut, ...]

    @property
    def leading(self) -> bool:
        """Whether it stands in the open, whatever else there is."""
        return self.called or self.urgency.rank > 0


class ResultSeen(BaseModel):
    """One model's answer: which model, and what is to be said of the images that it read."""

    id: str
    model: str
    model_version: str
    qualification: Qualification
    digest: str
    status: ResultStatus
    reason: str
    at: datetime
    quality: tuple[str, ...]
    added: tuple[VerdictOut, ...]
    useful: bool | None


class Related(BaseModel):
    """Another study of the patient, or another version of this one. `findings`: what a model called, in words."""

    version_id: str
    number: int
    study_date: str
    received_at: datetime
    modalities: tuple[str, ...]
    description: str
    place: Place
    urgency: Urgency
    findings: tuple[str, ...]


class TargetAsked(BaseModel):
    """What a blinded reader is asked: is it there? Nothing of what the model says."""

    number: int
    result_id: str
    finding: str
    meaning: str


class StudyOut(BaseModel):
    """One study version.

    `blinded`: the AI is not shown to this reader yet; findings, results and what is related say nothing of it then,
    `asked` holds the targets, and `urgent_unseen` says that something urgent was found.
    """

    version_id: str
    number: int
    place: Place
    reason: str
    urgency: Urgency
    ordered: Urgency
    since: datetime
    patient_name: str
    patient_id: str
    age: str
    sex: str
    accession_number: str
    modalities: tuple[str, ...]
    description: str
    study_date: str
    instances: int
    blinded: bool
    urgent_unseen: Urgency | None
    asked: tuple[TargetAsked, ...]
    findings: tuple[FindingSeen, ...]
    results: tuple[ResultSeen, ...]
    quality: tuple[str, ...]
    signoff: SignOffOut | None
    conclusion: str
    newest_version_id: str
    versions: tuple[Related, ...]
    priors: tuple[Related, ...]
    open_now: tuple[str, ...]
    opened_by: tuple[str, ...]
