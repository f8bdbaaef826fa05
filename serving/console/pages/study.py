"""A study: its images to the left, what models and readers say of them to the right. Nothing stands in the way."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.enums import Laterality, Severity
from radloop.ledger import instances as instance_rows
from radloop.ledger import studies as study_rows
from serving.console.api.images import warm
from serving.console.api.readings import OurId
from serving.console.api.studies import Blinded, Viewer
from serving.console.api.wire import CodeOut
from serving.console.api.worklist import room_of
from serving.console.identity import HouseHere
from serving.console.rendering import render
from serving.console.study_out import StudyOut
from serving.console.study_view import look_again, open_study

study_page = APIRouter(include_in_schema=False)
Part = Annotated[Literal["alerts", "findings"], Query()]
TEMPLATES: Final = {"alerts": "study_alerts.html", "findings": "study_findings.html"}


class Concept(BaseModel):
    """Something that a reader can choose by name, for a modification or an addition."""

    result_id: str
    finding: str
    code: CodeOut


@study_page.get("/studies/{version_id}")
def get_study(
    version_id: OurId,
    request: Request,
    house: HouseHere,
    who: Viewer,
    blinded: Blinded = False,  # noqa: FBT002 - a name of the query
) -> Response:
    """The page. Opening it is on record before it is shown."""
    warm()
    found = open_study(house, room_of(request), who, version_id, blinded=blinded)
    view = _view(found, who, blinded=blinded)
    return render(request, who, "study.html", viewer=_viewer(house, found), first=_first(house, found), **view)


@study_page.get("/studies/{version_id}/part")
def get_part(
    version_id: OurId,
    request: Request,
    house: HouseHere,
    who: Viewer,
    name: Part,
    blinded: Blinded = False,  # noqa: FBT002 - a name of the query
) -> Response:
    """One part of the page, for the page itself: what changed since it was opened."""
    found = look_again(house, room_of(request), who, version_id, blinded=blinded)
    return render(request, who, TEMPLATES[name], **_view(found, who, blinded=blinded))


def _view(found: StudyOut, who: Who, *, blinded: bool) -> dict[str, Any]:
    """What the templates go by, the page's and its parts' alike."""
    return {
        "study": found,
        "leading": [one for one in found.findings if one.leading],
        "rest": [one for one in found.findings if not one.leading],
        "may_read": who.may(Permission.READ) and found.signoff is None,
        "reader": who.may(Permission.READ),
        "sees_models": who.may(Permission.VIEW_MODELS),
        "sees_lineage": who.may(Permission.VIEW_LINEAGE),
        "concepts": _concepts(found),
        "severities": tuple(Severity),
        "lateralities": tuple(Laterality),
        "part_query": "&blinded=1" if blinded else "",
    }


def _concepts(found: StudyOut) -> list[Concept]:
    """What the models know, by name: every target is a finding, called or not."""
    return [Concept(result_id=one.result_id, finding=one.finding, code=one.code) for one in found.findings]


def _first(house: House, found: StudyOut) -> str:
    """The image to begin with: where the first finding lies, or the only one; '' where the stack's order says it."""
    key_image = next((one.instance_id for one in found.findings if one.leading and one.instance_id), None)
    if key_image is not None or found.instances != 1:
        return key_image or ""
    with house.ledger.read() as conn:
        return next((one.id for one in instance_rows.of_version(conn, found.version_id)), "")


def _viewer(house: House, found: StudyOut) -> str | None:
    """The address of the same study in the viewer of the PACS."""
    template = house.settings.console.viewer
    if not template:
        return None
    with house.ledger.read() as conn:
        version = study_rows.get(conn, found.version_id)
    uid = version.study_uid if version else ""
    accession = quote(found.accession_number, safe="")
    return template.replace("{study_uid}", quote(uid, safe="")).replace("{accession}", accession)
