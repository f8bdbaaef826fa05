"""What every verb needs at hand: the settings, the ledger, the store, and a name to claim work under."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import httpx

from radloop import logs
from radloop.domain.errors import Unavailable
from radloop.domain.ids import new_id
from radloop.domain.ports import BlobStore
from radloop.ledger import Ledger
from radloop.process import announced, die_with_parent
from radloop.settings import Settings, default_home, load_settings
from radloop.store import Keyring, LocalStore

_current: ContextVar["House"] = ContextVar("house")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One open home folder. `owner` is the name on the leases; those of one host and home share `owner_prefix`."""

    settings: Settings
    ledger: Ledger
    store: BlobStore
    owner: str
    http: httpx.AsyncClient

    @property
    def owner_prefix(self) -> str:
        """What the owners of all runners of this host and home begin with."""
        return owner_prefix(self.settings.home)

    def url_of(self, name: str, configured: int) -> str:
        """Base URL of one of our own servers on loopback; where it takes a free port, as it announced.

        Raises:
            Unavailable: its port is not known: it is not ready, or has died.
        """
        said = announced(self.settings.home, name)
        port = (said.port if said else None) or configured
        if not port:
            raise Unavailable(f"{name} has not announced a port")
        return f"http://127.0.0.1:{port}"


def owner_prefix(home: Path) -> str:
    """Names this host and home, safe to log: `runner-1f2e3d4c5b6a-`."""
    place = f"{socket.gethostname()}\x1f{home}"
    return f"runner-{hashlib.sha256(place.encode()).hexdigest()[:12]}-"


def open_house(settings: Settings) -> House:
    """Open ledger and store.

    Raises:
        IntegrityError, NotFound: the keys are missing or damaged.
    """
    return House(
        settings=settings,
        ledger=Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds),
        store=LocalStore(settings.store_path, Keyring.load(settings.keys_path)),
        owner=owner_prefix(settings.home) + new_id("o"),
        # No kept connection: a server that was killed and came back would be met with a dead one.
        http=httpx.AsyncClient(
            timeout=settings.inference.deadline_seconds,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        ),
    )


@contextmanager
def living_in(house: House) -> Iterator[House]:
    """Within, flows use this house; their parameters stay plain ids."""
    token = _current.set(house)
    try:
        yield house
    finally:
        _current.reset(token)


def current() -> House:
    """The house that we live in; a process that a Prefect worker started opens the one at RADLOOP_HOME."""
    try:
        return _current.get()
    except LookupError:
        die_with_parent()
        logs.configure("worker-run")
        house = open_house(load_settings(default_home()))
        _current.set(house)
        return house
