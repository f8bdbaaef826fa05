"""The paths /api/v1/me and /api/v1/sessions: who one is here, leaving, and (for administration) who else is here."""

from datetime import datetime, timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel

from flows.house import House
from radloop import audit
from radloop.domain.access import Permission, Role, Who
from radloop.domain.errors import NotFound, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import sessions as session_rows
from radloop.ledger.sessions import Door
from serving.console.api.readings import REFUSALS, OurId
from serving.console.identity import Anybody, HouseHere, may
from serving.console.pages.login import doors_of

log = structlog.get_logger(__name__)

session = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["access"])
Admin = Annotated[Who, may(Permission.ADMINISTER)]


class Me(BaseModel):
    """Who asks, and what they may do."""

    name: str
    kind: str
    roles: tuple[Role, ...]
    permissions: tuple[Permission, ...]


class Ended(BaseModel):
    """How many sessions ended, and where a browser goes now."""

    ended: int
    next: str


class SessionOut(BaseModel):
    """One open session."""

    id: str
    name: str
    roles: tuple[Role, ...]
    door: Door
    address: str
    at: datetime
    seen_at: datetime
    ends_at: datetime


@session.get("/me")
async def get_me(who: Anybody) -> Me:
    """Who one is here."""
    return Me(
        name=who.actor.name,
        kind=who.actor.kind,
        roles=tuple(sorted(who.roles)),
        permissions=tuple(sorted(who.permissions)),
    )


@session.post("/me/logout")
def post_logout(request: Request, house: HouseHere, who: Anybody) -> Ended:
    """End this session, here and at the single sign-on."""
    if who.session is None:
        raise NotFound("a token has no session")
    with house.ledger.write() as conn:
        door = session_rows.door_of(conn, who.session)
        session_rows.end(conn, who.session, utc_now())
        audit.append(conn, _event(who, "logout", who.session))
    return Ended(ended=1, next=_after(request, house, door))


@session.post("/me/logout-everywhere")
def post_logout_everywhere(house: HouseHere, who: Anybody) -> Ended:
    """End all of one's sessions, on every machine."""
    with house.ledger.write() as conn:
        count = session_rows.end_all_of(conn, who.actor.id, utc_now())
        audit.append(conn, _event(who, "logout.everywhere", who.actor.id, f"{count} sessions"))
    return Ended(ended=count, next="/login?left=1")


@session.get("/sessions")
def list_sessions(house: HouseHere, _: Admin) -> tuple[SessionOut, ...]:
    """Every open session, the newest first."""
    idle = timedelta(minutes=house.settings.console.idle_minutes)
    with house.ledger.read() as conn:
        found = session_rows.all_standing(conn, now=utc_now(), idle=idle)
    return tuple(_out(one) for one in found)


@session.post("/sessions/{session_id}/end")
def post_end(session_id: OurId, house: HouseHere, who: Admin) -> Ended:
    """End somebody's session."""
    idle = timedelta(minutes=house.settings.console.idle_minutes)
    with house.ledger.write() as conn:
        standing = {one.id for one in session_rows.all_standing(conn, now=utc_now(), idle=idle)}
        if session_id not in standing:
            raise NotFound("there is no such session")
        session_rows.end(conn, session_id, utc_now())
        audit.append(conn, _event(who, "session.end", session_id))
    return Ended(ended=1, next="/access")


def _after(request: Request, house: House, door: Door | None) -> str:
    """The provider's own logout page, where the session came from it, it has one, and it is there."""
    base = house.settings.console.url or str(request.base_url).rstrip("/")
    here = "/login?left=1"
    if house.settings.login.oidc is None or door is not Door.OIDC:
        return here
    try:
        return doors_of(request).provider().end_url(base + "/login") or here
    except Unavailable as error:
        log.warning("not logged out at the provider", reason=str(error))
        return here


def _event(who: Who, action: str, object_id: str, detail: str = "") -> AuditEvent:
    kind = "actor" if action == "logout.everywhere" else "session"
    return AuditEvent(
        at=utc_now(), actor=who.actor.name, action=action, object_kind=kind, object_id=object_id, detail=detail
    )


def _out(one: session_rows.Session) -> SessionOut:
    return SessionOut(
        id=one.id,
        name=one.actor.name,
        roles=tuple(sorted(one.roles)),
        door=one.door,
        address=one.address,
        at=one.at,
        seen_at=one.seen_at,
        ends_at=one.ends_at,
    )
