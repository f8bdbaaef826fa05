"""The paths /api/v1/operations: whether anything is stuck, what goes through how fast, and what IT does about it."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from flows import echoing, outbox, stuck
from flows.house import House
from flows.standstill import Seen
from radloop.domain.access import Permission, Who
from radloop.domain.errors import Transient
from radloop.domain.ids import utc_now
from radloop.domain.records import Delivery, Quarantined
from radloop.domain.watching import Notice
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import notices as notice_rows
from radloop.ledger import quarantine as quarantine_rows
from radloop.ledger import throughput
from radloop.ledger.throughput import PeerTraffic
from serving.console.api.readings import REFUSALS, OurId
from serving.console.api.wire import WhyIn
from serving.console.control_room import DAY, ControlRoom, control_room_of
from serving.console.identity import HouseHere, may
from serving.console.live import events

operations = APIRouter(prefix="/api/v1/operations", responses=REFUSALS, tags=["operations"])
Viewer = Annotated[Who, may(Permission.VIEW_OPERATIONS)]
Operator = Annotated[Who, may(Permission.OPERATE)]
PeerName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Cursor = Annotated[str | None, Query(pattern=r"^[a-z]{2}_[0-9a-f]{1,28}$")]
HOUR: Final = timedelta(hours=1)
PAGE: Final = 50
MOST_NOTICES: Final = 20


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TroubleOut(_Out):
    """Something that does not go on by itself, and what a person does about it."""

    what: str
    since: datetime | None
    count: int
    do: str
    place: str


class SpanOut(_Out):
    """How long a stage took: of how many, median and 95th percentile in seconds."""

    count: int
    median: float | None
    p95: float | None


class StagesOut(_Out):
    """The stages of the studies received since a time: whole, answered, taken by the peers."""

    since: datetime
    studies: int
    complete: SpanOut
    answered: SpanOut
    accepted: SpanOut


class PeerOut(BaseModel):
    """A peer: what waits for it by state, what it took in the last day and last, and its breaker."""

    name: str
    roles: tuple[str, ...]
    ways: tuple[str, ...]
    waiting: dict[str, int]
    accepted: int
    accepted_at: datetime | None
    failures: int
    open_until: datetime | None
    breaker: str


class ProcessOut(_Out):
    """A process as the supervisor sees it."""

    name: str
    state: str
    ready: bool
    essential: bool
    failures: int


class DiskOut(_Out):
    """The disk of the store, in bytes."""

    total: int
    free: int


class ForecastOut(_Out):
    """How long the disk lasts: bytes a day by kind, what retention frees in 30 days, days until it is full.

    `days_left` is null where it does not fill; `obeyed` false where nobody has seen a dry run of the policy yet, so
    that retention deletes nothing.
    """

    days: float
    per_day: dict[str, float]
    freed_ahead: int
    held_back: int
    obeyed: bool
    days_left: float | None


class NoticeOut(_Out):
    """A notice of an alarm that nobody got yet."""

    id: str
    alarm_id: str
    channel: str
    state: str
    attempts: int
    at: datetime
    error: str | None


class OperationsOut(BaseModel):
    """The house at one moment. What stands in the ledger is None while that is away."""

    at: datetime
    verdict: str
    troubles: tuple[TroubleOut, ...]
    processes: tuple[ProcessOut, ...]
    away: tuple[str, ...]
    disk: DiskOut | None
    forecast: ForecastOut | None
    studies: dict[str, int] | None
    last_hour: StagesOut | None
    last_day: StagesOut | None
    peers: tuple[PeerOut, ...]
    quarantine: dict[str, int]
    notices: tuple[NoticeOut, ...]


class DeliveryOut(BaseModel):
    """A delivery that waits for a person."""

    id: str
    version_id: str
    peer: str
    kind: str
    urgency: str
    attempts: int
    error: str | None


class QuarantinedOut(BaseModel):
    """Something that was set aside: why, from whom, how large. Its bytes are kept."""

    id: str
    reason: str
    peer: str
    size: int | None
    at: datetime


class DoneOut(BaseModel):
    """How many were changed."""

    count: int


class TriedOut(_Out):
    """One way to a peer that was tried."""

    how: str
    answered: bool
    seconds: float
    words: str


class EchoOut(BaseModel):
    """Whether a peer is there, by every way that the settings give, and in a sentence."""

    peer: str
    answered: bool
    tried: tuple[TriedOut, ...]
    said: str


@operations.get("")
def get_operations(request: Request, house: HouseHere, _: Viewer) -> OperationsOut:
    """The house now: what is stuck and what to do, counts, times by stage, peers, processes, disk."""
    seen = control_room_of(request).look()
    found = stuck.troubles(seen)
    out = OperationsOut(
        at=seen.at,
        verdict=stuck.verdict(found),
        troubles=tuple(map(TroubleOut.model_validate, found)),
        processes=tuple(map(ProcessOut.model_validate, seen.processes)),
        away=seen.away,
        disk=DiskOut.model_validate(seen.disk) if seen.disk else None,
        forecast=None,
        studies=None,
        last_hour=None,
        last_day=None,
        peers=(),
        quarantine={},
        notices=(),
    )
    return out.model_copy(update=_recorded(house, seen, control_room_of(request)))


@operations.get("/troubles")
def get_troubles(request: Request, _: Viewer) -> tuple[TroubleOut, ...]:
    """What is stuck, what hurts most first; `radloop status --stuck` prints the same."""
    return tuple(map(TroubleOut.model_validate, stuck.troubles(control_room_of(request).look())))


@operations.get("/events", response_class=StreamingResponse)
async def get_events(request: Request, _: Viewer) -> StreamingResponse:
    """Server-sent events: a message whenever `GET /operations` says something else."""
    return events(control_room_of(request).pulse)


@operations.get("/parked")
def list_parked(house: HouseHere, _: Viewer, after: Cursor = None) -> tuple[DeliveryOut, ...]:
    """Deliveries that wait for a person, the oldest first; more of them after the last id of a page."""
    with house.ledger.read() as conn:
        return tuple(map(_delivery, delivery_rows.parked(conn, PAGE, after)))


@operations.post("/deliveries/{delivery_id}/resend")
def post_resend(delivery_id: OurId, house: HouseHere, who: Operator) -> DoneOut:
    """Send a delivery again, with the same bytes and identifiers."""
    with house.ledger.write() as conn:
        outbox.resend(conn, who.actor.name, [delivery_id])
    return DoneOut(count=1)


@operations.post("/deliveries/{delivery_id}/drop")
def post_drop(delivery_id: OurId, said: WhyIn, house: HouseHere, who: Operator) -> DoneOut:
    """Give a delivery up, with a reason."""
    with house.ledger.write() as conn:
        outbox.drop(conn, who.actor.name, [delivery_id], said.why)
    return DoneOut(count=1)


@operations.post("/peers/{name}/resend")
def post_resend_parked(name: PeerName, house: HouseHere, who: Operator) -> DoneOut:
    """Send all of a peer's parked deliveries again."""
    with house.ledger.write() as conn:
        found = outbox.parked(conn, name)
        outbox.resend(conn, who.actor.name, found)
    return DoneOut(count=len(found))


