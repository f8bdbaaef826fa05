"""A console on a real socket, over a home with an answered study and people with tokens."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn

from flows.house import House
from radloop.domain.access import Permission, Role
from radloop.domain.enums import ActorKind, Standing
from radloop.domain.ids import utc_now
from radloop.domain.records import Result
from radloop.ledger import actors, results, sessions, tokens
from serving.console.app import build
from serving.console.listening import listening_socket
from serving.console.server import configuration
from tests.clock import until
from tests.flows import cards, place
from tests.flows.readings import OTHER, READER, answered, introduce
from tests.radloop.ledger import rows


@dataclass(frozen=True)
class Console:
    """A running console, what it serves, and the tokens of those who may ask."""

    house: House
    http: httpx.Client
    port: int
    result: Result
    shadow: Result
    tokens: dict[str, str]

    def as_actor(self, name: str = READER) -> dict[str, str]:
        """The header of a request in the name of an actor."""
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def as_role(self, role: Role) -> dict[str, str]:
        """The header of a request of a person who has this one role."""
        return self.as_actor(person_of(role))

    @contextmanager
    def browser(self, *roles: Role, name: str = READER) -> Iterator[httpx.Client]:
        """A browser that has logged in: the session's cookie, and its CSRF token in every request."""
        with self.house.ledger.write() as conn:
            person = actors.ensure(conn, name, ActorKind.PERSON)
            begun = sessions.begin(
                conn, person, roles, sessions.Door.LDAP, "127.0.0.1", now=utc_now(), lasts=timedelta(hours=1)
            )
        headers = {"X-CSRF-Token": begun.session.csrf, "Cookie": f"radloop={begun.secret}"}
        with client_of(self.port, headers) as client:
            yield client


def person_of(role: Role) -> str:
    """The name of the person who has this one role."""
    return f"only-{role.lower()}"


def client_of(port: int, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """A client of the console on this port."""
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=headers)


@contextmanager
def listening(house: House, deadline_seconds: float = 30.0) -> Iterator[int]:
    """The port of a console of this house, in a thread of this process."""
    sock = listening_socket("127.0.0.1", 0)
    server = uvicorn.Server(configuration(build(house, deadline_seconds)))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])), daemon=True)
    thread.start()
    until(lambda: server.started, 20)
    try:
        yield int(sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = place.make_home(tmp_path / "home")
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


@pytest.fixture
def console(house: House) -> Iterator[Console]:
    introduce(house.ledger)
    result = answered(house)
    shadow = rows.result(result.version_id, model=cards.version(digest="e" * 64, standing=Standing.SHADOW))
    with house.ledger.write() as conn:
        results.add(conn, shadow)
        known = {actor.name: actor for actor in actors.known(conn)}
        scopes = {"ris-robot": (Permission.VIEW_STUDIES, Permission.READ)}
        given = {
            name: tokens.issue(conn, known[name], scopes=scopes.get(name)) for name in (READER, OTHER, "ris-robot")
        }
        for role in Role:
            person = actors.ensure(conn, person_of(role), ActorKind.PERSON)
            actors.set_roles(conn, person, [role])
            given[person.name] = tokens.issue(conn, person)
    with listening(house) as port, client_of(port) as http:
        yield Console(house, http, port, result, shadow, given)


def connect(port: int) -> socket.socket:
    """A bare connection, for what no client would send."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)
