"""The paths /api/v1/alarms, /baselines, /trends: what moved on live traffic, and what is done about it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from flows import alarms as verbs
from flows import baselines
from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.ids import utc_now
from radloop.domain.watching import Alarm, AlarmState, BaselineState, Choice
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import baselines as baseline_rows
from radloop.ledger import trends
from radloop.render.svg import to_svg
from radloop.render.trend import Series, trend
from serving.console.api.readings import REFUSALS, OurId, as_file
from serving.console.api.wire import WhyIn
from serving.console.identity import HouseHere, may

alarms = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["drift"])
Viewer = Annotated[Who, may(Permission.VIEW_DRIFT)]
Decider = Annotated[Who, may(Permission.DECIDE_DRIFT)]
Approver = Annotated[Who, may(Permission.APPROVE)]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Days = Annotated[int, Query(ge=1, le=365)]
STILL = (AlarmState.OPEN, AlarmState.ACKNOWLEDGED)
MOST = 500


class AlarmOut(BaseModel):
    """One alarm: its cause, what spoke, the study versions so far, and what was decided."""

    id: str
    state: AlarmState
    suite: str
    check: str
    model: str
    site: str
    device: str
    cause: str
    since: datetime
    first_study: str | None
    studies: int
    statistic: str
    value: float
    p: float | None
    n: int
    m: int
    smallest_shift: float | None
    opened_at: datetime
    last_seen: datetime
    choice: str | None
    who: str | None
    why: str | None


class Deed(StrEnum):
    """What can be done about an alarm."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    """It may be lived with; it blocks no promotion any more."""
    RETRAIN = "RETRAIN"
    """The model shall learn what moved: acknowledged with that."""
    CLOSE = "CLOSE"
    """Its cause is over."""
    SHADOW = "SHADOW"
    """Its scanner's studies are read, and the answers shown and sent to nobody."""
    UNSHADOW = "UNSHADOW"
    """They are shown again."""


DECISIONS: Final[Mapping[Deed, Callable[[House, str, str, str], Alarm]]] = MappingProxyType(
    {
        Deed.ACKNOWLEDGE: lambda house, alarm, who, why: verbs.decide(house, alarm, Choice.ACKNOWLEDGE, who, why),
        Deed.RETRAIN: lambda house, alarm, who, why: verbs.decide(house, alarm, Choice.RETRAIN, who, why),
        Deed.CLOSE: lambda house, alarm, who, why: verbs.decide(house, alarm, Choice.CLOSE, who, why),
        Deed.SHADOW: verbs.shadow,
        Deed.UNSHADOW: verbs.unshadow,
    }
)


class DecisionIn(WhyIn):
    """What is done about an alarm, and why."""

    choice: Deed


class BaselineOut(BaseModel):
    """One reference distribution."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    model: str
    digest: str
    rows: int
    state: BaselineState
    extends: str | None
    alarm_id: str | None
    cohort_id: str | None
    start: datetime | None
    end: datetime | None
    why: str
    asked_by: str
    at: datetime
    approved_by: str | None
    approved_at: datetime | None


class AlarmWithStudies(AlarmOut):
    """An alarm and the ids of the study versions that its cause touched."""

    study_versions: tuple[str, ...]


@alarms.get("/alarms")
def list_alarms(
    house: HouseHere, _: Viewer, state: Annotated[tuple[AlarmState, ...], Query()] = STILL
) -> tuple[AlarmOut, ...]:
    """The alarms in these states (those that are not closed, where none is named), the newest first."""
    with house.ledger.read() as conn:
        return tuple(AlarmOut.model_validate(_said(one)) for one in alarm_rows.known(conn, state, MOST))


@alarms.get("/alarms/{alarm_id}")
def show_alarm(alarm_id: OurId, house: HouseHere, _: Viewer) -> AlarmWithStudies:
    """One alarm; 404 where there is none."""
    with house.ledger.read() as conn:
        found, studies = alarm_rows.get(conn, alarm_id), alarm_rows.studies_of(conn, alarm_id)
    return AlarmWithStudies.model_validate({**_said(found), "study_versions": studies})


@alarms.post("/alarms/{alarm_id}/decision")
def post_decision(alarm_id: OurId, said: DecisionIn, house: HouseHere, who: Decider) -> AlarmOut:
    """What a person does about it: acknowledge, retrain, close, put its scanner into the shadow or take it out."""
    decided = DECISIONS[said.choice](house, alarm_id, who.actor.name, said.why)
    return AlarmOut.model_validate(_said(decided))


@alarms.post("/alarms/{alarm_id}/extension", status_code=HTTPStatus.CREATED)
def post_extension(alarm_id: OurId, said: WhyIn, house: HouseHere, who: Decider) -> BaselineOut:
    """Propose a baseline that holds what this alarm saw; another person's approval closes the alarm."""
    return BaselineOut.model_validate(baselines.extend_for(house, alarm_id, who.actor.name, said.why))


@alarms.get("/baselines")
def list_baselines(house: HouseHere, _: Viewer, model: str | None = None) -> tuple[BaselineOut, ...]:
    """Reference distributions, the newest first: in force, proposed, replaced."""
    with house.ledger.read() as conn:
        return tuple(BaselineOut.model_validate(one) for one in baseline_rows.known(conn, model))


@alarms.post("/baselines/{baseline_id}/approval")
def post_baseline_approval(baseline_id: OurId, house: HouseHere, who: Approver) -> BaselineOut:
    """Put a proposal into force; not by the person who proposed it."""
    return BaselineOut.model_validate(baselines.approve(house, baseline_id, who.actor.name))


@alarms.get("/trends/{model}/{target}.svg", response_class=Response, responses=as_file("image/svg+xml"))
def get_trend(model: Name, target: Name, house: HouseHere, _: Viewer, days: Days = 30) -> Response:
    """The share of studies called, day by day, a line a scanner (the five busiest)."""
    since = utc_now() - timedelta(days=days)
    with house.ledger.read() as conn:
        found = trends.by_scanner(conn, model, target, since)
    lines = [
        Series(f"{one.site} {one.device} (n = {one.n})", tuple((day.day, day.called) for day in one.days))
        for one in found
    ]
    drawing = trend(lines, f"{model}: share called {target}, {days} days")
    return Response(to_svg(drawing), media_type="image/svg+xml")


def _said(one: Alarm) -> dict[str, object]:
    cause, evidence = one.cause, one.evidence
    return {
        "id": one.id,
        "state": one.state,
        "suite": cause.suite,
        "check": cause.check,
        "model": cause.model,
        "site": cause.site,
        "device": cause.device,
        "cause": cause.words,
        "since": one.since,
        "first_study": one.first_version,
        "studies": one.studies,
        "statistic": evidence.statistic,
        "value": evidence.value,
        "p": evidence.p,
        "n": evidence.n,
        "m": evidence.m,
        "smallest_shift": evidence.smallest_shift,
        "opened_at": one.opened_at,
        "last_seen": one.last_seen,
        "choice": one.choice,
        "who": one.who,
        "why": one.why,
    }
