"""What stands before every path: limits, a deadline, headers, and no word about what broke inside."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radloop.domain.errors import RadloopError, TooLarge
from serving.console.headers import headers_for
from serving.console.hosts import Hosts
from serving.console.refusals import BadRequest, Failed, Misdirected, PastDeadline, refusal

log = structlog.get_logger(__name__)

LARGEST_HEADERS: Final = 64 * 1024
"""Of a head that comes in pieces the server keeps no more either: `h11_max_incomplete_event_size`."""
DEADLINE_SECONDS: Final = 30.0
FOREVER: Final = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What requests under a path may cost: bytes of body, seconds until the end of the answer.

    A body that is not `whole` is handed on as it comes, counted; the deadline then is for all of it.
    """

    prefix: str
    largest_body: int = 64 * 1024
    seconds: float | None = None
    whole: bool = True
    suffix: str = ""


ALLOWANCES: Final = (
    Allowance("/api/v1/", seconds=FOREVER, suffix="/events"),  # server-sent events end with the page
    Allowance("/api/v1/uploads", largest_body=1 << 40, seconds=900.0, whole=False),  # its own settings limit it
    Allowance("/api/v1/audit/export", seconds=900.0),
    Allowance("/api/v1/audit/verification", seconds=120.0),  # 1,000,000 records take up to 10 s of two idle cores
    Allowance("/audit/verification", seconds=120.0),
    Allowance("/api/v1/models/", seconds=300.0, suffix="/card"),
    Allowance("/api/v1/reports", seconds=300.0),
    Allowance("/mlflow/", largest_body=8 << 20, seconds=120.0),
    Allowance("/prefect/", largest_body=8 << 20, seconds=120.0),
)
ORDINARY: Final = Allowance("/")


def allowance_of(path: str) -> Allowance:
    """The first row that fits."""
    fits = (one for one in ALLOWANCES if path.startswith(one.prefix) and path.endswith(one.suffix))
    return next(fits, ORDINARY)


class Guard:
    """ASGI around the application. A request past the deadline is answered; what it began ends by itself, unheard."""

    def __init__(
        self, app: ASGIApp, hosts: Hosts, deadline_seconds: float = DEADLINE_SECONDS, *, secure: bool = False
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._secure = secure
        self._deadline_seconds = deadline_seconds
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed = allowance_of(scope["path"])
        wire = Wire(send, headers_for(scope, self._secure))
        if wrong := _wrong(Headers(scope=scope), self._hosts):
            await wire.refuse(scope, receive, wrong)
            return
        work = asyncio.create_task(self._answer(scope, receive, wire, allowed))
        done, _ = await self._until(work, allowed.seconds or self._deadline_seconds)
        if not done:
            self._let_go(work)
            await wire.refuse(scope, receive, PastDeadline("the answer did not come in time"))
        elif error := work.exception():
            # By its kind alone: its words may quote what was sent.
            log.error("request failed", error=type(error).__name__)
            await wire.refuse(scope, receive, Failed("something went wrong"))

    async def _until(self, work: "asyncio.Task[None]", seconds: float) -> tuple[set[Any], set[Any]]:
        try:
            return await asyncio.wait({work}, timeout=seconds)
        except asyncio.CancelledError:  # the server stops, or the client has gone
            work.cancel()
            raise

    def _let_go(self, work: "asyncio.Task[None]") -> None:
        self._late.add(work)
        work.add_done_callback(self._ended)
        work.cancel()

    def _ended(self, work: "asyncio.Task[None]") -> None:
        self._late.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            log.error("late request failed", error=type(error).__name__)

    async def _answer(self, scope: Scope, receive: Receive, wire: "Wire", allowed: Allowance) -> None:
        if not allowed.whole:
            await self._app(scope, receive, wire.send)
            return
        try:
            body = await _whole_body(scope, receive, allowed.largest_body)
        except TooLarge as error:
            await wire.refuse(scope, receive, error)
            return
        await self._app(scope, _Replay(body, receive), wire.send)


@dataclass(slots=True)
class Wire:
    """The way back: the first response counts, nothing follows it, and every one carries our headers."""

    _send: Send
    _headers: Mapping[str, str]
    _begun: bool = False
    _shut: bool = False

    async def send(self, message: Message) -> None:
        """Pass a message on, unless the request was answered otherwise."""
        if self._shut:
            return
        if message["type"] == "http.response.start":
            self._begun = True
            headers = MutableHeaders(raw=message["headers"])
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, scope: Scope, receive: Receive, error: RadloopError) -> None:
        """Answer with an error, if nothing was answered yet."""
        if not self._begun:
            await refusal(error)(scope, receive, self.send)
        self._shut = True


@dataclass(slots=True)
class _Replay:
    """A body that was read already; then whatever comes (a disconnect)."""

    _body: bytes
    _receive: Receive
    _given: bool = field(default=False)

    async def __call__(self) -> Message:
        if self._given:
            return await self._receive()
        self._given = True
        return {"type": "http.request", "body": self._body, "more_body": False}


def _wrong(headers: Headers, hosts: Hosts) -> RadloopError | None:
    """What makes a request none of ours, before anything of it is believed."""
    if "content-length" in headers and "transfer-encoding" in headers:
        # RFC 9112 section 6.1: an attempt at request smuggling.
        return BadRequest("a request has one length")
    if sum(len(name) + len(value) for name, value in headers.raw) > LARGEST_HEADERS:
        return BadRequest("the head of a request is too large")
    if not hosts.know(headers.get("host", "")):
        return Misdirected("this console is not known by that name: [console] url says how browsers reach it")
    return None


async def _whole_body(scope: Scope, receive: Receive, largest: int) -> bytes:
    """The body, at most `largest` bytes.

    Raises:
        TooLarge: it says that it is larger, or turns out to be.
    """
    stated = Headers(scope=scope).get("content-length", "0")
    if stated.isascii() and stated.isdigit() and int(stated[:20]) > largest:
        raise TooLarge(f"the body is larger than {largest} bytes")
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > largest:
            raise TooLarge(f"the body is larger than {largest} bytes")
        if not message.get("more_body", False):
            break
    return body
