"""Actors: people and machines with a name, and the roles that a person has without a directory."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.access import Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Actor
from radloop.ledger.tables import actors


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An actor as administration sees it. `password`: whether there is one for break-glass."""

    actor: Actor
    roles: frozenset[Role]
    password: bool
    disabled_at: datetime | None


def ensure(conn: Connection, name: str, kind: ActorKind) -> Actor:
    """The actor of that name, made where there is none."""
    found = by_name(conn, name)
    if found is not None:
        return found
    actor = Actor(new_id("ac"), name, kind)
    roles = [Role.READER] if kind is ActorKind.PERSON else []
    conn.execute(insert(actors).values(id=actor.id, name=name, kind=kind, roles=roles, at=utc_now()))
    return actor


def by_name(conn: Connection, name: str) -> Actor | None:
    """The actor of that name."""
    return _first(conn, actors.c.name == name)


def by_id(conn: Connection, actor_id: str) -> Actor | None:
    """The actor of that id."""
    return _first(conn, actors.c.id == actor_id)


def known(conn: Connection) -> tuple[Actor, ...]:
    """Every actor, by name."""
    return tuple(_actor(row) for row in conn.execute(select(actors).order_by(actors.c.name)))


def entry(conn: Connection, name: str) -> Entry | None:
    """The actor of that name as administration sees it."""
    row = conn.execute(select(actors).where(actors.c.name == name)).first()
    return _entry(row) if row else None


def entries(conn: Connection) -> tuple[Entry, ...]:
    """Every actor as administration sees it, by name."""
    return tuple(_entry(row) for row in conn.execute(select(actors).order_by(actors.c.name)))


def entries_page(conn: Connection, text: str, after: str, limit: int) -> tuple[Entry, ...]:
    """Those whose name holds `text`, from the name after `after` on."""
    wanted = actors.c.name.icontains(text, autoescape=True) & (actors.c.name > after)
    return tuple(_entry(row) for row in conn.execute(select(actors).where(wanted).order_by(actors.c.name).limit(limit)))


def entry_by_id(conn: Connection, actor_id: str) -> Entry | None:
    """The actor of that id as administration sees it."""
    row = conn.execute(select(actors).where(actors.c.id == actor_id)).first()
    return _entry(row) if row else None


def set_roles(conn: Connection, actor: Actor, roles: Iterable[Role]) -> None:
    """Replace the roles that this person has where no directory speaks for them."""
    conn.execute(update(actors).where(actors.c.id == actor.id).values(roles=sorted(roles)))


def set_password(conn: Connection, actor: Actor, argon2: str | None) -> None:
    """Keep (or with None remove) the argon2id hash of a break-glass password."""
    conn.execute(update(actors).where(actors.c.id == actor.id).values(password=argon2))


def password_of(conn: Connection, name: str) -> str | None:
    """The argon2id hash of this person's break-glass password; None where there is none or they are disabled."""
    chosen = (actors.c.name == name) & actors.c.disabled_at.is_(None)
    return conn.scalar(select(actors.c.password).where(chosen))


def disable(conn: Connection, actor: Actor, at: datetime | None) -> None:
    """From `at` on nothing of this actor opens a door; None lets them in again."""
    conn.execute(update(actors).where(actors.c.id == actor.id).values(disabled_at=at))


def _first(conn: Connection, condition: Any) -> Actor | None:
    row = conn.execute(select(actors).where(condition)).first()
    return _actor(row) if row else None


def _actor(row: Row[Any]) -> Actor:
    return Actor(row.id, row.name, ActorKind(row.kind))


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        actor=_actor(row),
        roles=frozenset(map(Role, row.roles)),
        password=row.password is not None,
        disabled_at=row.disabled_at,
    )
