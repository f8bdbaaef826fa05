"""The paths /api/v1/models: versions and their standing, gates, the shadow beside the champion, approvals, cards."""

import dataclasses
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from flows import approving, shadow, standing
from flows.approving import Case
from flows.house import House
from flows.lineage import parted
from radloop.domain.access import Permission, Who
from radloop.domain.enums import ApprovalKind, GateOutcome, Qualification, RunState, Standing
from radloop.domain.errors import Rejected
from radloop.domain.learning import Cohort, Evaluation, StandingChange, TrainingRun
from radloop.domain.records import ModelVersion
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import evaluations as evaluation_rows
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger import training_runs as run_rows
from serving.console.api.readings import REFUSALS
from serving.console.api.wire import WhyIn
from serving.console.by_command import file_of
from serving.console.identity import HouseHere, may
from serving.console.rendering import document

models = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["models"])
Viewer = Annotated[Who, may(Permission.VIEW_MODELS)]
Trainer = Annotated[Who, may(Permission.TRAIN)]
Approver = Annotated[Who, may(Permission.APPROVE)]
RollsBack = Annotated[Who, may(Permission.ROLL_BACK)]
Named = Annotated[
    str,
    Path(pattern=r"^[a-z0-9_]{1,64}@[A-Za-z0-9._-]{1,63}$", description="MODEL@VERSION, or the beginning of a digest"),
]
Model = Annotated[str, Path(pattern=r"^[a-z0-9_]{1,64}$")]
MOST: Final = 100
MOST_DISAGREEMENTS: Final = 200


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ApprovalIn(BaseModel):
    """What is said yes to: that a version answers, or that it is called PRODUCT."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ApprovalKind = ApprovalKind.PROMOTE


class VersionOut(_Out):
    """One version of a model, and since when and by whom it stands as it does."""

    name: str
    version: str
    digest: str
    standing: Standing
    qualification: Qualification
    since: datetime | None
    by: str | None


class StepOut(_Out):
    """One change of standing."""

    digest: str
    before: Standing | None
    after: Standing
    actor: str
    why: str
    at: datetime


class GateOut(_Out):
    """One gate: the measured number and its interval, and what is wanted of it."""

    gate: str
    outcome: GateOutcome
    value: float | None
    low: float | None
    high: float | None
    margin: float | None
    n: int
    words: str


class EvaluationOut(_Out):
    """One look at a test set."""

    id: str
    model: str
    digest: str
    champion: str | None
    original: str | None
    cohort_id: str
    look: int
    alpha: float
    outcome: GateOutcome
    gates: tuple[GateOut, ...]
    actor: str
    at: datetime


class ComparisonOut(_Out):
    """A silent version beside the champion, for one target ('': all together); disagreements are study versions."""

    target: str
    studies: int
    agreement: float | None
    low: float | None
    high: float | None
    difference: float | None
    disagreements: tuple[str, ...]
    silent_seconds: float | None
    champion_seconds: float | None


class ApprovalState(BaseModel):
    """Whether this person may say yes now: the first rule that stands in the way, else None; who has, how many must."""

    kind: ApprovalKind
    refused: str | None
    given: tuple[str, ...]
    people: int


class CohortOut(_Out):
    """A frozen cohort; the members stay in the ledger."""

    id: str
    digest: str
    model: str
    members: int
    left_out: tuple[tuple[str, int], ...]
    actor: str
    at: datetime


class RunOut(_Out):
    """A training run."""

    id: str
    model: str
    cohort_id: str
    parent: str | None
    digest: str | None
    state: RunState
    commit: str
    device: str
    threads: int
    processes: int
    seed: int
    mlflow_run: str | None
    actor: str
    at: datetime
    ended_at: datetime | None


class Form(StrEnum):
    """How a card is written."""

    MD = "md"
    HTML = "html"
    PDF = "pdf"


@models.get("/models")
def list_models(house: HouseHere, _: Viewer) -> tuple[VersionOut, ...]:
    """Every version of every model."""
    with house.ledger.read() as conn:
        steps = standing_rows.newest(conn)
        return tuple(_version(one, steps.get(one.digest)) for one in model_rows.known(conn))


@models.get("/models/{name}/history")
def get_history(name: Model, house: HouseHere, _: Viewer) -> tuple[StepOut, ...]:
    """Every step of every version of a model, the newest first."""
    with house.ledger.read() as conn:
        return tuple(StepOut.model_validate(step) for step in reversed(standing_rows.history(conn, name)))


@models.get("/models/{named}/evaluations")
def get_evaluations(named: Named, house: HouseHere, _: Viewer) -> tuple[EvaluationOut, ...]:
    """Every look at a test set that was taken for a version, the newest first, gate by gate."""
    with house.ledger.read() as conn:
        found = evaluation_rows.of_digest(conn, _find(conn, named).digest)
    return tuple(_evaluation(one) for one in reversed(found))


@models.get("/models/{named}/comparison")
def get_comparison(named: Named, house: HouseHere, _: Viewer) -> tuple[ComparisonOut, ...]:
    """A version's silent answers beside the champion's on the same studies."""
    with house.ledger.read() as conn:
        version = _find(conn, named)
    return tuple(_comparison(one) for one in shadow.comparison(house, version))


@models.get("/models/{named}/approval")
def get_approval(named: Named, house: HouseHere, who: Viewer) -> tuple[ApprovalState, ...]:
    """For each kind of approval: whether whoever asks may say yes now, or the first rule that stands in the way."""
    with house.ledger.read() as conn:
        digest = _find(conn, named).digest
        cases = [approving.gather(conn, digest, who.actor.name, kind) for kind in ApprovalKind]
    return tuple(_state(case) for case in cases)


@models.get("/models/{named}/card")
def get_card(named: Named, house: HouseHere, _: Viewer, form: Form = Form.HTML) -> Response:
    """The version's card, from the record; its figures are computed anew where the test images are still there."""
    _digest(house, named)
    data = file_of(house.settings.home, ["card", named, "--format", form])
    if form is Form.HTML:
        return document(data.decode())
    kind = "application/pdf" if form is Form.PDF else "text/markdown"
    name = f'inline; filename="{named.replace("@", "-")}.{form}"'
    return Response(data, media_type=kind, headers={"Content-Disposition": name})