@operations.post("/peers/{name}/echo")
def post_echo(name: PeerName, house: HouseHere, who: Operator) -> EchoOut:
    """Try every way to a peer: C-ECHO, a connection over MLLP, FHIR's CapabilityStatement."""
    tried = echoing.echo(house, name, who.actor.name)
    return EchoOut(
        peer=name,
        answered=all(one.answered for one in tried),
        tried=tuple(map(TriedOut.model_validate, tried)),
        said=f"{name}: {'; '.join(map(_echoed, tried))}.",
    )


@operations.get("/quarantine")
def list_quarantine(house: HouseHere, _: Viewer, before: Cursor = None) -> tuple[QuarantinedOut, ...]:
    """What was set aside, the newest first; more of it before the last id of a page."""
    with house.ledger.read() as conn:
        return tuple(map(_quarantined, quarantine_rows.latest(conn, PAGE, before)))


def _recorded(house: House, seen: Seen, room: ControlRoom) -> dict[str, object]:
    """What the ledger says; nothing where it is away, which is no reason to say nothing of the rest."""
    if seen.record is None:
        return {}
    now = utc_now()
    try:
        with house.ledger.read() as conn:
            return {
                "studies": throughput.open_studies(conn),
                "last_hour": StagesOut.model_validate(throughput.stages(conn, now - HOUR)),
                "last_day": StagesOut.model_validate(throughput.stages(conn, now - DAY)),
                "peers": _peers(house, conn, now),
                "quarantine": quarantine_rows.counts(conn),
                "forecast": ForecastOut.model_validate(room.forecast()),
                "notices": tuple(map(_notice, notice_rows.untold(conn, MOST_NOTICES))),
            }
    except Transient:
        return {}


def _peers(house: House, conn: Connection, now: datetime) -> tuple[PeerOut, ...]:
    return tuple(_peer(house, one, now) for one in throughput.traffic(conn, house.settings.peers, now - DAY))


def _peer(house: House, traffic: PeerTraffic, now: datetime) -> PeerOut:
    known = house.settings.peers.get(traffic.peer)
    ways = {"DICOM": known.host and known.port, "MLLP": known.mllp, "FHIR": known.fhir} if known else {}
    return PeerOut(
        name=traffic.peer,
        roles=tuple(known.roles) if known else (),
        ways=tuple(name for name, there in ways.items() if there),
        waiting=dict(traffic.waiting),
        accepted=traffic.accepted,
        accepted_at=traffic.accepted_at,
        failures=traffic.failures,
        open_until=traffic.open_until,
        breaker=_breaker(traffic, now),
    )


def _breaker(traffic: PeerTraffic, now: datetime) -> str:
    if traffic.open_until is None:
        return "failing" if traffic.failures else "closed"
    return "open" if traffic.open_until > now else "half open"


def _delivery(one: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=one.id,
        version_id=one.version_id,
        peer=one.peer,
        kind=one.object.kind,
        urgency=one.urgency,
        attempts=one.attempts,
        error=one.error,
    )


def _quarantined(one: Quarantined) -> QuarantinedOut:
    return QuarantinedOut(
        id=one.id, reason=one.reason, peer=one.peer, size=one.blob.size if one.blob else None, at=one.at
    )


def _notice(one: Notice) -> NoticeOut:
    return NoticeOut.model_validate(one)


def _echoed(one: echoing.Echo) -> str:
    return f"{one.how} answered in {one.seconds * 1000:.0f} ms" if one.answered else f"{one.how} failed: {one.words}"
