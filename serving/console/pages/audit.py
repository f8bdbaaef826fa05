"""Audit: who did what, filtered and page by page; whether the record is sound; taking it out."""

from dataclasses import asdict
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from flows.audit_exporting import Form
from radloop.domain.access import Permission, Role
from radloop.domain.errors import Unavailable
from serving.console.api import audit as api
from serving.console.api.audit import Asked, Viewer, Wanted, Word
from serving.console.identity import HouseHere
from serving.console.rendering import render

audit_pages = APIRouter(include_in_schema=False)


@audit_pages.get("/audit")
def get_audit(request: Request, house: HouseHere, who: Viewer, wanted: Wanted, after: Word = "") -> Response:
    """The records that fit, the newest first."""
    found = api.list_records(house, who, wanted, after)
    query = query_of(wanted)
    return render(
        request,
        who,
        "audit.html",
        found=found,
        wanted=wanted,
        query=query,
        first=f"/audit?{query}" if after else None,
        older=f"/audit?{query}{'&' if query else ''}after={found.after}" if found.after else None,
        actions=api.list_actions(house, who),
        roles=tuple(Role),
        forms=tuple(Form) if who.may(Permission.EXPORT) else (),
        explains=who.may(Permission.VIEW_LINEAGE),
    )


@audit_pages.post("/audit/verification")
def post_verification(request: Request, house: HouseHere, who: Viewer) -> Response:
    """What a walk over the whole record found, for the page to put in its place."""
    try:
        found = api.post_verification(house, who)
    except Unavailable as error:
        return render(request, who, "audit_verdict.html", found=None, problem=str(error))
    return render(request, who, "audit_verdict.html", found=found, problem="")


def query_of(wanted: Asked) -> str:
    """The filters as part of an address; what filters nothing is left out."""
    return urlencode({name: value for name, value in asdict(wanted).items() if value})