@models.post("/models/{named}/approvals")
def post_approval(named: Named, said: ApprovalIn, house: HouseHere, who: Approver) -> VersionOut:
    """Say yes in one's own name. The last yes that the change plan asks for brings it about."""
    return _version(standing.approve(house, _digest(house, named), who.actor.name, said.kind), None)


@models.post("/models/{named}/shadow")
def post_shadow(named: Named, said: WhyIn, house: HouseHere, who: Trainer) -> VersionOut:
    """Have a challenger answer live traffic silently."""
    return _version(standing.shadow(house, _digest(house, named), who.actor.name, said.why), None)


@models.post("/models/{name}/rollback")
def post_rollback(name: Model, said: WhyIn, house: HouseHere, who: RollsBack) -> VersionOut:
    """Have the previous champion answer again, at once."""
    return _version(standing.rollback(house, name, who.actor.name, said.why).restored, None)


@models.get("/cohorts")
def list_cohorts(house: HouseHere, _: Viewer, model: str | None = None) -> tuple[CohortOut, ...]:
    """Frozen cohorts, the newest first."""
    with house.ledger.read() as conn:
        return tuple(_cohort(one) for one in cohort_rows.known(conn, model)[:MOST])


@models.get("/training-runs")
def list_runs(house: HouseHere, _: Viewer, model: str | None = None) -> tuple[RunOut, ...]:
    """Training runs, the newest first."""
    with house.ledger.read() as conn:
        return tuple(_run(one) for one in run_rows.known(conn, model)[:MOST])


def _find(conn: Connection, named: str) -> ModelVersion:
    return model_rows.find(conn, *parted(named))


def _digest(house: House, named: str) -> str:
    with house.ledger.read() as conn:
        return _find(conn, named).digest


def _version(one: ModelVersion, step: StandingChange | None) -> VersionOut:
    return VersionOut(
        name=one.name,
        version=one.version,
        digest=one.digest,
        standing=one.standing,
        qualification=one.qualification,
        since=step.at if step else None,
        by=step.actor if step else None,
    )


def _evaluation(one: Evaluation) -> EvaluationOut:
    return EvaluationOut.model_validate(one)


def _run(one: TrainingRun) -> RunOut:
    return RunOut.model_validate(one)


def _cohort(one: Cohort) -> CohortOut:
    values = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    return CohortOut.model_validate({**values, "members": len(one.members)})


def _comparison(one: shadow.Comparison) -> ComparisonOut:
    share = one.agreement
    return ComparisonOut(
        target=one.target,
        studies=one.studies,
        agreement=share.value if one.studies else None,
        low=share.low if one.studies else None,
        high=share.high if one.studies else None,
        difference=one.difference,
        disagreements=one.disagreements[:MOST_DISAGREEMENTS],
        silent_seconds=one.silent_seconds,
        champion_seconds=one.champion_seconds,
    )


def _state(case: Case) -> ApprovalState:
    try:
        approving.decide(case)
    except Rejected as error:
        refused: str | None = str(error)
    else:
        refused = None
    return ApprovalState(kind=case.kind, refused=refused, given=case.given, people=case.people)
