"""Who may come in, with which roles and tokens: the verbs behind `radloop actor`, `radloop token` and the page.

Whoever's roles are changed, or who is disabled, is out at once: their sessions end in the same transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from radloop import audit
from radloop.domain.access import Permission, Role, granted
from radloop.domain.enums import ActorKind
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Actor, AuditEvent
from radloop.ledger import Ledger, actors, sessions, tokens
from radloop.ledger.actors import Entry

LONGEST_TOKEN_NAME: Final = 64


class Lockout(Rejected):
    """Somebody would shut themselves out, and with them perhaps the last one who gives access."""

    code = "lockout"


@dataclass(frozen=True, slots=True)
class Changed:
    """An actor after a change, and how many of their sessions it ended."""

    entry: Entry
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token. `secret` is shown once and cannot be read back; `scopes` None: whatever its owner may."""

    id: str
    owner: str
    name: str
    secret: str = field(repr=False)
    scopes: frozenset[Permission] | None
    expires_at: datetime | None


def set_roles(ledger: Ledger, by: Actor, name: str, roles: Iterable[Role]) -> Changed:
    """Replace somebody's roles, and end their sessions. Where a directory gives roles, its next login replaces them.

    Raises:
        NotFound: there is no such actor.
        Rejected: a machine has none; Lockout: one's own ADMIN.
        Unavailable: the ledger's.
    """
    wanted = frozenset(roles)
    with ledger.write() as conn:
        found = _entry(conn, name)
        if found.actor.kind is ActorKind.MACHINE:
            raise Rejected("a machine has scopes, not roles: radloop token issue")
        if found.actor.id == by.id and Role.ADMIN in found.roles - wanted:
            raise Lockout("nobody takes ADMIN from themselves: let another administrator do it")
        actors.set_roles(conn, found.actor, wanted)
        ended = _end_sessions(conn, found.actor)
        _record(conn, by, "actor.roles", found.actor.id, f"{worded(found.roles)} -> {worded(wanted)}")
    return Changed(replace(found, roles=wanted), ended)


def disable(ledger: Ledger, by: Actor, name: str) -> Changed:
    """Let somebody in no longer: their sessions end, and their tokens open nothing.

    Raises:
        NotFound: there is no such actor.
        Lockout: it is oneself.
        Unavailable: the ledger's.
    """
    with ledger.write() as conn:
        found = _entry(conn, name)
        if found.actor.id == by.id:
            raise Lockout("nobody disables themselves: let another actor do it")
        at = found.disabled_at or utc_now()
        actors.disable(conn, found.actor, at)
        ended = _end_sessions(conn, found.actor)
        _record(conn, by, "actor.disable", found.actor.id)
    return Changed(replace(found, disabled_at=at), ended)


def enable(ledger: Ledger, by: Actor, name: str) -> Changed:
    """Let somebody in again; tokens that have not ended work again.

    Raises:
        NotFound: there is no such actor.
        Unavailable: the ledger's.
    """
    with ledger.write() as conn:
        found = _entry(conn, name)
        actors.disable(conn, found.actor, None)
        _record(conn, by, "actor.enable", found.actor.id)
    return Changed(replace(found, disabled_at=None), 0)


def issue_token(
    ledger: Ledger, by: Actor, owner: str, name: str, scopes: Iterable[Permission], expires_at: datetime | None
) -> Issued:
    """A new token; an earlier one of this owner and name ends. A person's without scopes may whatever the person may.

    Raises:
        NotFound: there is no such actor.
        Rejected: a name that is none, an owner who is disabled or may not what is asked for, a machine without scopes.
        Unavailable: the ledger's.
    """
    if not name.isprintable() or not 0 < len(name.strip()) <= LONGEST_TOKEN_NAME:
        raise Rejected(f"a token's name is 1 to {LONGEST_TOKEN_NAME} printable characters")
    with ledger.write() as conn:
        found = _entry(conn, owner)
        allowed = _allowed(found, frozenset(scopes))
        secret = tokens.issue(conn, found.actor, name.strip(), allowed, expires_at)
        held = tokens.held(conn, secret)
        if held is None:
            raise Rejected("a disabled actor gets no token")
        _record(conn, by, "token.issue", held.token_id, f"{found.actor.id}: {told(allowed, expires_at)}")
    return Issued(
        id=held.token_id, owner=owner, name=name.strip(), secret=secret, scopes=allowed, expires_at=expires_at
    )


def end_token(ledger: Ledger, by: Actor, token_id: str) -> None:
    """From now on it opens nothing.

    Raises:
        NotFound: there is no such token, or it has ended.
        Unavailable: the ledger's.
    """
    with ledger.write() as conn:
        if not tokens.end(conn, token_id):
            raise NotFound("there is no such token, or it has ended")
        _record(conn, by, "token.end", token_id)


def told(scopes: Iterable[Permission] | None, ends: datetime | None) -> str:
    """What a token may, and until when, for a person."""
    return f"may: {worded(scopes) or 'what its owner may'}; ends: {f'{ends:%Y-%m-%d}' if ends else 'never'}"


def worded(names: Iterable[str] | None) -> str:
    """Roles or permissions in a line."""
    return ", ".join(sorted(names or ()))


def _allowed(owner: Entry, asked: frozenset[Permission]) -> frozenset[Permission] | None:
    if owner.actor.kind is ActorKind.MACHINE:
        if not asked:
            raise Rejected("a machine's token needs scopes: --scope")
        return asked
    if beyond := asked - granted(owner.roles):
        raise Rejected(f"its owner may not {worded(beyond)}")
    return asked or None


def _entry(conn: Connection, name: str) -> Entry:
    found = actors.entry(conn, name)
    if found is None:
        raise NotFound("there is no such actor")
    return found


def _end_sessions(conn: Connection, of: Actor) -> int:
    return sessions.end_all_of(conn, of.id, utc_now())


def _record(conn: Connection, by: Actor, action: str, object_id: str, detail: str = "") -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=by.name,
        action=action,
        object_kind=action.partition(".")[0],
        object_id=object_id,
        detail=detail,
    )
    audit.append(conn, event)
