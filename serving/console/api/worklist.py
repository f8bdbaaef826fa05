"""The paths /api/v1/worklist: what waits for a reader, urgent first with the reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Connection

from flows.final_report import shown
from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.enums import Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import Finding, Result
from radloop.ledger import models as model_rows
from radloop.ledger import openings as opening_rows
from radloop.ledger import references
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import worklist as worklist_rows
from radloop.ledger.openings import Opening
from radloop.ledger.worklist import Cursor, Entry, Filter, Place
from serving.console import seen
from serving.console.ages import age_of
from serving.console.api.readings import REFUSALS
from serving.console.identity import HouseHere, may
from serving.console.live import events
from serving.console.reading_room import Presence, ReadingRoom
from serving.console.refusals import Malformed

worklist = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["reading"])
Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]
PAGE: Final = 100
FEWEST: Final = 1
"""Findings that a row shows where none is called: the most probable one."""
TODAY: Final = "today"
Short = Annotated[str, Query(max_length=64)]


class FindingLine(BaseModel):
    """One finding as the list shows it."""

    model: str
    finding: str
    meaning: str
    probability: float
    threshold: float
    called: bool
    urgency: Urgency


class Row(BaseModel):
    """One study of the list. `why` says in words what its urgency comes from; `since` is when it began to wait."""

    version_id: str
    number: int
    urgency: Urgency
    why: tuple[str, ...]
    since: datetime
    patient_name: str
    patient_id: str
    age: str
    sex: str
    accession_number: str
    modalities: tuple[str, ...]
    description: str
    place: Place
    reason: str
    findings: tuple[FindingLine, ...]
    further: int
    blinded: bool
    open_now: tuple[str, ...]
    opened_by: tuple[str, ...]
    signed_by: str
    signed_at: datetime | None


class Listed(BaseModel):
    """One page of the list: how many there are of each urgency, the rows, and where the next page begins."""

    counts: dict[Urgency, int]
    rows: tuple[Row, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The filters of the address, as they were asked for."""

    urgency: Urgency | None = None
    modality: str = ""
    model: str = ""
    place: Place | None = None
    text: str = ""
    signed: str = ""
    after: str = ""

    def filter(self, zone: str) -> Filter:
        """What the ledger is asked. Signed ones of today: since midnight at the site."""
        signed = self.signed == TODAY or self.place is Place.SIGNED
        return Filter(
            urgency=self.urgency,
            modality=self.modality,
            model=self.model,
            place=None if self.place is Place.SIGNED else self.place,
            text=" ".join(self.text.split()),
            signed_since=_midnight(zone) if signed else None,
        )


def asked(
    urgency: Short = "",
    modality: Short = "",
    model: Short = "",
    state: Short = "",
    text: Short = "",
    signed: Short = "",
    after: Short = "",
) -> Asked:
    """The filters of a request; one that is there and empty filters nothing, as a form sends it.

    Raises:
        Malformed: an urgency, a state or a place in the list that is none.
    """
    cursor_of(after)
    try:
        return Asked(
            urgency=Urgency(urgency.upper()) if urgency else None,
            modality=_printable(modality),
            model=_printable(model),
            place=Place(state.upper()) if state else None,
            text=_printable(text),
            signed=_printable(signed),
            after=after,
        )
    except ValueError:
        raise Malformed("there is no such urgency or state") from None


Wanted = Annotated[Asked, Depends(asked)]


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def room_of(request: Request) -> ReadingRoom:
    """What the readers of this process share."""
    room: ReadingRoom = request.app.state.reading_room
    return room


@worklist.get("/worklist")
def get_list(request: Request, house: HouseHere, who: Viewer, wanted: Wanted) -> Listed:
    """Open studies (those signed today with `signed=today`), urgent first, then by waiting time; 100 at a time."""
    room = room_of(request)
    seen.record(house, [seen.view(who, "worklist", "worklist", "worklist")])
    return listed_once(house, room, wanted, room.look())


@worklist.get("/worklist/events")
async def get_events(request: Request, _: Viewer) -> StreamingResponse:
    """Server-sent events: one message when the list changes."""
    return events(room_of(request).worklist)


def listed_once(house: House, room: ReadingRoom, wanted: Asked, stamp: str) -> Listed:
    """A page of the list, made once for all who ask for the same at the same stamp."""
    return room.kept.get(("listed", wanted), stamp, lambda: listed(house, room.presence, wanted))


def listed(house: House, presence: Presence, wanted: Asked) -> Listed:
    """A page of the list."""
    sought, after = wanted.filter(house.settings.site.timezone), cursor_of(wanted.after)
    with house.ledger.read() as conn:
        found = worklist_rows.page(conn, sought, after, PAGE + 1)
        counted = worklist_rows.counts(conn, sought)
        rows = _rows(conn, found[:PAGE], presence, blinded=house.settings.console.blinded)
    return Listed(counts=counted, rows=rows, after=cursor_text(found[PAGE - 1].cursor) if len(found) > PAGE else None)


