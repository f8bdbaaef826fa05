"""The paths /api/v1/audit: the record of who did what, whether it is sound, and taking it out."""

import re
import threading
import time as clock
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, Field

from flows.audit_exporting import Form, export_audit
from flows.audit_verifying import verify_audit
from flows.house import House
from radloop.audit.meanings import meaning
from radloop.domain.access import Permission, Role, Who
from radloop.domain.errors import Unavailable
from radloop.ledger import audit_log as record_rows
from radloop.ledger.audit_log import Entry, Place, Selection
from radloop.store import Keyring
from serving.console import seen
from serving.console.api.readings import REFUSALS
from serving.console.identity import HouseHere, may
from serving.console.refusals import Malformed

audit_log = APIRouter(prefix="/api/v1/audit", responses=REFUSALS, tags=["audit"])
Viewer = Annotated[Who, may(Permission.VIEW_AUDIT)]
Exporter = Annotated[Who, may(Permission.EXPORT)]

PAGE: Final = 100
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR: Final = re.compile(r"([0-9]{1,16})-([a-z]{2}_[0-9a-f]{1,28})")
TYPES: Final = {Form.CSV: "text/csv; charset=utf-8", Form.FHIR: "application/fhir+json", Form.ATNA: "application/xml"}
ENDINGS: Final = {Form.CSV: "csv", Form.FHIR: "json", Form.ATNA: "xml"}
_one_at_a_time: Final = threading.Lock()

# No control characters: PostgreSQL takes no NUL.
Word = Annotated[str, Query(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Day = Annotated[
    Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))] | None,
    BeforeValidator(lambda said: said or None),
    Query(description="in the site's time zone"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The filters of the address, as they were asked for; `until` is the last day."""

    actor: str = ""
    action: str = ""
    object_id: str = ""
    role: Role | None = None
    since: date | None = None
    until: date | None = None

    def selection(self, zone: ZoneInfo) -> Selection:
        """What the ledger is asked: days as moments at the site."""
        return Selection(
            actor=self.actor or None,
            action=self.action or None,
            object_id=self.object_id or None,
            role=self.role,
            since=_midnight(self.since, zone) if self.since else None,
            until=_midnight(self.until + timedelta(days=1), zone) if self.until else None,
        )

    @property
    def kinds(self) -> str:
        """By what was looked for, without the words: what this record may know of it."""
        return " ".join(name for name in self.__dataclass_fields__ if getattr(self, name))


def asked(
    actor: Word = "", action: Word = "", object_id: Word = "", role: Word = "", since: Day = None, until: Day = None
) -> Asked:
    """The filters of a request; one that is there and empty filters nothing, as a form sends it.

    Raises:
        Malformed: a role that is none.
    """
    if role and role not in set(Role):
        raise Malformed("role: there is none of this name")
    return Asked(
        actor=actor.strip(),
        action=action.strip(),
        object_id=object_id.strip(),
        role=Role(role) if role else None,
        since=since,
        until=until,
    )


Wanted = Annotated[Asked, Depends(asked)]


class EntryOut(BaseModel):
    """One record. `number` is its place in the chain, null until it is sealed; `link` the chain's HMAC there (hex)."""

    id: str
    number: int | None
    link: str | None
    at: datetime
    actor: str
    role: str
    address: str
    action: str
    meaning: str
    object_kind: str
    object_id: str
    detail: str


class Records(BaseModel):
    """A page of records, the newest first; `after` asks for the older ones, null at the end."""

    records: tuple[EntryOut, ...]
    after: str | None


class VerdictOut(BaseModel):
    """What a walk over the whole record found."""

    sound: bool
    sealed: int = Field(description="records that hold, in their order")
    waiting: int = Field(description="records that the sealer has not reached yet")
    fault: str | None = Field(description="the first thing that does not hold")
    seconds: float


@audit_log.get("")
def list_records(house: HouseHere, who: Viewer, wanted: Wanted, after: Word = "") -> Records:
    """Records that fit, the newest first, 100 a page. `action` also finds those below it: view has view.study."""
    place = place_of(after)
    if place is None:
        # Once for each look, not for each of its pages.
        seen.record(house, [seen.view(who, "audit", "audit", "audit", wanted.kinds)])
    with house.ledger.read() as conn:
        found = record_rows.page(conn, wanted.selection(zone_of(house)), place, PAGE + 1)
    return Records(records=tuple(map(_out, found[:PAGE])), after=_cursor(found[PAGE - 1]) if found[PAGE:] else None)


@audit_log.get("/actions")
def list_actions(house: HouseHere, _: Viewer) -> tuple[str, ...]:
    """Every action that is in the record."""
    with house.ledger.read() as conn:
        return record_rows.actions(conn)


@audit_log.post("/verification")
def post_verification(house: HouseHere, _: Viewer) -> VerdictOut:
    """Walk the whole record: any edit, deletion, reorder or cut is found. One walk at a time."""
    if not _one_at_a_time.acquire(blocking=False):
        raise Unavailable("the record is being walked already: ask again in a moment", retry_after=10.0)
    try:
        began = clock.monotonic()
        key = Keyring.load(house.settings.keys_path).audit_key
        found = verify_audit(house.ledger, key, house.settings.audit_anchor, {})
        seconds = clock.monotonic() - began
    finally:
        _one_at_a_time.release()
    return VerdictOut(
        sound=found.sound, sealed=found.sealed, waiting=found.waiting, fault=found.fault, seconds=round(seconds, 2)
    )


@audit_log.get("/export")
def export(house: HouseHere, who: Exporter, wanted: Wanted, form: Form = Form.CSV) -> StreamingResponse:
    """The records that fit, the oldest first, as a file. That somebody takes them is on record before the first."""
    pieces = export_audit(house, wanted.selection(zone_of(house)), form, who.actor.name)
    name = f'attachment; filename="radloop-audit.{ENDINGS[form]}"'
    return StreamingResponse(pieces, media_type=TYPES[form], headers={"Content-Disposition": name})


def zone_of(house: House) -> ZoneInfo:
    """The site's."""
    return ZoneInfo(house.settings.site.timezone)


def place_of(cursor: str) -> Place | None:
    """Where the page before ended; None for the first.

    Raises:
        Malformed: no page ends there.
    """
    if not cursor:
        return None
    if (found := CURSOR.fullmatch(cursor)) is None:
        raise Malformed("after: not the end of a page")
    return Place(EPOCH + timedelta(microseconds=int(found[1])), found[2])


def _cursor(entry: Entry) -> str:
    return f"{(entry.at - EPOCH) // timedelta(microseconds=1)}-{entry.id}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _out(one: Entry) -> EntryOut:
    return EntryOut(
        id=one.id,
        number=one.number,
        link=one.link.hex() if one.link else None,
        at=one.at,
        actor=one.actor,
        role=one.role,
        address=one.address,
        action=one.action,
        meaning=meaning(one.action).words,
        object_kind=one.object_kind,
        object_id=one.object_id,
        detail=one.detail,
    )
