"""One process: the socket, the service behind it, the decoders beside it, and the word that it is ready."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
import uvicorn

from models.bundles import public_key
from radloop.pixels import DecodePool, Limits
from radloop.process import announce
from radloop.settings import Settings
from radloop.store import Keyring, LocalStore
from serving.inference.looking import Eye
from serving.inference.reader import Reader
from serving.inference.service import Bench, build
from serving.inference.shelf import Shelf

log = structlog.get_logger(__name__)

DECODERS: Final = 2
LOOKERS: Final = 3
"""One image is prepared while two are decoded."""
STOP_SECONDS: Final = 5
REHEARSALS: Final = 12
"""`CorkDispatcher` trains on eleven."""


def serve(settings: Settings, sock: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT. BentoML's `serve` would put two more processes in front of this one.

    Raises:
        SettingsError: the keys are missing or damaged.
    """
    keyring = Keyring.load(settings.keys_path)
    limits = Limits(seconds=settings.inference.deadline_seconds / 2)
    with DecodePool(DECODERS, limits) as pool:
        bench = Bench(
            shelf=Shelf(settings.models_path, public_key(keyring.signing_key)),
            eye=Eye(
                LocalStore(settings.store_path, keyring),
                pool,
                threads=ThreadPoolExecutor(LOOKERS, "looker"),
                painters=ThreadPoolExecutor(LOOKERS, "painter"),
            ),
            reader=Reader(threads := settings.inference.threads or os.cpu_count() or 1),
            settings=settings.inference,
            threads=threads,
        )
        warmed = bench.reader.thread.submit(bench.shelf.warm_up).result()
        log.info("warmed up", models=warmed)
        app = build(bench).to_asgi(is_main=True)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS
        )
        _Server(config, settings.home).run(sockets=[sock])


class _Server(uvicorn.Server):
    """Says that it is ready once it accepts connections."""

    def __init__(self, config: uvicorn.Config, home: Path) -> None:
        super().__init__(config)
        self._home = home

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, rehearse, then announce the port."""
        await super().startup(sockets)
        if self.started and sockets:
            await _rehearse(self.config.app)
            announce(self._home, "inference", _port(sockets[0]))


async def _rehearse(app: Any) -> None:
    """BentoML learns from its first batches and lets some of them wait for others: let those not be a patient's."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rehearsal") as client:
        for _ in range(REHEARSALS):
            await client.post("/read", json={"tickets": [0]})


def _port(sock: socket.socket) -> int:
    name: Any = sock.getsockname()
    return int(name[1])
