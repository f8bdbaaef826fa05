"""The worklist: what waits, urgent first with the reason; live, by keyboard, and as cards on a phone."""

from dataclasses import asdict, replace
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from radloop.domain.enums import Urgency
from radloop.ledger import worklist as worklist_rows
from radloop.ledger.worklist import Filter, Place
from serving.console import seen
from serving.console.api.images import warm
from serving.console.api.readings import OurId
from serving.console.api.worklist import (
    Asked,
    Listed,
    Viewer,
    Wanted,
    listed_once,
    models_of,
    room_of,
)
from serving.console.identity import BACKGROUND_HEADER, HouseHere
from serving.console.rendering import render, render_text

worklist_page = APIRouter(include_in_schema=False)
PART = "worklist_rows.html"


@worklist_page.get("/worklist")
def get_worklist(request: Request, house: HouseHere, who: Viewer, wanted: Wanted) -> Response:
    """The page; its rows alone where the page refreshes itself."""
    room = room_of(request)
    if "hx-request" in request.headers:
        stamp = room.worklist.stamp if BACKGROUND_HEADER in request.headers else ""
        return Response(_rows(request, wanted, stamp or room.look()), media_type="text/html; charset=utf-8")
    warm()
    seen.record(house, [seen.view(who, "worklist", "worklist", "worklist")])
    stamp = room.look()
    with house.ledger.read() as conn:
        models = models_of(conn)
        modalities = room.kept.get("modalities", stamp, lambda: worklist_rows.modalities(conn))
    return render(
        request,
        who,
        "worklist.html",
        wanted=wanted,
        rows=_rows(request, wanted, stamp).decode(),
        here=address(wanted),
        models=models,
        modalities=modalities,
        places=tuple(Place),
        urgencies=tuple(reversed(Urgency)),
    )


@worklist_page.get("/worklist/next")
def get_next(request: Request, house: HouseHere, _: Viewer, after: OurId | None = None) -> Response:
    """On to the first study that nobody else has open; back to the list where nothing waits."""
    presence = room_of(request).presence
    with house.ledger.read() as conn:
        waiting = worklist_rows.page(conn, Filter())
    free = (one.version_id for one in waiting if one.version_id != after and not presence.of(one.version_id))
    found = next(free, None)
    return RedirectResponse(f"/studies/{found}" if found else "/worklist", status_code=303)


def address(wanted: Asked, **changes: object) -> str:
    """The list's own address with these filters; what filters nothing is left out."""
    asked = asdict(replace(wanted, **{"after": "", **changes}) if changes else wanted)  # type: ignore[arg-type]
    asked["state"] = asked.pop("place")
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/worklist?{query}" if query else "/worklist"


def _rows(request: Request, wanted: Asked, stamp: str) -> bytes:
    """The rows as they are shown, drawn once for all who watch the same; nothing in them is one person's own."""
    room = room_of(request)

    def draw() -> bytes:
        found: Listed = listed_once(request.app.state.house, room, wanted, stamp)
        view = {
            "found": found,
            "wanted": wanted,
            "by_urgency": {urgency: address(wanted, urgency=urgency) for urgency in found.counts},
            "everything": address(wanted, urgency=None),
            "further": address(wanted, after=found.after) if found.after else None,
            "first": address(wanted, after="") if wanted.after else None,
        }
        return render_text(request, None, PART, **view).encode()

    return room.kept.get(("drawn", wanted), stamp, draw)
