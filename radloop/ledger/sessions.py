"""Sessions of browsers, kept at the server: the cookie is a secret of which only the SHA-256 is here."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.access import Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import new_id
from radloop.domain.records import Actor
from radloop.ledger.admitted import sessions
from radloop.ledger.tables import actors
from radloop.ledger.tokens import digest

SECRET_BYTES = 32


class Door(StrEnum):
    """How somebody came in."""

    OIDC = "OIDC"
    """The site's single sign-on."""
    LDAP = "LDAP"
    """Name and password of the directory."""
    BREAK_GLASS = "BREAK_GLASS"
    """A local account, for the day on which both are away."""
    TOKEN = "TOKEN"  # noqa: S105 - the name of a door
    """A personal token, typed into the login page of a site without a directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser. `csrf` must come back in a header of every request that changes something."""

    id: str
    actor: Actor
    roles: frozenset[Role]
    csrf: str
    door: Door
    address: str
    at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session and the secret for its cookie, which cannot be read back."""

    session: Session
    secret: str


def begin(
    conn: Connection,
    actor: Actor,
    roles: Iterable[Role],
    door: Door,
    address: str,
    *,
    now: datetime,
    lasts: timedelta,
    provider_session: str | None = None,
) -> Begun:
    """Open a session; `provider_session` is the provider's own id of it (OIDC `sid`), for logging out there."""
    secret, csrf = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(2))
    made = Session(
        id=new_id("ss"),
        actor=actor,
        roles=frozenset(roles),
        csrf=csrf,
        door=door,
        address=address,
        at=now,
        seen_at=now,
        ends_at=now + lasts,
    )
    row = {"id": made.id, "actor_id": actor.id, "sha256": digest(secret), "csrf": csrf, "roles": sorted(made.roles)}
    times = {"at": now, "seen_at": now, "ends_at": made.ends_at}
    conn.execute(insert(sessions).values(**row, **times, door=door, address=address, provider_session=provider_session))
    return Begun(made, secret)


def standing(conn: Connection, secret: str, *, now: datetime, idle: timedelta) -> Session | None:
    """The session of this secret, where it has not ended, expired or idled too long, and its owner is not disabled."""
    return _first(conn, (sessions.c.sha256 == digest(secret)) & _alive(now, idle))


def seen(conn: Connection, session_id: str, now: datetime) -> None:
    """Somebody is still there."""
    conn.execute(update(sessions).where(sessions.c.id == session_id).values(seen_at=now))


def end(conn: Connection, session_id: str, now: datetime) -> None:
    """Log out here."""
    conn.execute(update(sessions).where(sessions.c.id == session_id).values(ended_at=now))


def end_all_of(conn: Connection, actor_id: str, now: datetime) -> int:
    """Log out everywhere; how many sessions that ended."""
    theirs = (sessions.c.actor_id == actor_id) & sessions.c.ended_at.is_(None)
    return conn.execute(update(sessions).where(theirs).values(ended_at=now)).rowcount


def end_provided(conn: Connection, provider_session: str, now: datetime) -> int:
    """The provider ended this session of its own (OIDC back-channel logout); how many of ours that ended."""
    theirs = (sessions.c.provider_session == provider_session) & sessions.c.ended_at.is_(None)
    return conn.execute(update(sessions).where(theirs).values(ended_at=now)).rowcount


def all_standing(conn: Connection, *, now: datetime, idle: timedelta) -> tuple[Session, ...]:
    """Every session that is open now, the newest first."""
    rows = conn.execute(_joined().where(_alive(now, idle)).order_by(sessions.c.at.desc()))
    return tuple(_session(row) for row in rows)


def door_of(conn: Connection, session_id: str) -> Door | None:
    """How a session began."""
    found = conn.scalar(select(sessions.c.door).where(sessions.c.id == session_id))
    return None if found is None else Door(found)


def _alive(now: datetime, idle: timedelta) -> Any:
    return (
        sessions.c.ended_at.is_(None)
        & (sessions.c.ends_at > now)
        & (sessions.c.seen_at > now - idle)
        & actors.c.disabled_at.is_(None)
    )


def _joined() -> Any:
    return select(sessions, actors.c.name, actors.c.kind).select_from(sessions.join(actors))


def _first(conn: Connection, condition: Any) -> Session | None:
    row = conn.execute(_joined().where(condition)).first()
    return _session(row) if row else None


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        actor=Actor(row.actor_id, row.name, ActorKind(row.kind)),
        roles=frozenset(map(Role, row.roles)),
        csrf=row.csrf,
        door=Door(row.door),
        address=row.address,
        at=row.at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
    )
