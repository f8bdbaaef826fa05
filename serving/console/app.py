"""The application: paths, refusals and the guard before them."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from flows.encoding import SOFTWARE_VERSION
from flows.house import House
from radloop.domain.errors import RadloopError
from serving.console.alarms import alarms
from serving.console.guard import DEADLINE_SECONDS, Guard
from serving.console.health import health
from serving.console.readings import api
from serving.console.refusals import answer_http, answer_malformed, answer_ours


def build(house: House, deadline_seconds: float = DEADLINE_SECONDS) -> ASGIApp:
    """The console of one house."""
    # Its pages of documentation load programs from elsewhere: they stay away.
    app = FastAPI(
        title="radloop", version=SOFTWARE_VERSION, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.state.house = house
    app.include_router(api)
    app.include_router(alarms)
    app.include_router(health)
    for kind, answer in (
        (RadloopError, answer_ours),
        (RequestValidationError, answer_malformed),
        (HTTPException, answer_http),
        (Exception, answer_ours),
    ):
        app.add_exception_handler(kind, answer)
    return Guard(app, deadline_seconds)
