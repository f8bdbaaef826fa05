"""Actors and their personal tokens. A token is kept as its SHA-256 only."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.enums import ActorKind
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Actor
from radloop.ledger.tables import actors

TOKEN_PREFIX = "rlt_"  # noqa: S105 - what tokens begin with, so that a leaked one is recognised


def ensure(conn: Connection, name: str, kind: ActorKind) -> Actor:
    """The actor of that name, made where there is none."""
    found = by_name(conn, name)
    if found is not None:
        return found
    actor = Actor(new_id("ac"), name, kind)
    conn.execute(insert(actors).values(id=actor.id, name=name, kind=kind, at=utc_now()))
    return actor


def issue_token(conn: Connection, actor: Actor) -> str:
    """A fresh personal token; an earlier one ends. It is shown once and cannot be read back."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    conn.execute(update(actors).where(actors.c.id == actor.id).values(token_sha256=_digest(token)))
    return token


def by_name(conn: Connection, name: str) -> Actor | None:
    """The actor of that name."""
    return _first(conn, actors.c.name == name)


def by_token(conn: Connection, token: str) -> Actor | None:
    """Whose token this is. 256 random bits need no slow hash; the look-up is by digest, so timing tells nothing."""
    return _first(conn, actors.c.token_sha256 == _digest(token))


def known(conn: Connection) -> tuple[Actor, ...]:
    """Every actor, by name."""
    return tuple(_actor(row) for row in conn.execute(select(actors).order_by(actors.c.name)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _first(conn: Connection, condition: Any) -> Actor | None:
    row = conn.execute(select(actors).where(condition)).first()
    return _actor(row) if row else None


def _actor(row: Row[Any]) -> Actor:
    return Actor(row.id, row.name, ActorKind(row.kind))
