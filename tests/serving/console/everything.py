"""A console with one of everything that has an id, and a person who may do all: for tests over every path."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from fastapi.routing import APIRoute

from flows.house import House
from radloop.domain.access import Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.ledger import actors, sessions, tokens
from tests.flows import place
from tests.flows.readings import OTHER, READER, answered, introduce
from tests.serving.console.conftest import client_of, listening
from tests.serving.console.test_access import OUR_ID

PARAMETER = re.compile(r"\{([a-z_]+)(?::path)?\}")


@dataclass(frozen=True)
class Everything:
    """`mine` and `another` are the headers of two people with every role; `ids`: one that exists, by its parameter.

    The upload and the session are `another`'s.
    """

    house: House
    http: httpx.Client
    port: int
    mine: dict[str, str]
    another: dict[str, str]
    ids: dict[str, str]


@contextmanager
def everything(home: Path) -> Iterator[Everything]:
    """It runs until the end of the block."""
    house = place.make_home(home)
    introduce(house.ledger)
    result = answered(house)
    with house.ledger.write() as conn:
        held = {}
        for name in (READER, OTHER):
            person = actors.ensure(conn, name, ActorKind.PERSON)
            actors.set_roles(conn, person, list(Role))
            held[name] = {"Authorization": f"Bearer {tokens.issue(conn, person)}"}
        hour = timedelta(hours=1)
        begun = sessions.begin(conn, person, [Role.READER], sessions.Door.LDAP, "::1", now=utc_now(), lasts=hour)
    ids = {"result_id": result.id, "version_id": result.version_id, "session_id": begun.session.id}
    with listening(house) as port, client_of(port) as http:
        ids |= {"actor_id": person.id, "upload_id": _upload(http, held[OTHER])}
        images = http.get(f"/api/v1/studies/{result.version_id}/images", headers=held[READER])
        ids |= {"instance_id": re.findall(r"in_[0-9a-f]+", json.dumps(images.json()))[0]}
        yield Everything(house, http, port, held[READER], held[OTHER], ids)
    asyncio.run(house.http.aclose())
    house.ledger.close()


def parameters(route: APIRoute) -> list[str]:
    """The names of a path's parameters."""
    return PARAMETER.findall(route.path)


def filled(route: APIRoute, value: str, only: str = "") -> str:
    """The address with a value for its parameters: for all of them, or for one, with a made-up id for the others."""
    return PARAMETER.sub(lambda found: value if only in ("", found[1]) else OUR_ID, route.path)


def _upload(http: httpx.Client, owner: dict[str, str]) -> str:
    return str(http.post("/api/v1/uploads", json={}, headers=owner).json()["id"])
