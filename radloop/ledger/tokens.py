"""Tokens of people and machines: kept as their SHA-256 only, with what they may do and until when."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from radloop.domain.access import Permission, Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Actor
from radloop.ledger.admitted import tokens
from radloop.ledger.tables import actors

TOKEN_PREFIX = "rlt_"  # noqa: S105 - what tokens begin with, so that a leaked one is recognised
FIRST = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as administration sees it: never the secret. `scopes` None: whatever its owner's roles grant."""

    id: str
    owner: str
    name: str
    scopes: frozenset[Permission] | None
    at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a valid token says: whose it is, the roles that its owner has, and what it is limited to."""

    token_id: str
    actor: Actor
    roles: frozenset[Role]
    scopes: frozenset[Permission] | None
    used_at: datetime | None


def issue(
    conn: Connection,
    actor: Actor,
    name: str = FIRST,
    scopes: Iterable[Permission] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """A fresh token; an earlier one of the same owner and name ends. It is shown once and cannot be read back."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = utc_now()
    former = (tokens.c.actor_id == actor.id) & (tokens.c.name == name) & tokens.c.ended_at.is_(None)
    conn.execute(update(tokens).where(former).values(ended_at=now))
    limited = None if scopes is None else sorted(scopes)
    row = {"id": new_id("tk"), "actor_id": actor.id, "name": name, "sha256": digest(secret), "scopes": limited}
    conn.execute(insert(tokens).values(**row, at=now, expires_at=expires_at))
    return secret


def held(conn: Connection, secret: str, now: datetime | None = None) -> Held | None:
    """What this token says now; None where it is nobody's, has ended or expired, or its owner is disabled.

    256 random bits need no slow hash; the look-up is by digest, so timing tells nothing.
    """
    valid = (
        (tokens.c.sha256 == digest(secret))
        & tokens.c.ended_at.is_(None)
        & or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > (now or utc_now()))
        & actors.c.disabled_at.is_(None)
    )
    columns = (tokens.c.id, tokens.c.scopes, tokens.c.used_at, actors.c.id.label("owner"), actors.c.name)
    found = select(*columns, actors.c.kind, actors.c.roles).select_from(tokens.join(actors)).where(valid)
    row = conn.execute(found).first()
    return _held(row) if row else None


def owner_of(conn: Connection, secret: str) -> Actor | None:
    """Whose valid token this is."""
    found = held(conn, secret)
    return found.actor if found else None


def used(conn: Connection, token_id: str, at: datetime) -> None:
    """Note when a token was last used."""
    conn.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=at))


def end(conn: Connection, token_id: str) -> bool:
    """End a token; False where there is none of this id that has not ended."""
    standing = (tokens.c.id == token_id) & tokens.c.ended_at.is_(None)
    return conn.execute(update(tokens).where(standing).values(ended_at=utc_now())).rowcount == 1


def known(conn: Connection) -> tuple[Token, ...]:
    """Every token that has not ended, by owner and name."""
    listed = select(tokens, actors.c.name.label("owner")).select_from(tokens.join(actors))
    rows = conn.execute(listed.where(tokens.c.ended_at.is_(None)).order_by(actors.c.name, tokens.c.name))
    return tuple(_token(row) for row in rows)


def digest(secret: str) -> str:
    """What is kept of a secret: SHA-256, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _held(row: Any) -> Held:
    return Held(
        token_id=row.id,
        actor=Actor(row.owner, row.name, ActorKind(row.kind)),
        roles=frozenset(map(Role, row.roles)),
        scopes=_scopes(row.scopes),
        used_at=row.used_at,
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        name=row.name,
        scopes=_scopes(row.scopes),
        at=row.at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        used_at=row.used_at,
    )


def _scopes(names: list[str] | None) -> frozenset[Permission] | None:
    return None if names is None else frozenset(map(Permission, names))
