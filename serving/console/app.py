"""The application: every path, who may ask for it, refusals, and the guard before them."""

from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from flows.encoding import SOFTWARE_VERSION
from flows.house import House
from radloop.domain.access import Permission
from radloop.domain.errors import RadloopError
from serving.console.api.access import access
from serving.console.api.adoption import adoption
from serving.console.api.alarms import alarms
from serving.console.api.audit import audit_log
from serving.console.api.first_steps import first_steps
from serving.console.api.golive import golive
from serving.console.api.images import images
from serving.console.api.lineage import lineage
from serving.console.api.models import models
from serving.console.api.operations import operations
from serving.console.api.readings import api
from serving.console.api.reports import reports
from serving.console.api.schedules import schedules
from serving.console.api.session import session
from serving.console.api.studies import studies
from serving.console.api.uploads import uploads
from serving.console.api.votes import votes
from serving.console.api.worklist import worklist
from serving.console.control_room import ControlRoom
from serving.console.guard import DEADLINE_SECONDS, Guard
from serving.console.health import health
from serving.console.hosts import hosts_of
from serving.console.identity import who_of
from serving.console.pages.access import access_pages
from serving.console.pages.adoption import adoption_page
from serving.console.pages.audit import audit_pages
from serving.console.pages.drift import drift_pages
from serving.console.pages.golive import golive_page
from serving.console.pages.guests import guests
from serving.console.pages.home import home
from serving.console.pages.lineage import lineage_pages
from serving.console.pages.login import login
from serving.console.pages.models import model_pages
from serving.console.pages.open import open_page
from serving.console.pages.operations import operations_pages
from serving.console.pages.study import study_page
from serving.console.pages.upload import upload_pages
from serving.console.pages.worklist import worklist_page
from serving.console.reading_room import ReadingRoom
from serving.console.refusals import answer_http, answer_malformed, answer_ours
from serving.console.signing_on import Doors
from serving.console.static_files import static

ROUTERS: Final[tuple[APIRouter, ...]] = (
    api,
    alarms,
    session,
    access,
    audit_log,
    adoption,
    first_steps,
    models,
    reports,
    uploads,
    operations,
    schedules,
    golive,
    lineage,
    worklist,
    studies,
    images,
    votes,
    health,
    static,
    login,
    home,
    lineage_pages,
    model_pages,
    drift_pages,
    access_pages,
    audit_pages,
    adoption_page,
    upload_pages,
    operations_pages,
    golive_page,
    guests,
    worklist_page,
    study_page,
    open_page,
)

OPEN: Final = frozenset(
    (
        *("/livez", "/readyz", "/metrics", "/static/{name}", "/api/v1/openapi.json"),
        *("/login", "/login/oidc", "/login/oidc/callback", "/login/oidc/back-channel"),
    )
)
"""What anybody may ask for. No patient data is behind it."""


def build(house: House, deadline_seconds: float = DEADLINE_SECONDS) -> ASGIApp:
    """The console of one house."""
    hosts = hosts_of(house.settings.console)
    return Guard(application(house), hosts, deadline_seconds, secure=_is_secure(house))


def application(house: House) -> FastAPI:
    """The application without its guard.

    Raises:
        RuntimeError: a path was added of which nothing says who may ask for it.
    """
    # Its pages of documentation load programs from elsewhere: they stay away.
    app = FastAPI(
        title="radloop",
        version=SOFTWARE_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
        # As they are: `include_router` builds each of them anew, at the first request (0.3 s that somebody waits for).
        routes=list(routes()),
    )
    app.state.house = house
    app.state.doors = Doors(house.settings)
    app.state.reading_room = ReadingRoom(house)
    app.state.control_room = ControlRoom(house)
    for kind, answer in (
        (RadloopError, answer_ours),
        (RequestValidationError, answer_malformed),
        (HTTPException, answer_http),
        (Exception, answer_ours),
    ):
        app.add_exception_handler(kind, answer)
    if unsaid := [route.path for route in routes() if not _is_said(route)]:
        raise RuntimeError(f"nothing says who may ask for {unsaid}")
    return app


def routes() -> tuple[APIRoute, ...]:
    """Every path of ours."""
    return tuple(route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))


def permissions_of(route: APIRoute) -> frozenset[Permission] | None:
    """What this route asks for: empty for whoever has come in, None where anybody may ask."""
    if route.path in OPEN:
        return None
    return frozenset(
        call.permission for one in _flat(route.dependant) if (call := one.call) and hasattr(call, "permission")
    )


def _is_said(route: APIRoute) -> bool:
    return route.path in OPEN or any(one.call is who_of for one in _flat(route.dependant))


def _flat(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _flat(one))]


def _is_secure(house: House) -> bool:
    console = house.settings.console
    return console.tls is not None or console.url.startswith("https://")
