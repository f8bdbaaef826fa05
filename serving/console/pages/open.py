"""The way in from the PACS: a signed link to one study, with the site's single sign-on and no second login."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from flows.house import House
from radloop import audit, links
from radloop.domain.access import Permission, Who
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import studies as study_rows
from radloop.links import LinkRefused
from serving.console.identity import HouseHere, may
from serving.console.refusals import status_of
from serving.console.rendering import render

open_page = APIRouter(include_in_schema=False)
Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]


@open_page.get("/open")
def get_open(
    request: Request,
    house: HouseHere,
    who: Viewer,
    study: Annotated[str, Query(max_length=64)] = "",
    until: Annotated[str, Query(max_length=16)] = "",
    key: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """On to the newest version of the study; a page that says why not, where the link is none."""
    try:
        return RedirectResponse(f"/studies/{_named(house, study, until, key)}", status_code=303)
    except (LinkRefused, NotFound) as error:
        _record(house, who, error.code)
        return render(request, who, "link.html", status=status_of(error), problem=str(error))


def _named(house: House, study: str, until: str, key: str) -> str:
    """The version that the link is about.

    Raises:
        LinkRefused: it is not, or no longer, a link of the PACS.
        NotFound: the study has not come here.
    """
    shared = links.read_key(house.settings.keys_path / links.KEY_NAME)
    if not (links.UID.fullmatch(study) and until.isascii() and until.isdigit()):
        raise LinkRefused("this link is not complete: open the study from the PACS again")
    links.check(shared, study, int(until), key, utc_now())
    with house.ledger.read() as conn:
        version = study_rows.latest_of(conn, study)
    if version is None:
        raise NotFound("this study has not been sent here, or not yet: try again when its images have arrived")
    return version.id


def _record(house: House, who: Who, why: str) -> None:
    refused = AuditEvent(
        at=utc_now(), actor=who.actor.name, action="link.refuse", object_kind="path", object_id="/open", detail=why
    )
    with house.ledger.write() as conn:
        audit.append(conn, refused)
