"""Going live step by step: what is live, the hourly figures, wider or stop."""

from collections.abc import Iterable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from flows.house import House
from radloop.domain.access import Permission
from serving.console.api import golive as api
from serving.console.api.golive import FiguresOut, Viewer
from serving.console.identity import HouseHere
from serving.console.rendering import render

golive_page = APIRouter(include_in_schema=False)


@golive_page.get("/operations/go-live")
def get_golive(request: Request, house: HouseHere, who: Viewer) -> Response:
    """The page; its figures alone where it refreshes itself."""
    now = api.get_golive(house, who)
    step = now.steps[0] if now.steps else None
    live = step.modalities if step else None
    return render(
        request,
        who,
        "golive_now.html" if "hx-request" in request.headers else "golive.html",
        golive=now,
        step=step,
        live=live,
        further=[one for one in _offered(house, now.day) if live is not None and one not in live],
        operates=who.may(Permission.OPERATE),
    )


def _offered(house: House, day: Iterable[FiguresOut]) -> tuple[str, ...]:
    """The modalities of the last day, and those that the routes name."""
    routed = (name for route in house.settings.routes for name in route.when.modality if name.isalnum())
    return tuple(sorted({*(name.upper() for name in routed), *(one.modality for one in day)}))
