"""Adoption: whether the answers are opened, how soon, agreed with and of use."""

from base64 import b64encode

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
    found = api.measured(house, weeks)
    plots = {one.model: _picture(api.plot_of(found, one.model)) for one in found.models}
    return render(request, who, "adoption.html", found=found, plots=plots, weeks=weeks)


def _picture(svg: str) -> str:
    """For an <img>: counting once is enough for the page and its plots."""
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
