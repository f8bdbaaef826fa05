"""Coming in: from what somebody shows at the door to a session, or a refusal that says nothing about why.

Every try is audited, the failed ones too. What the directory says of groups becomes roles by `[login.groups]`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from flows.house import House
from integrations.identity import ldap
from integrations.identity.refusals import is_usable
from radloop import audit
from radloop.domain.access import Identified, Role
from radloop.domain.enums import ActorKind
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Actor, AuditEvent
from radloop.ledger import actors as actor_rows
from radloop.ledger import sessions as session_rows
from radloop.ledger import tokens as token_rows
from radloop.ledger.sessions import Begun, Door
from serving.console.throttle import Throttle

log = structlog.get_logger(__name__)

NOBODY: Final = "unknown"
LONGEST_NAME: Final = 128


class NotAdmitted(Rejected):
    """Nobody comes in by this; the audit knows why."""

    code = "not-admitted"

    def __init__(self, why: str) -> None:
        super().__init__("that did not work: check the name and the password, or ask whoever gives access")
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """Somebody at the door: the name that they gave ('' where none), and where they come from."""

    name: str
    address: str

    @property
    def keys(self) -> tuple[str, ...]:
        """What failures are counted under."""
        return (f"address {self.address}", *([f"name {self.name.casefold()}"] if self.name else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Who somebody turned out to be, what they are here, and by which door they came."""

    name: str
    roles: frozenset[Role]
    door: Door
    provider_session: str | None = None


def by_password(house: House, throttle: Throttle, name: str, password: str, address: str) -> Begun:
    """By the directory's name and password; by the local account where break-glass is on and the directory has none.

    Raises:
        NotAdmitted: wrong, or without a role here.
        TooMany: too many failures before.
        Unavailable: the directory is away, and no local account fits.
    """
    tried = Try(name=name[:LONGEST_NAME], address=address)
    return _attempt(house, throttle, tried, lambda: _password(house, tried.name, password))


def by_token(house: House, throttle: Throttle, token: str, address: str) -> Begun:
    """By a person's personal token, where the site has no directory.

    Raises:
        NotAdmitted, TooMany: as `by_password`.
    """
    return _attempt(house, throttle, Try(name="", address=address), lambda: _token(house, token))


def by_provider(house: House, throttle: Throttle, found: Identified, address: str) -> Begun:
    """By the word of the single sign-on.

    Raises:
        NotAdmitted: they have no role here.
        TooMany: as `by_password`.
    """
    tried = Try(name=found.name[:LONGEST_NAME], address=address)
    return _attempt(house, throttle, tried, lambda: _admitted(house, found, Door.OIDC))


def roles_of(groups: Iterable[str], granted_by: Mapping[str, Iterable[Role]]) -> frozenset[Role]:
    """The roles that groups give, by `[login.groups]`; names of groups are compared without case."""
    table = {group.casefold(): frozenset(roles) for group, roles in granted_by.items()}
    return frozenset().union(*(table.get(group.casefold(), frozenset()) for group in groups))


def record_failure(house: House, tried: Try, why: str) -> None:
    """Put a failed try into the audit: the name that was typed is kept only where it is an actor's."""
    with house.ledger.write() as conn:
        known = actor_rows.by_name(conn, tried.name) if is_usable(tried.name) else None
        _record(conn, known.name if known else NOBODY, "login.fail", known.id if known else NOBODY, why, tried.address)


def end_former(house: House, secret: str) -> None:
    """End the session that a browser had before this login, whoever's it was: nobody can reach it any more."""
    if not secret:
        return
    now, idle = utc_now(), timedelta(minutes=house.settings.console.idle_minutes)
    with house.ledger.write() as conn:
        former = session_rows.standing(conn, secret, now=now, idle=idle)
        if former is not None:
            session_rows.end(conn, former.id, now)
            _record(conn, former.actor.name, "logout", former.id, "another login of the same browser", former.address)


def _attempt(house: House, throttle: Throttle, tried: Try, identify: Callable[[], Admitted]) -> Begun:
    throttle.check(tried.keys)
    try:
        return _begin(house, identify(), tried.address)
    except Rejected as error:
        throttle.failed(tried.keys)
        record_failure(house, tried, str(getattr(error, "why", error.code)))
        raise NotAdmitted(error.code) from None


def _password(house: House, name: str, password: str) -> Admitted:
    local = _break_glass(house, name, password) if house.settings.login.break_glass else None
    if local is not None:
        return local
    directory = house.settings.login.ldap
    if directory is None:
        raise NotAdmitted("no-such-door")
    return _admitted(house, ldap.authenticate(directory, name, password), Door.LDAP)


def _break_glass(house: House, name: str, password: str) -> Admitted | None:
    if not is_usable(name):
        return None
    with house.ledger.read() as conn:
        kept = actor_rows.password_of(conn, name)
        entry = actor_rows.entry(conn, name)
    if kept is None or entry is None or not _fits(kept, password):
        return None
    return Admitted(name=name, roles=entry.roles, door=Door.BREAK_GLASS)


def _fits(kept: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def _token(house: House, token: str) -> Admitted:
    if house.settings.login.oidc or house.settings.login.ldap:
        raise NotAdmitted("no-such-door")
    with house.ledger.read() as conn:
        held = token_rows.held(conn, token.strip())
    # A limited token stays limited: a session would have all of its owner's roles.
    if held is None or held.actor.kind is not ActorKind.PERSON or held.scopes is not None:
        raise NotAdmitted("token")
    return Admitted(name=held.actor.name, roles=held.roles, door=Door.TOKEN)


def _admitted(house: House, found: Identified, door: Door) -> Admitted:
    roles = roles_of(found.groups, house.settings.login.groups)
    return Admitted(name=found.name, roles=roles, door=door, provider_session=found.provider_session)


def _begin(house: House, who: Admitted, address: str) -> Begun:
    if not who.roles:
        raise NotAdmitted("no-role")
    now, lasts = utc_now(), timedelta(hours=house.settings.console.session_hours)
    with house.ledger.write() as conn:
        actor = _actor(conn, who)
        begun = session_rows.begin(
            conn, actor, who.roles, who.door, address, now=now, lasts=lasts, provider_session=who.provider_session
        )
        action = "break-glass" if who.door is Door.BREAK_GLASS else "login"
        if who.door is Door.BREAK_GLASS:
            log.warning("break-glass", session=begun.session.id)
        _record(conn, actor.name, action, begun.session.id, who.door, address, ",".join(sorted(who.roles)))
        return begun


def _actor(conn: Connection, who: Admitted) -> Actor:
    """The person of this name, new where they come for the first time; their personal tokens follow the directory."""
    actor = actor_rows.ensure(conn, who.name, ActorKind.PERSON)
    entry = actor_rows.entry(conn, who.name)
    if actor.kind is not ActorKind.PERSON or entry is None or entry.disabled_at is not None:
        raise NotAdmitted("not-a-person" if actor.kind is not ActorKind.PERSON else "disabled")
    if who.door in (Door.OIDC, Door.LDAP):
        actor_rows.set_roles(conn, actor, who.roles)
    return actor


def _record(
    conn: Connection, actor: str, action: str, object_id: str, detail: str, address: str, role: str = ""
) -> None:
    kind = "actor" if action == "login.fail" else "session"
    made = AuditEvent(
        at=utc_now(),
        actor=actor,
        action=action,
        object_kind=kind,
        object_id=object_id,
        detail=detail,
        role=role,
        address=address,
    )
    audit.append(conn, made)
