"""The address of the console itself: to the first page that somebody may open."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from serving.console.identity import Anybody
from serving.console.navigation import pages_for
from serving.console.rendering import render

home = APIRouter(include_in_schema=False)


@home.get("/")
def get_home(request: Request, who: Anybody) -> Response:
    """The first page of this person."""
    pages = pages_for(who)
    if not pages:
        return render(request, who, "nothing_here.html")
    return RedirectResponse(pages[0].path, status_code=303)
