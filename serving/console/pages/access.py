"""Access: who may come in and as what, their tokens, who is here now, and the table of who may do what."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from flows.house import House
from radloop.domain.access import GRANTS, Permission, Role, granted
from serving.console.api import access as api
from serving.console.api import session as sessions
from serving.console.api.access import Word
from serving.console.api.readings import OurId
from serving.console.api.session import Admin
from serving.console.identity import HouseHere
from serving.console.rendering import render

access_pages = APIRouter(include_in_schema=False)
SESSIONS_SHOWN: Final = 200
TOKENS_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One permission, and which role has it."""

    permission: Permission
    roles: Mapping[Role, bool]


TABLE: Final = tuple(
    Row(permission, MappingProxyType({role: permission in GRANTS[role] for role in Role})) for permission in Permission
)


@access_pages.get("/access")
def get_access(request: Request, house: HouseHere, who: Admin, text: Word = "", after: Word = "") -> Response:
    """Everybody by name, tokens, sessions, the table."""
    actors = api.list_actors(house, who, text, after)
    further = urlencode({"text": text, "after": actors[-1].name}) if len(actors) == api.PAGE else ""
    return render(
        request,
        who,
        "access.html",
        actors=actors,
        text=text,
        further=further,
        tokens=api.list_tokens(house, who)[:TOKENS_SHOWN],
        sessions=sessions.list_sessions(house, who)[:SESSIONS_SHOWN],
        roles=tuple(Role),
        table=TABLE,
        directory=_directory(house),
    )


@access_pages.get("/access/actors/{actor_id}")
def get_actor(request: Request, actor_id: OurId, house: HouseHere, who: Admin) -> Response:
    """One of them: roles, tokens, sessions, in or out."""
    actor = api.get_actor(actor_id, house, who)
    allowed = Permission if actor.kind == "MACHINE" else granted(actor.roles)
    return render(
        request,
        who,
        "access_actor.html",
        actor=actor,
        tokens=[one for one in api.list_tokens(house, who) if one.owner == actor.name],
        sessions=[one for one in sessions.list_sessions(house, who) if one.name == actor.name],
        roles=tuple(Role),
        scopes=[one for one in Permission if one in allowed],
        myself=actor.id == who.actor.id,
        directory=_directory(house),
    )


def _directory(house: House) -> str:
    """What decides on roles at the next login: '' where the roles here do."""
    login = house.settings.login
    found = [name for name, there in (("[login.oidc]", login.oidc), ("[login.ldap]", login.ldap)) if there]
    return " and ".join(found)
