"""The paths /api/v1/lineage: any answer back to what it rests on, any model version to what it touched."""

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from flows.chain import Node
from flows.house import House
from flows.lineage import Touch, explain
from flows.lineage import touched as what_it_touched
from flows.picture import picture_of
from radloop import audit
from radloop.domain.access import Permission, Who
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger.searching import Found, Sought, results_like
from serving.console.api.readings import REFUSALS, as_file
from serving.console.identity import HouseHere, may

lineage = APIRouter(prefix="/api/v1/lineage", responses=REFUSALS, tags=["lineage"])
Viewer = Annotated[Who, may(Permission.VIEW_LINEAGE)]
Exporter = Annotated[Who, may(Permission.EXPORT)]
PAGE: Final = 50
RESULT_ID: Final = r"^rs_[0-9a-f]{1,28}$"
"""As `flows.answers` makes them."""
ResultId = Annotated[str, Path(pattern=RESULT_ID)]
Named = Annotated[str, Path(max_length=128, pattern=r"^[a-z0-9_]{1,64}@[A-Za-z0-9._-]{1,63}$")]
# No control characters: PostgreSQL takes no NUL. The site's zone needs room at both ends of the calendar.
Word = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))]


class SearchIn(BaseModel):
    """What is known of a result. It travels in the body: accession numbers and UIDs belong in no address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accession: Word = ""
    name: Word = Field("", description="a result, study version or study of ours; a UID; an object's identifier")
    model: Word = Field("", description="a model's name")
    version: Word = Field("", description="its version, or the beginning of a digest")
    reader: Word = ""
    since: Day | None = Field(None, description="first day, in the site's time zone")
    until: Day | None = Field(None, description="last day")
    before_at: AwareDatetime | None = Field(None, description="of the last row of the page before")
    before_id: Word = ""


class FoundOut(BaseModel):
    """One result among those found."""

    model_config = ConfigDict(from_attributes=True)

    result_id: str
    version_id: str
    model: str
    model_version: str
    standing: str
    status: str
    at: datetime


class Results(BaseModel):
    """A page of results, and whether there are more."""

    results: tuple[FoundOut, ...]
    more: bool


class NodeOut(BaseModel):
    """One record of a chain, and those below it."""

    kind: str
    title: str
    id: str
    digest: str | None
    at: datetime | None
    by: str | None
    on_record: bool
    facts: tuple[tuple[str, str], ...]
    children: tuple["NodeOut", ...]


class TouchedOut(BaseModel):
    """A study version that a model version read; our ids only."""

    result_id: str
    version_id: str
    status: str
    standing: str
    at: datetime


class TouchOut(BaseModel):
    """What a model version read, the runs that it comes from, and of how many patients it learned."""

    model: str
    version: str
    digest: str
    standing: str
    read: tuple[TouchedOut, ...]
    runs: tuple[str, ...]
    cohorts: tuple[str, ...]
    patients: int


@lineage.post("/search")
def search(said: SearchIn, house: HouseHere, who: Viewer) -> Results:
    """Find results, the newest first; 50 a page."""
    sought = sought_of(said, ZoneInfo(house.settings.site.timezone))
    before = (said.before_at.astimezone(UTC), said.before_id) if said.before_at else None
    with house.ledger.write() as conn:
        audit.append(conn, _event(who, "search", "lineage", "results", " ".join(sought.kinds)))
        found = results_like(conn, sought, before, PAGE + 1)
    return Results(results=tuple(map(_found, found[:PAGE])), more=len(found) > PAGE)


@lineage.get("/results/{result_id}")
def get_chain(result_id: ResultId, house: HouseHere, who: Viewer) -> NodeOut:
    """The chain of one result: images, checks, model, training, gates, approvals; objects, deliveries, verdicts."""
    return node_out(chain_of(house, who, result_id))


@lineage.get("/results/{result_id}/picture.svg", response_class=Response, responses=as_file("image/svg+xml"))
def get_picture(result_id: ResultId, house: HouseHere, _: Viewer) -> Response:
    """The same as a picture."""
    return Response(picture_of(explain(house, result_id)[0]), media_type="image/svg+xml")


@lineage.get("/results/{result_id}/export")
def export_chain(result_id: ResultId, house: HouseHere, who: Exporter) -> Response:
    """The same as a file (JSON)."""
    found = node_out(explain(house, result_id)[0])
    _record_export(house, who, "result", result_id)
    name = f'attachment; filename="lineage-{result_id}.json"'
    return Response(
        found.model_dump_json(indent=1), media_type="application/json", headers={"Content-Disposition": name}
    )


@lineage.get("/models/{named}")
def get_touched(named: Named, house: HouseHere, _: Viewer) -> TouchOut:
    """Forwards: every study version that MODEL@VERSION read, and what it and its ancestors learned from."""
    return touch_out(what_it_touched(house, named))


@lineage.get("/models/{named}/export")
def export_touched(named: Named, house: HouseHere, who: Exporter) -> Response:
    """The studies of MODEL@VERSION as a file (CSV): our ids, no patient data."""
    touch = touch_out(what_it_touched(house, named))
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(TouchedOut.model_fields)
    rows.writerows(one.model_dump(mode="json").values() for one in touch.read)
    _record_export(house, who, "model_version", touch.digest[:12])
    name = f'attachment; filename="touched-{touch.digest[:12]}.csv"'
    return Response(text.getvalue(), media_type="text/csv", headers={"Content-Disposition": name})


def chain_of(house: House, who: Who, result_id: str) -> Node:
    """The chain of one result, looked at by somebody: the audit says so.

    Raises:
        NotFound: there is no such result.
    """
    node = explain(house, result_id)[0]
    with house.ledger.write() as conn:
        audit.append(conn, _event(who, "view.result", "result", result_id, "lineage"))
    return node


def sought_of(said: SearchIn, zone: ZoneInfo) -> Sought:
    """What is searched, its days as moments of the site's time zone."""
    return Sought(
        accession=said.accession.strip(),
        name=said.name.strip(),
        model=said.model.strip(),
        version=said.version.strip(),
        reader=said.reader.strip(),
        since=_midnight(said.since, zone),
        until=_midnight(said.until + timedelta(days=1), zone) if said.until else None,
    )


