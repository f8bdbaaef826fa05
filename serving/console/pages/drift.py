"""Drift and audits: what moved on which scanner, what is done about it, and what the audits said."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from radloop.domain.access import Permission
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.watching import AlarmState
from radloop.ledger import notices, trends
from serving.console.api import alarms as api
from serving.console.api import reports
from serving.console.api.alarms import Days, Viewer
from serving.console.api.readings import OurId
from serving.console.identity import HouseHere
from serving.console.rendering import document, render

drift_pages = APIRouter(include_in_schema=False)
DocsName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,120}\.html$")]
STUDIES_SHOWN: Final = 200


@drift_pages.get("/drift")
def get_drift(request: Request, house: HouseHere, who: Viewer, days: Days = 30, closed: bool = False) -> Response:  # noqa: FBT001, FBT002 - a name of the query
    """Alarms that stand, trends by scanner, baselines, reports."""
    states = tuple(AlarmState) if closed else api.STILL
    with house.ledger.read() as conn:
        plots = trends.targets(conn, utc_now() - timedelta(days=days))
    return render(
        request,
        who,
        "drift.html",
        alarms=api.list_alarms(house, who, states),
        baselines=api.list_baselines(house, who),
        reports=reports.list_reports(house, who),
        plots=plots,
        days=days,
        closed=closed,
        docs=(house.settings.data_docs_path / "index.html").is_file(),
        approves=who.may(Permission.APPROVE),
        exports=who.may(Permission.EXPORT),
    )


@drift_pages.get("/drift/alarms/{alarm_id}")
def get_alarm(request: Request, alarm_id: OurId, house: HouseHere, who: Viewer) -> Response:
    """One alarm: its cause, the statistic, the studies, who was told, what can be done."""
    shown = api.show_alarm(alarm_id, house, who)
    with house.ledger.read() as conn:
        told = notices.of_alarm(conn, alarm_id)
    return render(
        request,
        who,
        "alarm.html",
        alarm=shown,
        versions=shown.study_versions[:STUDIES_SHOWN],
        told=told,
        decides=who.may(Permission.DECIDE_DRIFT),
        studies=who.may(Permission.VIEW_STUDIES),
    )


@drift_pages.get("/data-docs/{name}")
def get_docs(name: DocsName, house: HouseHere, _: Viewer) -> Response:
    """One page of Great Expectations' Data Docs.

    Raises:
        NotFound: there is none of this name.
    """
    file = house.settings.data_docs_path / name
    if not file.is_file():
        raise NotFound("there is no such page; the watch writes them")
    return document(file.read_text(encoding="utf-8"))


@drift_pages.get("/readers")
def get_readers(request: Request, house: HouseHere, who: reports.Reader, days: Days = 90) -> Response:
    """One's own overrides, offered as second reads; of all readers for whoever leads them."""
    pages = reports.get_reader_pages(house, who, days)
    return render(request, who, "readers.html", reader_pages=pages, days=days)


@drift_pages.get("/roi")
def get_roi(request: Request, house: HouseHere, who: Viewer, days: Days = 90) -> Response:
    """The business case, each assumption shown."""
    return render(request, who, "roi.html", case=reports.get_roi(house, who, days), days=days)
