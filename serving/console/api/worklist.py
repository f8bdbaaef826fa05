"""The paths /api/v1/worklist: what waits for a reader, urgent first with the reason."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Connection

from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.enums import Urgency
from radloop.ledger import models as model_rows
from radloop.ledger import worklist as worklist_rows
from radloop.ledger.worklist import Cursor, Filter, Place
from serving.console import seen
from serving.console.api.readings import REFUSALS
from serving.console.identity import HouseHere, may
from serving.console.live import events
from serving.console.reading_room import Presence, ReadingRoom
from serving.console.refusals import Malformed
from serving.console.worklist_rows import Row, rows_of

worklist = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["reading"])
Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]
PAGE: Final = 100
TODAY: Final = "today"
Short = Annotated[str, Query(max_length=64)]


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
        page = worklist_rows.page(conn, sought, after, PAGE + 1)
        found = page.entries
        rows = rows_of(conn, found[:PAGE], presence, blinded=house.settings.console.blinded)
    return Listed(
        counts=page.counts, rows=rows, after=cursor_text(found[PAGE - 1].cursor) if len(found) > PAGE else None
    )


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


def _midnight(zone: str) -> datetime:
    return datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
