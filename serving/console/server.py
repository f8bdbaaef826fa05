"""One process: the socket, the application behind it, and the word that it is ready."""

import asyncio
import signal
import socket
import ssl
import threading
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from flows.house import open_house
from flows.warming import warm_up
from radloop.process import announce
from radloop.settings import Settings
from radloop.tls import server_context
from serving.console.api.images import warm
from serving.console.app import build
from serving.console.connection import Connection
from serving.console.guard import LARGEST_HEADERS

STOP_SECONDS: Final = 5
KEEP_ALIVE_SECONDS: Final = 15
NAME: Final = "console"


def serve(settings: Settings, sock: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT.

    Raises:
        IntegrityError, NotFound: the keys are missing or damaged.
        SettingsError: a TLS file cannot be used, or our certificate is out of its time.
    """
    tls = server_context(settings, "console")
    house = open_house(settings)
    warm()
    server = _Server(configuration(build(house), tls), settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, partial(_end, server))
    server.run(sockets=[sock])
    asyncio.run(house.http.aclose())
    house.ledger.close()


def _end(server: uvicorn.Server, _number: int, _frame: FrameType | None) -> None:
    """End at once before the server runs; what it has caught itself it raises once more after its end."""
    if not server.should_exit:
        raise SystemExit(0)


def configuration(app: ASGIApp, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    """How uvicorn serves it: limits on heads and connections, no log of its own, no trust in proxies."""
    return uvicorn.Config(
        app,
        http=Connection,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


class _Server(uvicorn.Server):
    """Says that it is ready once it accepts connections."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, announce the port, and get ready for the first upload: pages do not wait for that."""
        await super().startup(sockets)
        if self.started and sockets:
            announce(self._settings.home, NAME, _port(sockets[0]))
            threading.Thread(target=warm_up, args=(self._settings.site,), name="warming").start()


def _port(sock: socket.socket) -> int:
    name: Any = sock.getsockname()
    return int(name[1])
