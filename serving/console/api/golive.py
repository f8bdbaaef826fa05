"""The paths /api/v1/golive: which modalities are live, the hourly figures, wider or stop."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from flows import golive as verbs
from radloop.domain.access import Permission, Who
from radloop.domain.ids import utc_now
from radloop.ledger import golive as rows
from radloop.ledger import golive_figures
from radloop.ledger.golive import Step
from serving.console.api.readings import REFUSALS
from serving.console.api.wire import WhyIn
from serving.console.control_room import DAY
from serving.console.identity import HouseHere, may

golive = APIRouter(prefix="/api/v1/golive", responses=REFUSALS, tags=["operations"])
Viewer = Annotated[Who, may(Permission.VIEW_OPERATIONS)]
Operator = Annotated[Who, may(Permission.OPERATE)]
STEPS: Final = 50


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class WidenIn(BaseModel):
    """The modalities that become live beside those that are; absent: all of them. `why` holds no patient data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modalities: Annotated[tuple[Annotated[str, Field(max_length=16)], ...], Field(max_length=64)] | None = None
    why: Annotated[str, Field(min_length=1, max_length=1000)]


class StepOut(_Out):
    """One step: what is live from then on (`modalities` null: all, empty: none)."""

    modalities: tuple[str, ...] | None
    actor: str
    why: str
    at: datetime


class FiguresOut(_Out):
    """One modality in one hour (`hour` null: in the whole day)."""

    modality: str
    hour: datetime | None
    studies: int
    answered: int
    within_fast: int = Field(description="answered within 15 s of being whole")
    within_slow: int = Field(description="answered within 60 s of being whole")
    errors: int
    urgent: int
    verdicts: int
    agreed: int


class GoLiveOut(BaseModel):
    """What is live, in words and by step, the newest first; figures of the last 24 hours by modality and hour."""

    said: str
    steps: tuple[StepOut, ...]
    day: tuple[FiguresOut, ...]
    hours: tuple[FiguresOut, ...]


@golive.get("")
def get_golive(house: HouseHere, _: Viewer) -> GoLiveOut:
    """What is live, and how the last 24 hours went."""
    with house.ledger.read() as conn:
        steps = rows.history(conn, STEPS)
        hours = golive_figures.by_hour(conn, utc_now() - DAY)
    return GoLiveOut(
        said=verbs.said(steps[0] if steps else None),
        steps=tuple(map(_step, steps)),
        day=tuple(map(FiguresOut.model_validate, golive_figures.together(hours))),
        hours=tuple(map(FiguresOut.model_validate, hours)),
    )


@golive.post("/widen")
def post_widen(said: WidenIn, house: HouseHere, who: Operator) -> StepOut:
    """Have further modalities answered aloud."""
    return _step(verbs.widen(house.ledger, who.actor.name, said.why, said.modalities))


@golive.post("/stop")
def post_stop(said: WhyIn, house: HouseHere, who: Operator) -> StepOut:
    """Have every answer from here on kept in silence, at once; studies are read and listed all the same."""
    return _step(verbs.stop(house.ledger, who.actor.name, said.why))


def _step(step: Step) -> StepOut:
    return StepOut.model_validate(step)
