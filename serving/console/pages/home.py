"""The address of the console itself: what an empty system needs first, else the first page that somebody may open."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from serving.console.first_steps import first_steps
from serving.console.identity import Anybody, HouseHere
from serving.console.navigation import pages_for
from serving.console.rendering import render

home = APIRouter(include_in_schema=False)


@home.get("/")
def get_home(request: Request, house: HouseHere, who: Anybody) -> Response:
    """The first page of this person; until the first answer, what is to be done."""
    pages = pages_for(who)
    if not pages:
        return render(request, who, "nothing_here.html")
    if first := first_steps(house, who):
        return render(request, who, "start.html", first=first)
    return RedirectResponse(pages[0].path, status_code=303)
