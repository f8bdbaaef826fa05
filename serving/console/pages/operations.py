"""Operations: is anything stuck, and what do I do? One page, live, for whoever keeps the house running."""

from typing import Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response

from radloop.domain.access import Permission
from radloop.settings import Schedule
from serving.console.api import operations as api
from serving.console.api import schedules as schedule_api
from serving.console.api.operations import Cursor, Viewer
from serving.console.identity import HouseHere
from serving.console.rendering import render

operations_pages = APIRouter(include_in_schema=False)
FLOWS: Final = get_args(Schedule.model_fields["flow"].annotation)


@operations_pages.get("/operations")
def get_operations(request: Request, house: HouseHere, who: Viewer) -> Response:
    """The page; what moves of it alone where the page refreshes itself."""
    now = api.get_operations(request, house, who)
    recorded = now.studies is not None
    return render(
        request,
        who,
        "operations_now.html" if "hx-request" in request.headers else "operations.html",
        at_once=now,
        parked=api.list_parked(house, who) if recorded else (),
        set_aside=api.list_quarantine(house, who) if recorded else (),
        page=api.PAGE,
        operates=who.may(Permission.OPERATE),
        models=who.may(Permission.VIEW_MODELS),
        flows=FLOWS,
        peers=tuple(house.settings.peers),
    )


@operations_pages.get("/operations/schedules")
def get_schedules(request: Request, house: HouseHere, who: Viewer) -> Response:
    """The schedules, a part of the page that is asked for by itself: Prefect may be slow, or away."""
    shown = schedule_api.list_schedules(house, who)
    return render(request, who, "schedules.html", shown=shown, operates=who.may(Permission.OPERATE))


@operations_pages.get("/operations/parked")
def get_parked(request: Request, house: HouseHere, who: Viewer, after: Cursor = None) -> Response:
    """All parked deliveries, page by page."""
    found = api.list_parked(house, who, after)
    return render(request, who, "parked.html", parked=found, page=api.PAGE, operates=who.may(Permission.OPERATE))


@operations_pages.get("/operations/quarantine")
def get_quarantine(request: Request, house: HouseHere, who: Viewer, before: Cursor = None) -> Response:
    """All that was set aside, page by page."""
    return render(request, who, "quarantine.html", set_aside=api.list_quarantine(house, who, before), page=api.PAGE)
