"""Coming in: the login page, single sign-on there and back, the provider's word that somebody has left."""

from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from flows.house import House
from integrations.identity import oidc
from radloop import audit
from radloop.domain.errors import Rejected, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import sessions as session_rows
from radloop.ledger.sessions import Begun
from serving.console import entering
from serving.console.entering import NotAdmitted, Try
from serving.console.identity import HouseHere, address_of, cookie_name, is_foreign, is_secure
from serving.console.refusals import Forbidden, TooMany, status_of
from serving.console.rendering import render
from serving.console.signing_on import Doors

log = structlog.get_logger(__name__)

login = APIRouter(include_in_schema=False)
HOME: Final = "/"
CALLBACK: Final = "/login/oidc/callback"
STATE: Final = "login"
"""Of the cookie that binds a login under way to its browser."""
STATE_SECONDS: Final = 600
LONGEST: Final = 1024
Text = Annotated[str, Form(max_length=LONGEST)]


def safe_target(wanted: str) -> str:
    """Where to go after the login: a path of ours, never another site's address."""
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/login")) and "\\" not in wanted
    return wanted if inside and wanted.isprintable() else HOME


@login.get("/login")
async def get_login(request: Request, house: HouseHere, next: str = HOME, left: bool = False) -> Response:  # noqa: A002, FBT001, FBT002 - names of the query
    """The page that asks who somebody is."""
    return _page(request, house, safe_target(next), left=left)


@login.post("/login")
def post_login(
    request: Request,
    house: HouseHere,
    name: Text = "",
    password: Text = "",
    token: Text = "",
    next: Text = HOME,  # noqa: A002 - a field of the form
) -> Response:
    """Name and password, or a personal token where there is no directory.

    Raises:
        Forbidden: another site's page sent this.
    """
    if is_foreign(request.headers):
        raise Forbidden("this request did not come from a page of this console")
    throttle, address = doors_of(request).throttle, address_of(request)
    try:
        begun = (
            entering.by_token(house, throttle, token, address)
            if token
            else entering.by_password(house, throttle, name, password, address)
        )
    except (NotAdmitted, TooMany, Unavailable) as error:
        return _page(request, house, safe_target(next), problem=outwardly(error))
    return _enter(request, house, begun, safe_target(next))


@login.get("/login/oidc")
def get_oidc(request: Request, house: HouseHere, next: str = HOME) -> Response:  # noqa: A002 - a name of the query
    """To the site's single sign-on."""
    doors = doors_of(request)
    try:
        begun = doors.provider().begin(_callback(request))
    except Unavailable as error:
        return _page(request, house, safe_target(next), problem=outwardly(error))
    answer = RedirectResponse(begun.url, status_code=303)
    secret = doors.remember(begun, safe_target(next))
    # Lax: it must come back with the provider's redirect, which is another site's.
    secure = is_secure(request)
    name = cookie_name(STATE, secure=secure)
    answer.set_cookie(name, secret, max_age=STATE_SECONDS, httponly=True, samesite="lax", secure=secure, path="/")
    return answer


@login.get(CALLBACK)
def get_callback(request: Request, house: HouseHere) -> Response:
    """Back from the single sign-on, with its word."""
    doors, address = doors_of(request), address_of(request)
    pending = doors.recall(request.cookies.get(cookie_name(STATE, secure=is_secure(request)), ""))
    if pending is None:
        entering.record_failure(house, Try(name="", address=address), "no-login-under-way")
        return _page(request, house, HOME, problem=NotAdmitted("no-login-under-way"))
    try:
        found = doors.provider().finish(_callback(request), pending.started, dict(request.query_params))
        begun = entering.by_provider(house, doors.throttle, found, address)
    except oidc.LoginRefused as error:
        entering.record_failure(house, Try(name="", address=address), error.why)
        return _page(request, house, HOME, problem=NotAdmitted(error.why))
    except (NotAdmitted, TooMany, Unavailable) as error:
        return _page(request, house, HOME, problem=outwardly(error))
    return _enter(request, house, begun, pending.target)


@login.post("/login/oidc/back-channel")
def post_back_channel(
    request: Request, house: HouseHere, logout_token: Annotated[str, Form(max_length=16384)] = ""
) -> Response:
    """The provider ended somebody's session (OpenID Connect Back-Channel Logout 1.0, section 2.8).

    Raises:
        Unavailable: its keys, or the ledger, cannot be asked.
    """
    try:
        ended = doors_of(request).provider().back_channel(logout_token)
    except oidc.LoginRefused as error:
        return _not_ended(error.why)
    except Unavailable as error:
        raise outwardly(error) from None
    if ended is None:  # it names a person, by an id of the provider's that is kept nowhere here
        return _not_ended("no-sid")
    with house.ledger.write() as conn:
        count = session_rows.end_provided(conn, ended, utc_now())
        audit.append(conn, _left(count))
    return Response(status_code=200)


def doors_of(request: Request) -> Doors:
    """The doors of this process."""
    doors: Doors = request.app.state.doors
    return doors


Problem = TypeVar("Problem", bound=Rejected | Unavailable)


def outwardly(problem: Problem) -> Problem | Unavailable:
    """What somebody at the door is told: what is wrong with the directory or the provider is for the log alone."""
    if isinstance(problem, Rejected | TooMany):
        return problem
    log.warning("nobody can be asked", reason=str(problem))
    said = "logging in is not possible just now; try again in a moment, or tell hospital IT"
    return Unavailable(said, problem.retry_after)


def _not_ended(why: str) -> Response:
    log.warning("logout refused", why=why)
    return JSONResponse({"code": "invalid_request", "error": "this token ends no session"}, status_code=400)


def _left(count: int) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor="single-sign-on",
        action="logout",
        object_kind="session",
        object_id="provider",
        detail=f"{count} ended by the provider",
    )


def _callback(request: Request) -> str:
    house: House = request.app.state.house
    return (house.settings.console.url or str(request.base_url).rstrip("/")) + CALLBACK


def _enter(request: Request, house: House, begun: Begun, target: str) -> Response:
    answer = RedirectResponse(target, status_code=303)
    secure = is_secure(request)
    entering.end_former(house, request.cookies.get(cookie_name(secure=secure), ""))
    # Lax, not Strict: a study opens from the PACS by a link of another site.
    answer.set_cookie(cookie_name(secure=secure), begun.secret, httponly=True, samesite="lax", secure=secure, path="/")
    answer.delete_cookie(cookie_name(STATE, secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _page(
    request: Request, house: House, target: str, problem: Rejected | Unavailable | None = None, *, left: bool = False
) -> Response:
    login = house.settings.login
    return render(
        request,
        None,
        "login.html",
        status=status_of(problem) if problem else 200,
        target=target,
        sso="/login/oidc?" + urlencode({"next": target}) if login.oidc else None,
        by_name=login.ldap is not None or login.break_glass,
        by_token=login.oidc is None and login.ldap is None,
        problem=problem,
        left=left,
    )
