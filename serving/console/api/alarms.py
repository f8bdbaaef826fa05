"""The paths /api/v1/alarms: what moved on live traffic, for whoever may see it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from radloop.domain.access import Permission, Who
from radloop.domain.watching import Alarm, AlarmState
from radloop.ledger import alarms as alarm_rows
from serving.console.api.readings import REFUSALS, OurId
from serving.console.identity import HouseHere, may

alarms = APIRouter(prefix="/api/v1", responses=REFUSALS)
Viewer = Annotated[Who, may(Permission.VIEW_DRIFT)]
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
