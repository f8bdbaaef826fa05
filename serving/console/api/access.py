"""The paths /api/v1/actors and /api/v1/tokens: who may come in, with which roles, and by which tokens."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from flows import access as verbs
from flows.house import House
from radloop.domain.access import Permission, Role
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.ledger import actors as actor_rows
from radloop.ledger import tokens as token_rows
from radloop.ledger.actors import Entry
from radloop.ledger.tokens import Token
from serving.console.api.readings import REFUSALS, OurId
from serving.console.api.session import Admin
from serving.console.identity import HouseHere

access = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["access"])
LONGEST_DAYS: Final = 3650
PAGE: Final = 200
# No control characters: PostgreSQL takes no NUL.
Word = Annotated[str, Query(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ActorOut(BaseModel):
    """Somebody who may come in. `password`: whether there is one for break-glass."""

    id: str
    name: str
    kind: str
    roles: tuple[Role, ...]
    password: bool
    disabled_at: datetime | None


class ChangedOut(BaseModel):
    """An actor after a change, and how many of their sessions it ended."""

    actor: ActorOut
    ended: int


class RolesIn(BaseModel):
    """Every role from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: Annotated[tuple[Role, ...], Field(max_length=len(Role))]


class TokenIn(BaseModel):
    """What a token is for, may, and for how long. Without scopes: whatever the person may. Without days: for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=verbs.LONGEST_TOKEN_NAME)]
    scopes: Annotated[tuple[Permission, ...], Field(max_length=len(Permission))] = ()
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] | None = None


class TokenOut(BaseModel):
    """A token that has not ended; never its secret. `scopes` null: whatever its owner may."""

    id: str
    owner: str
    name: str
    scopes: tuple[Permission, ...] | None
    at: datetime
    expires_at: datetime | None
    used_at: datetime | None


class IssuedOut(BaseModel):
    """A new token. The secret is in this answer alone."""

    id: str
    owner: str
    name: str
    token: str
    scopes: tuple[Permission, ...] | None
    expires_at: datetime | None


class TokenEnded(BaseModel):
    """The token that ended."""

    id: str


@access.get("/actors")
def list_actors(house: HouseHere, _: Admin, text: Word = "", after: Word = "") -> tuple[ActorOut, ...]:
    """Those whose name holds the text, by name, 200 at a time: `after` is the last name of the page before."""
    with house.ledger.read() as conn:
        return tuple(map(_actor, actor_rows.entries_page(conn, text, after, PAGE)))


@access.get("/actors/{actor_id}")
def get_actor(actor_id: OurId, house: HouseHere, _: Admin) -> ActorOut:
    """One of them; 404 where there is none."""
    with house.ledger.read() as conn:
        found = actor_rows.entry_by_id(conn, actor_id)
    if found is None:
        raise NotFound("there is no such actor")
    return _actor(found)


@access.post("/actors/{actor_id}/roles")
def post_roles(actor_id: OurId, said: RolesIn, house: HouseHere, who: Admin) -> ChangedOut:
    """Replace a person's roles and end their sessions; 409 where somebody would take ADMIN from themselves."""
    return _changed(verbs.set_roles(house.ledger, who.actor, _name(house, actor_id), said.roles))


@access.post("/actors/{actor_id}/disable")
def post_disable(actor_id: OurId, house: HouseHere, who: Admin) -> ChangedOut:
    """Let somebody in no longer: sessions end, tokens open nothing; 409 for oneself."""
    return _changed(verbs.disable(house.ledger, who.actor, _name(house, actor_id)))


@access.post("/actors/{actor_id}/enable")
def post_enable(actor_id: OurId, house: HouseHere, who: Admin) -> ChangedOut:
    """Let somebody in again."""
    return _changed(verbs.enable(house.ledger, who.actor, _name(house, actor_id)))


@access.get("/tokens")
def list_tokens(house: HouseHere, _: Admin) -> tuple[TokenOut, ...]:
    """Every token that has not ended, by owner and name."""
    with house.ledger.read() as conn:
        return tuple(map(_token, token_rows.known(conn)))


@access.post("/actors/{actor_id}/tokens", status_code=HTTPStatus.CREATED)
def post_token(actor_id: OurId, said: TokenIn, house: HouseHere, who: Admin) -> IssuedOut:
    """Issue a token; an earlier one of this owner and name ends."""
    ends = utc_now() + timedelta(days=said.days) if said.days else None
    made = verbs.issue_token(house.ledger, who.actor, _name(house, actor_id), said.name, said.scopes, ends)
    return IssuedOut(
        id=made.id,
        owner=made.owner,
        name=made.name,
        token=made.secret,
        scopes=_sorted(made.scopes),
        expires_at=made.expires_at,
    )


@access.post("/tokens/{token_id}/end")
def post_token_end(token_id: OurId, house: HouseHere, who: Admin) -> TokenEnded:
    """From now on it opens nothing."""
    verbs.end_token(house.ledger, who.actor, token_id)
    return TokenEnded(id=token_id)


def _name(house: House, actor_id: str) -> str:
    with house.ledger.read() as conn:
        found = actor_rows.by_id(conn, actor_id)
    if found is None:
        raise NotFound("there is no such actor")
    return found.name


def _changed(changed: verbs.Changed) -> ChangedOut:
    return ChangedOut(actor=_actor(changed.entry), ended=changed.ended)


def _actor(one: Entry) -> ActorOut:
    return ActorOut(
        id=one.actor.id,
        name=one.actor.name,
        kind=one.actor.kind,
        roles=tuple(sorted(one.roles)),
        password=one.password,
        disabled_at=one.disabled_at,
    )


def _token(one: Token) -> TokenOut:
    return TokenOut(
        id=one.id,
        owner=one.owner,
        name=one.name,
        scopes=_sorted(one.scopes),
        at=one.at,
        expires_at=one.expires_at,
        used_at=one.used_at,
    )


def _sorted(scopes: frozenset[Permission] | None) -> tuple[Permission, ...] | None:
    return None if scopes is None else tuple(sorted(scopes))