def node_out(node: Node) -> NodeOut:
    """For the wire."""
    return NodeOut(
        kind=node.kind,
        title=node.title,
        id=node.id,
        digest=node.digest,
        at=node.at,
        by=node.by,
        on_record=node.on_record,
        facts=node.facts,
        children=tuple(node_out(child) for child in node.children),
    )


def touch_out(touch: Touch) -> TouchOut:
    """For the wire, without UIDs."""
    return TouchOut(
        model=touch.version.name,
        version=touch.version.version,
        digest=touch.version.digest,
        standing=touch.version.standing,
        read=tuple(
            TouchedOut(
                result_id=one.result_id,
                version_id=one.version_id,
                status=one.status,
                standing=one.standing,
                at=one.at,
            )
            for one in touch.readings
        ),
        runs=tuple(one.run.id for one in touch.taught),
        cohorts=tuple(one.cohort.id for one in touch.taught),
        patients=len(touch.patients),
    )


def _midnight(day: date | None, zone: ZoneInfo) -> datetime | None:
    return datetime.combine(day, time(), zone).astimezone(UTC) if day else None


def _found(one: Found) -> FoundOut:
    return FoundOut.model_validate(one)


def _record_export(house: House, who: Who, kind: str, object_id: str) -> None:
    with house.ledger.write() as conn:
        audit.append(conn, _event(who, "export", kind, object_id, "lineage"))


def _event(who: Who, action: str, kind: str, object_id: str, detail: str = "") -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=who.actor.name, action=action, object_kind=kind, object_id=object_id, detail=detail
    )
