"""What is refused before BentoML parses anything: bodies that are not JSON, and bodies that are too large."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_BODY: Final = 4 * 1024 * 1024
"""Room for `contract.MOST_INSTANCES` references of the longest kind."""
JSON: Final = "application/json"


class JsonOnly:
    """ASGI middleware. BentoML would also take multipart, Arrow and others, and answer 500 to broken ones."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        status = _refused(scope)
        if status is None:
            await self._app(scope, receive, send)
        else:
            body = {"code": status.name.lower().replace("_", "-"), "error": status.phrase}
            await JSONResponse(body, status)(scope, receive, send)


def _refused(scope: Scope) -> HTTPStatus | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    headers = Headers(scope=scope)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        return HTTPStatus.LENGTH_REQUIRED
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(length) > LARGEST_BODY else None
