"""The paths /api/v1/studies: one study version as a reader sees it, reading without the AI first, what changes live."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from flows.blind_reading import Judged, Judgement, read_blind, show_ai
from radloop.domain.access import Permission, Who
from serving.console.api.readings import REFUSALS, OurId
from serving.console.api.wire import THANKS, Key
from serving.console.identity import HouseHere, may, reader_for
from serving.console.live import events
from serving.console.reading_room import ReadingRoom, while_present
from serving.console.study_out import StudyOut
from serving.console.study_view import open_study

studies = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["reading"])
Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]
Reader = Annotated[Who, may(Permission.READ)]
MOST_TARGETS: Final = 500
Blinded = Annotated[bool, Query(description="the AI after one's own verdict, for this study")]


class JudgedIn(BaseModel):
    """What the reader holds of one target, before the AI is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    result_id: str = Field(max_length=32)
    finding: Key
    judgement: Judgement


class BlindIn(BaseModel):
    """Everything that the reader says before the AI is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    judgements: tuple[JudgedIn, ...] = Field((), max_length=MOST_TARGETS)


class Shown(BaseModel):
    """The AI is shown from now on; how many verdicts were entered before."""

    version_id: str
    verdicts: int
    thanks: str


@studies.get("/studies/{version_id}")
def get_study(
    version_id: OurId,
    request: Request,
    house: HouseHere,
    who: Viewer,
    blinded: Blinded = False,  # noqa: FBT002 - a name of the query
) -> StudyOut:
    """One study version: the patient, the models' answers with verdicts and votes, priors, sign-off."""
    return open_study(house, _room(request), who, version_id, blinded=blinded)


@studies.get("/studies/{version_id}/events")
async def get_events(version_id: OurId, request: Request, who: Viewer) -> StreamingResponse:
    """Server-sent events: one message when something of the study changes. Who listens has it open."""
    room = _room(request)
    answer = events(room.study(version_id))
    answer.body_iterator = while_present(room.presence, version_id, who.actor.name, answer.body_iterator)
    return answer


@studies.post("/studies/{version_id}/blind", status_code=HTTPStatus.CREATED)
def post_blind(version_id: OurId, said: BlindIn, house: HouseHere, who: Reader) -> Shown:
    """Enter what one holds of each target before the AI is shown, and show it: 422 where it was shown before."""
    reader = reader_for(who.actor, None)
    judged = [Judged(one.result_id, one.finding, one.judgement) for one in said.judgements]
    entered = read_blind(house, version_id, reader, judged)
    return Shown(version_id=version_id, verdicts=len(entered), thanks=THANKS)


@studies.post("/studies/{version_id}/show-ai")
def post_show(version_id: OurId, house: HouseHere, who: Reader) -> Shown:
    """Show the AI without a verdict first: reading this study blinded is over."""
    show_ai(house, version_id, reader_for(who.actor, None))
    return Shown(version_id=version_id, verdicts=0, thanks="The AI's answer is shown.")


def _room(request: Request) -> ReadingRoom:
    room: ReadingRoom = request.app.state.reading_room
    return room
