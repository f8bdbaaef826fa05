"""What an error is over HTTP: a status by what the caller can do about it, and JSON without patient data."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from flows.access import Lockout
from radloop.domain.errors import (
    DuplicateConflict,
    NotFound,
    RadloopError,
    Rejected,
    StorageFull,
    TooLarge,
    Transient,
    Unavailable,
)
from serving.console.rendering import render


class Unauthenticated(Rejected):
    """No token, or nobody's."""

    code = "unauthenticated"


class Forbidden(Rejected):
    """The owner of the token may not do this."""

    code = "forbidden"


class Malformed(Rejected):
    """The request is not what this path takes."""

    code = "malformed"


class MethodNotAllowed(Rejected):
    """The path is there, the method is not; `allowed` are those that are (RFC 9110 section 15.5.6)."""

    code = "method-not-allowed"

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.allowed = allowed


class BadRequest(Rejected):
    """No request that a browser or a program means well with; the connection ends."""

    code = "bad-request"


class Misdirected(Rejected):
    """It asks for somebody who is not here (RFC 9110 section 15.5.20)."""

    code = "misdirected"


class TooMany(Unavailable):
    """Too many tries; later ones are welcome."""

    code = "too-many"


class PastDeadline(Unavailable):
    """The answer did not come in time; the same request again is safe."""

    code = "deadline"


class Failed(RadloopError):
    """Something that we did not foresee; the log names its kind."""

    code = "error"


# The first row that fits decides.
STATUSES: Final[tuple[tuple[type[RadloopError], HTTPStatus], ...]] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (MethodNotAllowed, HTTPStatus.METHOD_NOT_ALLOWED),
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (Misdirected, HTTPStatus.MISDIRECTED_REQUEST),
    (NotFound, HTTPStatus.NOT_FOUND),
    (DuplicateConflict, HTTPStatus.CONFLICT),
    (Lockout, HTTPStatus.CONFLICT),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Rejected, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (PastDeadline, HTTPStatus.GATEWAY_TIMEOUT),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
    (RadloopError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
RETRY_SECONDS: Final = 2.0


def status_of(error: RadloopError) -> HTTPStatus:
    """The status for an error of ours."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def refusal(error: RadloopError) -> JSONResponse:
    """The response for an error of ours, to a program."""
    body = {"code": error.code, "error": str(error)}
    return JSONResponse(body, status_code=status_of(error), headers=_headers(error))


def _headers(error: RadloopError) -> Mapping[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}  # RFC 6750 section 3
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    if isinstance(error, BadRequest):
        return {"Connection": "close"}
    if isinstance(error, Transient):
        wait = error.retry_after if isinstance(error, Unavailable) and error.retry_after else RETRY_SECONDS
        return {"Retry-After": str(math.ceil(wait))}
    return {}


async def answer_ours(request: Request, error: Exception) -> Response:
    """For `RadloopError`, and in one sentence for what nobody foresaw."""
    return answer(request, error if isinstance(error, RadloopError) else Failed("something went wrong"))


def answer(request: Request, error: RadloopError) -> Response:
    """JSON for programs; a page for people, who log in first where that is what is missing."""
    if for_programs(request.url.path):
        return refusal(error)
    if isinstance(error, Unauthenticated):
        return _to_login(request)
    page = render(request, getattr(request.state, "who", None), "error.html", status=status_of(error), error=error)
    page.headers.update(_headers(error))
    return page


def for_programs(path: str) -> bool:
    """Whether what is asked for is no page."""
    return path.startswith(("/api/", "/static/", "/livez", "/readyz", "/metrics", "/login/oidc/back-channel"))


def _to_login(request: Request) -> Response:
    """To the login page and back; a fragment cannot go there by itself, its page can (htmx, HX-Redirect)."""
    if "hx-request" in request.headers:
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/login"})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    # Who comes by a link of the PACS is known to the single sign-on already: no page asks them to press a button.
    straight = request.url.path == "/open" and request.app.state.house.settings.login.oidc is not None
    door = "/login/oidc" if straight else "/login"
    target = f"{door}?{urlencode({'next': wanted})}" if request.method == "GET" else "/login"
    return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)


async def answer_malformed(request: Request, error: Exception) -> Response:
    """For `RequestValidationError`: where and which rule; never the value, it may be the patient's."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    if any(problem["loc"][:1] == ("path",) for problem in problems):
        return answer(request, NotFound("there is nothing under this address"))
    words = [f"{'.'.join(map(str, _place(problem['loc'])))}: {problem['type']}" for problem in problems[:8]]
    return answer(request, Malformed("; ".join(words) or "the request cannot be read"))


def _place(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where, by our own names: a key that we do not know is the sender's text."""
    return tuple(part for part in location if not isinstance(part, str) or part in KNOWN)


KNOWN: Final = frozenset(
    (
        *("body", "header", "idempotency-key", "authorization", "finding", "kind", "id", "reader", "at", "awareness"),
        *("text", "code", "severity", "laterality", "value", "scheme", "meaning", "conclusion"),
        *("useful", "judgements", "judgement", "result_id", "query", "blinded", "signed", "after"),
        *("name", "flow", "cron", "peer", "folder", "modality", "model", "since", "paused", "why", "modalities"),
        *("roles", "scopes", "days", "owner"),
    )
)


def _allowed(error: Exception) -> str:
    headers = error.headers if isinstance(error, HTTPException) else None
    return (headers or {}).get("Allow", "")


async def answer_http(request: Request, error: Exception) -> Response:
    """For what the framework says by itself: no such path, no such method."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    by_status: Mapping[int, RadloopError] = {
        HTTPStatus.NOT_FOUND: NotFound("there is nothing under this address"),
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed("this address does not take this method", _allowed(error)),
        HTTPStatus.BAD_REQUEST: Malformed("the request cannot be read"),
    }
    return answer(request, by_status.get(status, Failed("something went wrong")))
