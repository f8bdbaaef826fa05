"""Adoption: whether the answers are opened, how soon, agreed with and of use."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.console.api import adoption as api
from serving.console.api.adoption import Viewer, Weeks
from serving.console.identity import HouseHere
from serving.console.rendering import render

adoption_page = APIRouter(include_in_schema=False)


@adoption_page.get("/adoption")
def get_adoption(request: Request, house: HouseHere, who: Viewer, weeks: Weeks = 12) -> Response:
    """Each model over the weeks, a plot of it, and its weeks."""
    return render(request, who, "adoption.html", found=api.get_adoption(house, who, weeks), weeks=weeks)
