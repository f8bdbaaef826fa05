"""Who asks, and whether they may: a token in a header, or the cookie of a session that the login page opened."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, TypeVar

import structlog
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from flows.house import House
from radloop import audit
from radloop.domain.access import Permission, Who, granted
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.domain.records import Actor, AuditEvent
from radloop.ledger import sessions as session_rows
from radloop.ledger import tokens as token_rows
from radloop.ledger.sessions import Session
from serving.console.refusals import Forbidden, Malformed, Unauthenticated

log = structlog.get_logger(__name__)

SCHEME: Final = "bearer"
CSRF_HEADER: Final = "x-csrf-token"
BACKGROUND_HEADER: Final = "x-background"
"""Sent by pages that refresh themselves: nobody's hand, so it keeps no session alive."""
STREAMS: Final = "/events"
"""A browser asks for these again by itself, as long as the page is open."""
SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
GUEST: Final = "for_guests"
Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request says who asks.

    `guest`: of a path that the pages of MLflow and Prefect may ask for. `own`: the browser itself says that it comes
    from a page under this very address.
    """

    method: str
    path: str
    token: str
    cookie: str
    csrf: str
    background: bool
    foreign: bool
    guest: bool
    own: bool
    address: str


def house_of(request: Request) -> House:
    """The house that this process serves."""
    house: House = request.app.state.house
    return house


HouseHere = Annotated[House, Depends(house_of)]


async def who_of(request: Request, house: HouseHere) -> Who:
    """The one who asks, with what they may do. From here on every audit row says in which role and from where.

    Raises:
        Unauthenticated: neither a valid token nor a standing session.
        Forbidden: a session's request that changes something lacks its CSRF token, or came from another site.
    """
    asked = asked_of(request)
    who = await run_in_threadpool(_recognise, house, asked)
    if who is None:
        log.warning("unauthenticated", path=asked.path)
        raise Unauthenticated("log in, or send a token: Authorization: Bearer, from `radloop actor add`")
    audit.begin_acting(audit.Acting(role=",".join(sorted(who.roles)), address=who.address))
    request.state.who = who
    return who


Anybody = Annotated[Who, Depends(who_of)]
"""Whoever has come in, whatever their roles."""


async def actor_of(who: Anybody) -> Actor:
    """The actor alone."""
    return who.actor


def may(permission: Permission) -> object:
    """Let those pass who have this permission; for `Annotated[Who, ...]` in the arguments of a path.

    Who may not is answered 403, and the audit says so.
    """

    async def check(request: Request, house: HouseHere, who: Anybody) -> Who:
        if not who.may(permission):
            await run_in_threadpool(_record_denial, house, who, permission, route_of(request))
            raise Forbidden("your roles do not allow this")
        return who

    check.permission = permission  # type: ignore[attr-defined]
    return Depends(check)


def route_of(request: Request) -> str:
    """The pattern of the path, without anybody's ids."""
    return str(getattr(request.scope.get("route"), "path", ""))


def asked_of(request: Request) -> Asked:
    """What of a request says who asks."""
    headers = request.headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return Asked(
        method=request.method,
        path=route_of(request),
        token=token.strip() if scheme.lower() == SCHEME else "",
        cookie=request.cookies.get(cookie_name(secure=is_secure(request)), ""),
        csrf=headers.get(CSRF_HEADER, ""),
        background=BACKGROUND_HEADER in headers or request.url.path.endswith(STREAMS),
        foreign=is_foreign(headers),
        guest=hasattr(getattr(request.scope.get("route"), "endpoint", None), GUEST),
        own=headers.get("sec-fetch-site") == "same-origin" and headers.get("origin") == origin_of(request),
        address=address_of(request),
    )


def for_guests(endpoint: Endpoint) -> Endpoint:
    """Mark a path as one that pages which are not ours, and cannot know our CSRF token, send to.

    There the browser's own word stands for the token: Sec-Fetch-Site, which no page can set, says same-origin, and
    Origin names this very address. A browser that sends neither is refused. No other path takes that for a token.
    """
    setattr(endpoint, GUEST, True)
    return endpoint


def origin_of(request: Request) -> str:
    """The origin (RFC 6454) that browsers know this console by."""
    house: House = request.app.state.house
    return house.settings.console.url or f"{request.url.scheme}://{request.headers.get('host', '')}"


def address_of(request: Request) -> str:
    """Where the request came from; no proxy is believed."""
    return request.client.host if request.client else ""


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS to us, or to what stands before us."""
    house: House = request.app.state.house
    return request.url.scheme == "https" or house.settings.console.url.startswith("https://")


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site's page sends this (Fetch Metadata, W3C)."""
    return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def cookie_name(what: str = "", *, secure: bool) -> str:
    """With the prefix that a browser takes over TLS only, for the whole host only (RFC 6265bis 4.1.3.2)."""
    name = f"radloop-{what}" if what else "radloop"
    return f"__Host-{name}" if secure else name


def _recognise(house: House, asked: Asked) -> Who | None:
    return _by_token(house, asked) if asked.token else _by_session(house, asked) if asked.cookie else None


def _by_token(house: House, asked: Asked) -> Who | None:
    now = utc_now()
    with house.ledger.read() as conn:
        held = token_rows.held(conn, asked.token, now)
    if held is None:
        return None
    if held.used_at is None or now - held.used_at > SEEN_EVERY:
        with house.ledger.write() as conn:
            token_rows.used(conn, held.token_id, now)
    rights = granted(held.roles)
    if held.scopes is not None:
        # A person's limited token never gives more than the person has; a machine has its scopes alone.
        rights = held.scopes if held.actor.kind is ActorKind.MACHINE else held.scopes & rights
    return Who(actor=held.actor, roles=held.roles, permissions=rights, address=asked.address)


def _by_session(house: House, asked: Asked) -> Who | None:
    now, idle = utc_now(), timedelta(minutes=house.settings.console.idle_minutes)
    with house.ledger.read() as conn:
        session = session_rows.standing(conn, asked.cookie, now=now, idle=idle)
    if session is None:
        return None
    _check_origin(session, asked)
    if not asked.background and now - session.seen_at > SEEN_EVERY:
        with house.ledger.write() as conn:
            session_rows.seen(conn, session.id, now)
    return Who(
        actor=session.actor,
        roles=session.roles,
        permissions=granted(session.roles),
        session=session.id,
        csrf=session.csrf,
        address=asked.address,
    )


def _check_origin(session: Session, asked: Asked) -> None:
    if asked.method in SAFE:
        return
    if asked.guest and asked.own and not asked.foreign:
        return
    if asked.foreign or not secrets.compare_digest(asked.csrf.encode(), session.csrf.encode()):
        raise Forbidden("this request did not come from a page of this console")


def _record_denial(house: House, who: Who, permission: Permission, path: str) -> None:
    denied = AuditEvent(
        at=utc_now(),
        actor=who.actor.name,
        action="deny",
        object_kind="path",
        object_id=path[:64],
        detail=permission,
    )
    with house.ledger.write() as conn:
        audit.append(conn, denied)


def reader_for(actor: Actor, named: str | None) -> str:
    """Whose word it is: a person speaks for themself, a machine for the reader that it names.

    Raises:
        Forbidden: a person speaks for another.
        Malformed: a machine names nobody.
    """
    if actor.kind is ActorKind.MACHINE:
        if not named:
            raise Malformed("reader: a machine names the reader that it speaks for")
        return named
    if named not in (None, actor.name):
        raise Forbidden("a person enters their own verdicts only")
    return actor.name
