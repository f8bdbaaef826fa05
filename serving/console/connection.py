"""A connection of a browser: a request's head has a deadline, and whoever is one too many is told so at once."""

import asyncio
from typing import Any, Final

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from radloop.domain.errors import Unavailable
from serving.console.headers import headers_for
from serving.console.refusals import refusal

HEAD_SECONDS: Final = 10.0
"""From the first moment, or from the first byte of a later request, until its head is whole."""
MOST_CONNECTIONS: Final = 512
"""Open at once; further ones are answered 503."""


class Connection(H11Protocol):
    """uvicorn's own has no deadline for a head, and answers what is no HTTP without our headers."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self.app = crowded
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP (RFC 9112 section 2.2), and hang up."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # in the middle of an answer there is no room for another
            return
        scope: Scope = {"type": "http", "path": "/", "state": {}}
        headers = {
            **headers_for(scope, self.scheme == "https"),
            "Content-Type": "text/plain; charset=utf-8",
            "Connection": "close",
        }
        for event in (
            h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._due is None:
            self._due = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_late(self) -> None:
        self._due = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer for whoever is one too many."""
    answer = refusal(Unavailable("too many connections; try again"))
    answer.headers.update({**headers_for(scope, scope["scheme"] == "https"), "Connection": "close"})
    await answer(scope, receive, send)