def models_of(conn: Connection) -> tuple[str, ...]:
    """The names of the models that there are, for the filter."""
    return tuple(dict.fromkeys(one.name for one in model_rows.known(conn)))


def cursor_text(cursor: Cursor) -> str:
    """A cursor in an address: our own id and numbers only."""
    return f"{cursor.rank}.{int(cursor.since.timestamp() * 1_000_000)}.{cursor.version_id}"


def cursor_of(text: str) -> Cursor | None:
    """Back from `cursor_text`.

    Raises:
        Malformed: it is none.
    """
    if not text:
        return None
    try:
        rank, micros, version_id = text.split(".")
        seconds, rest = divmod(int(micros), 1_000_000)
        return Cursor(int(rank), datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), version_id)
    except (ValueError, OverflowError, OSError):
        raise Malformed("this is no place in the list") from None


def _rows(conn: Connection, entries: Sequence[Entry], presence: Presence, *, blinded: bool) -> tuple[Row, ...]:
    ids = [entry.version_id for entry in entries]
    found = _answers(conn, entries)
    opened = opening_rows.of_versions(conn, ids)
    signed = signoff_rows.of_versions(conn, ids)
    today = utc_now().date()
    rows = (_row(one, found.get(one.version_id, ()), today, blinded=blinded) for one in entries)
    return tuple(
        row.model_copy(
            update={
                "open_now": presence.of(row.version_id),
                "opened_by": _names(opened.get(row.version_id, ())),
                **({"signed_by": end.reader, "signed_at": end.at} if (end := signed.get(row.version_id)) else {}),
            }
        )
        for row in rows
    )


def _answers(conn: Connection, entries: Iterable[Entry]) -> Mapping[str, Sequence[Result]]:
    """What was said aloud of each; of a newer version that nobody answered yet, what was said of the one before."""
    entries = list(entries)
    found = result_rows.of_versions(conn, [entry.version_id for entry in entries])
    answers = {key: [one for one in results if shown(one)] for key, results in found.items()}
    for entry in entries:
        if entry.number > 1 and not answers.get(entry.version_id):
            before = references.read_version(conn, entry.study_id)
            if before is not None:
                answers[entry.version_id] = [one for one in result_rows.of_version(conn, before.id) if shown(one)]
    return answers


def _row(entry: Entry, results: Sequence[Result], today: date, *, blinded: bool) -> Row:
    findings = sorted(((one, result) for result in results for one in result.findings), key=_weight, reverse=True)
    called = sum(one.positive for one, _ in findings)
    lines = [_line(one, result) for one, result in findings[: max(called, FEWEST)]]
    hidden = blinded and entry.place is not Place.SIGNED
    return Row(
        version_id=entry.version_id,
        number=entry.number,
        urgency=entry.urgency,
        why=tuple(_why(entry, [one for one, _ in findings], blinded=hidden)),
        since=entry.since,
        patient_name=entry.patient_name,
        patient_id=entry.patient_id,
        age=age_of(entry.birth_date, today),
        sex=entry.sex,
        accession_number=entry.accession_number,
        modalities=entry.modalities,
        description=entry.description,
        place=entry.place,
        reason=entry.reason,
        findings=() if hidden else tuple(lines),
        further=0 if hidden else len(findings) - len(lines),
        blinded=hidden and bool(findings),
        open_now=(),
        opened_by=(),
        signed_by="",
        signed_at=None,
    )


def _weight(pair: tuple[Finding, Result]) -> tuple[int, bool, float]:
    finding, _ = pair
    return finding.urgency.rank, finding.positive, finding.probability


def _line(finding: Finding, result: Result) -> FindingLine:
    return FindingLine(
        model=result.model.name,
        finding=finding.target,
        meaning=finding.code.meaning,
        probability=finding.probability,
        threshold=finding.threshold,
        called=finding.positive,
        urgency=finding.urgency,
    )


def _why(entry: Entry, findings: Iterable[Finding], *, blinded: bool) -> Iterable[str]:
    """What raises the study to where it stands; nothing for a routine one."""
    rank = entry.urgency.rank
    if not rank:
        return
    urgent = [one for one in findings if one.urgency.rank >= rank]
    if blinded and urgent:
        # Blinded readers are told that it is urgent, and not why, until they ask.
        yield f"{'a critical' if rank > 1 else 'an urgent'} AI finding"
    elif urgent:
        yield from (f"{one.code.meaning} {one.probability:.2f}" for one in urgent)
    if entry.ordered.rank >= rank:
        yield f"ordered as {entry.ordered.value.lower()}"
    if not urgent and entry.ordered.rank < rank:
        yield "by an earlier version of the study"


def _names(found: Iterable[Opening]) -> tuple[str, ...]:
    return tuple(one.actor for one in found)


def _midnight(zone: str) -> datetime:
    return datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
