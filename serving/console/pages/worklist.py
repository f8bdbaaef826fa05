"""The worklist: what waits, urgent first with the reason; live, by keyboard, and as cards on a phone."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from radloop.domain.enums import Urgency
from radloop.ledger import worklist as worklist_rows
from radloop.ledger.worklist import Filter, Place
from serving.console import seen
from serving.console.api.images import warm
from serving.console.api.readings import OurId
from serving.console.api.worklist import Viewer, Wanted, models_of, room_of
from serving.console.drawing import address, changes, draw, stream_address
from serving.console.first_steps import first_steps
from serving.console.identity import HouseHere
from serving.console.rendering import render

worklist_page = APIRouter(include_in_schema=False)
Digest = Annotated[str, Query(max_length=16)]


@worklist_page.get("/worklist")
def get_worklist(request: Request, house: HouseHere, who: Viewer, wanted: Wanted) -> Response:
    """The page."""
    warm()
    room = room_of(request)
    seen.record(house, [seen.view(who, "worklist", "worklist", "worklist")])
    stamp = room.look()
    with house.ledger.read() as conn:
        models = models_of(conn)
        modalities = room.kept.get("modalities", stamp, lambda: worklist_rows.modalities(conn))
    drawn = draw(request, house, wanted, stamp)
    return render(
        request,
        who,
        "worklist.html",
        wanted=wanted,
        drawn=drawn,
        stream=stream_address(wanted, drawn),
        here=address(wanted),
        models=models,
        modalities=modalities,
        places=tuple(Place),
        urgencies=tuple(reversed(Urgency)),
        first=first_steps(house, who),
    )


@worklist_page.get("/api/v1/worklist/rows/events")
async def get_changes(
    request: Request, house: HouseHere, _: Viewer, wanted: Wanted, have: Digest = ""
) -> StreamingResponse:
    """What the page puts in the place of its rows and counts, as they change. Programs listen to /worklist/events."""
    stream = changes(request, house, wanted, have)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@worklist_page.get("/worklist/next")
def get_next(request: Request, house: HouseHere, _: Viewer, after: OurId | None = None) -> Response:
    """On to the first study that nobody else has open; back to the list where nothing waits."""
    presence = room_of(request).presence
    with house.ledger.read() as conn:
        waiting = worklist_rows.page(conn, Filter()).entries
    free = (one.version_id for one in waiting if one.version_id != after and not presence.of(one.version_id))
    found = next(free, None)
    return RedirectResponse(f"/studies/{found}" if found else "/worklist", status_code=303)
