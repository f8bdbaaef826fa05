"""Who asks, and whether they may."""

from collections.abc import Callable
from typing import Annotated, Final

import structlog
from fastapi import Depends, Request

from flows.house import House
from radloop.domain.access import Permission, Role, Who, granted
from radloop.domain.enums import ActorKind
from radloop.domain.records import Actor
from radloop.ledger import actors as actor_rows
from serving.console.refusals import Forbidden, Malformed, Unauthenticated

log = structlog.get_logger(__name__)

SCHEME: Final = "bearer"


def house_of(request: Request) -> House:
    """The house that this process serves."""
    house: House = request.app.state.house
    return house


HouseHere = Annotated[House, Depends(house_of)]


def actor_of(request: Request, house: HouseHere) -> Actor:
    """The owner of the token in `Authorization: Bearer` (RFC 6750 section 2.1).

    Raises:
        Unauthenticated: there is none, or it is nobody's.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = None
    if scheme.lower() == SCHEME and token.strip():
        with house.ledger.read() as conn:
            found = token_rows.owner_of(conn, token.strip())
    if found is None:
        log.warning("unauthenticated", path=getattr(request.scope.get("route"), "path", ""))
        raise Unauthenticated("a personal token is needed: Authorization: Bearer, from `radloop actor add`")
    return found


ActorHere = Annotated[Actor, Depends(actor_of)]


def who_of(request: Request, actor: ActorHere) -> Who:
    """The one who asks, with what they may do."""
    roles = frozenset((Role.READER,))
    address = request.client.host if request.client else ""
    return Who(actor=actor, roles=roles, permissions=granted(roles), address=address)


def may(permission: Permission) -> Callable[[Who], Who]:
    """A dependency that lets those pass who have this permission: `Annotated[Who, Depends(may(Permission.READ))]`."""

    def check(who: Annotated[Who, Depends(who_of)]) -> Who:
        if not who.may(permission):
            raise Forbidden("your roles do not allow this")
        return who

    check.permission = permission  # type: ignore[attr-defined]
    return check


def reader_for(actor: Actor, named: str | None) -> str:
    """Whose word it is: a person speaks for themself, a machine for the reader that it names.

    Raises:
        Forbidden: a person speaks for another.
        Malformed: a machine names nobody.
    """
    if actor.kind is ActorKind.MACHINE:
        if not named:
            raise Malformed("reader: a machine names the reader that it speaks for")
        return named
    if named not in (None, actor.name):
        raise Forbidden("a person enters their own verdicts only")
    return actor.name
