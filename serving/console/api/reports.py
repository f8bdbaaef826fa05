"""The paths /api/v1/reports: audits of a period against its readers, readers' own pages, the business case, exports."""

from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from flows.audits import keeping
from flows.audits.business import Business, business
from flows.audits.disagreement import ReaderPage
from flows.audits.period import Period, whole_days_before
from flows.audits.readers import pages_for
from flows.house import House
from radloop import audit
from radloop.domain.access import Permission, Who
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import audit_reports as report_rows
from radloop.ledger.audit_reports import AuditReport
from serving.console.api.readings import REFUSALS, OurId
from serving.console.identity import HouseHere, may
from serving.console.rendering import document

reports = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["audits"])
Viewer = Annotated[Who, may(Permission.VIEW_DRIFT)]
Exporter = Annotated[Who, may(Permission.EXPORT)]
Reader = Annotated[Who, may(Permission.VIEW_STUDIES)]
File = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,48}\.[a-z]{2,5}$")]
Days = Annotated[int, Query(ge=1, le=3660, description="whole days before today, UTC")]
ModelName = Annotated[str, Query(pattern=r"^[a-z0-9_]{0,64}$")]
MOST: Final = 200
KINDS: Final = {".html": "text/html", ".pdf": "application/pdf", ".json": "application/json", ".csv": "text/csv"}


class ReportIn(BaseModel):
    """Which days a report covers, and of which model ('': all)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[int, Field(ge=1, le=3660)] = 90
    model: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,64}$")] = ""


class ReportOut(BaseModel):
    """One kept report."""

    id: str
    digest: str
    model: str
    start: datetime
    end: datetime
    actor: str
    at: datetime
    files: tuple[str, ...]


class ExportForm(StrEnum):
    """What an export is shaped like."""

    ACR_CSV = "acr-csv"
    ACR_FHIR = "acr-fhir"
    AI_ACT = "ai-act"


@reports.get("/reports")
def list_reports(house: HouseHere, _: Viewer) -> tuple[ReportOut, ...]:
    """Kept reports, the newest first."""
    with house.ledger.read() as conn:
        return tuple(_out(one) for one in report_rows.known(conn, MOST))


@reports.post("/reports", status_code=HTTPStatus.CREATED)
def post_report(said: ReportIn, house: HouseHere, who: Exporter) -> ReportOut:
    """Measure the whole days before today against their readers, sign the report and keep it."""
    period = whole_days_before(utc_now(), timedelta(days=said.days))
    return _out(keeping.make(house, period, who.actor.name, said.model))


@reports.post("/reports/{report_id}/verification")
def post_verification(report_id: OurId, house: HouseHere, _: Viewer) -> ReportOut:
    """Hold a report against its signature; an error where anything was changed."""
    return _out(keeping.verify(house, report_id))


@reports.get("/reports/{report_id}/files/{name}")
def get_file(report_id: OurId, name: File, house: HouseHere, who: Viewer) -> Response:
    """One file of a report."""
    with house.ledger.read() as conn:
        found = report_rows.get(conn, report_id)
    data = keeping.content(house, found, name)
    _record(house, who, "view.report", report_id, name)
    kind = KINDS.get(name[name.rfind(".") :], "application/octet-stream")
    if kind == "text/html":
        return document(data.decode())
    return Response(data, media_type=kind, headers={"Content-Disposition": f'inline; filename="{report_id}-{name}"'})


@reports.get("/readers/pages")
def get_reader_pages(house: HouseHere, who: Reader, days: Days = 90, model: ModelName = "") -> tuple[ReaderPage, ...]:
    """One's own overrides as second reads; of everybody for whoever may see patterns. Never a ranking."""
    period = whole_days_before(utc_now() + timedelta(days=1), timedelta(days=days))
    return pages_for(house, who.actor, period, model=model, leads=who.may(Permission.VIEW_PATTERNS))


@reports.get("/roi")
def get_roi(house: HouseHere, _: Viewer, days: Days = 90, model: ModelName = "") -> Business:
    """The business case of a period, from measured data and the site's own rates, each assumption shown."""
    return business(house, _period(days), model)


@reports.get("/reports/export")
def export(house: HouseHere, who: Exporter, form: ExportForm, days: Days = 90, model: ModelName = "") -> Response:
    """A period as a file for ACR's registry, or for the AI Act's log. Without identifiers."""
    from flows.audits.exporting import exported  # noqa: PLC0415 - its libraries cost memory that few need

    data = exported(house, form, _period(days), who.actor.name, model, identifiers=False)
    ending = {ExportForm.ACR_CSV: "csv"}.get(form, "json")
    kind = {"csv": "text/csv", "json": "application/json"}[ending]
    name = f'attachment; filename="radloop-{form}.{ending}"'
    return Response(data, media_type=kind, headers={"Content-Disposition": name})


def _period(days: int) -> Period:
    return whole_days_before(utc_now(), timedelta(days=days))


def _out(one: AuditReport) -> ReportOut:
    return ReportOut(
        id=one.id,
        digest=one.digest,
        model=one.model,
        start=one.start,
        end=one.end,
        actor=one.actor,
        at=one.at,
        files=tuple(sorted(one.files)),
    )


def _record(house: House, who: Who, action: str, report_id: str, detail: str) -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=who.actor.name,
        action=action,
        object_kind="audit_report",
        object_id=report_id,
        detail=detail,
    )
    with house.ledger.write() as conn:
        audit.append(conn, event)
