"""Who may do what, at the command line: actors and their roles, break-glass passwords, the table of permissions."""

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radloop.domain.access import GRANTS, Permission, Role
from radloop.domain.enums import ActorKind
from radloop.domain.errors import NotFound, Rejected
from serving.cli.desk import Change, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import until
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.domain.records import Actor
    from radloop.ledger.actors import Entry

actor = typer.Typer(help="Who may change things: people and machines.", no_args_is_help=True)

# What a machine of the hospital's needs that hands verdicts over: the same as migration 0008 gave those of before.
MACHINE_SCOPES: Final = (Permission.VIEW_STUDIES, Permission.READ)
MACHINE_EXPIRES: Final = "365d"
NEVER: Final = "never"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024

NameArgument = Annotated[str, typer.Argument(help="The actor's name.")]
ScopeOption = Annotated[
    list[Permission] | None,
    typer.Option("--scope", help="What the token may do; may be repeated.", case_sensitive=False),
]


@actor.command("add")
def add_actor(
    name: Annotated[str, typer.Argument(help="A name nobody has yet.")],
    *,
    machine: Annotated[bool, typer.Option("--machine", help="A machine, not a person.")] = False,
    role: Annotated[
        list[Role] | None,
        typer.Option("--role", help="A role of this person (else READER); may be repeated.", case_sensitive=False),
    ] = None,
    scope: ScopeOption = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", help="When the token ends: 90d, a time, or never. Else 365d for a machine, or never."
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="A new token for an actor that is there; the old one ends.")
    ] = False,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Add an actor and show its token, once: only its hash is kept. A machine's may VIEW_STUDIES and READ."""
    from flows.access import told
    from radloop.domain.ids import utc_now
    from radloop.ledger import actors, tokens

    if role and (machine or renew):
        raise Rejected("a machine has scopes, not roles" if machine else "roles change by `radloop actor roles`")
    with open_desk(home, token).changing() as change:
        if (actors.by_name(change.conn, name) is not None) != renew:
            raise Rejected("there is no such actor" if renew else "there is an actor of this name already (--renew)")
        made = _ensured(change, name, ActorKind.MACHINE if machine else ActorKind.PERSON, role)
        scopes = _scopes(change, made, scope)
        ends = moment_of(expires or (MACHINE_EXPIRES if made.kind is ActorKind.MACHINE else NEVER), utc_now())
        secret = tokens.issue(change.conn, made, scopes=scopes, expires_at=ends)
        change.record("actor.token" if renew else "actor.add", "actor", made.id, _worded(role or scopes))
    if as_json:
        row = {"id": made.id, "name": made.name, "kind": made.kind, "token": secret}
        print_json({**row, "scopes": worded_scopes(scopes), "expires_at": ends.isoformat() if ends else None})
    else:
        say(f"{made.kind} {made.name}\ntoken, shown once: {secret}\n{told(scopes, ends)}")


@actor.command("list")
def list_actors(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the actors, their roles, and whether they have a break-glass password."""
    from radloop.ledger import actors

    with open_desk(home).reading() as conn:
        found = actors.entries(conn)
    if as_json:
        print_json([_row(one) for one in found])
    else:
        print_table("Actors", ("id", "name", "kind", "roles", "disabled", "password"), map(_cells, found))


@actor.command("roles")
def set_roles(
    name: NameArgument,
    role: Annotated[list[Role], typer.Argument(help="Every role from now on.", case_sensitive=False)],
    *,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Replace somebody's roles, and end their sessions. Where a directory gives roles, its next login replaces them."""
    from flows import access

    desk = open_desk(home, token)
    changed = access.set_roles(desk.ledger, desk.actor(), name, role)
    say(f"{name}: {_worded(changed.entry.roles)}; {changed.ended} sessions ended")


@actor.command("disable")
def disable(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Let somebody in no longer: their sessions end, and their tokens open nothing."""
    from flows import access

    desk = open_desk(home, token)
    changed = access.disable(desk.ledger, desk.actor(), name)
    say(f"{name} is disabled; {changed.ended} sessions ended")


@actor.command("enable")
def enable(name: NameArgument, *, token: TokenOption = None, home: HomeOption = None) -> None:
    """Let somebody in again; tokens that have not ended work again."""
    from flows import access

    desk = open_desk(home, token)
    access.enable(desk.ledger, desk.actor(), name)
    say(f"{name} is enabled")


@actor.command("password")
def set_password(
    name: NameArgument,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take the password away.")] = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Give somebody a password for break-glass: typed hidden, or a line of standard input."""
    from radloop.ledger import actors

    desk = open_desk(home, token)
    if not (remove or desk.settings.login.break_glass):
        raise Rejected("break-glass is off: radloop.toml, [login] break_glass")
    with desk.reading() as conn:
        if actors.entry(conn, name) is None:
            raise NotFound("there is no such actor")
    kept = None if remove else hashed(_typed())
    with desk.changing() as change:
        found = entry_of(change, name)
        if found.actor.kind is ActorKind.MACHINE:
            raise Rejected("a machine has tokens, not a password")
        actors.set_password(change.conn, found.actor, kept)
        ended = _end_sessions(change, found.actor)
        change.record(f"break-glass.{'remove' if remove else 'set'}", "actor", found.actor.id)
    say(f"{name} has {'no password' if remove else 'a break-glass password'} now; {ended} sessions ended")


def permissions(*, as_json: JsonOption = False) -> None:
    """Print who may do what: roles and permissions."""
    table = permission_table()
    if as_json:
        print_json({name: [role for role, may in row.items() if may] for name, row in table.items()})
    else:
        rows = ((name, *("x" if may else "" for may in row.values())) for name, row in table.items())
        print_table("Who may do what", ("permission", *Role), rows)


def permission_table() -> dict[str, dict[str, bool]]:
    """For each permission, which role has it."""
    return {one.value: {role.value: one in GRANTS[role] for role in Role} for one in Permission}


def entry_of(change: Change, name: str) -> "Entry":
    """The actor of that name.

    Raises:
        NotFound: there is none.
    """
    from radloop.ledger import actors

    found = actors.entry(change.conn, name)
    if found is None:
        raise NotFound("there is no such actor")
    return found


def moment_of(text: str, now: datetime) -> datetime | None:
    """When a token ends: a span from `now` on, a time, or None for `never`.

    Raises:
        SettingsError: none of these, or a time that has passed.
    """
    return None if text.strip().lower() == NEVER else until(text, now)


def worded_scopes(scopes: Iterable[Permission] | None) -> list[str] | None:
    """Scopes as JSON: None where they are what the owner may."""
    return None if scopes is None else sorted(scopes)


def hashed(password: str) -> str:
    """The argon2id hash of a password, as OWASP's Password Storage Cheat Sheet has it: 19 MiB, two rounds, one lane.

    Raises:
        Rejected: it is too short or too long.
    """
    from argon2 import PasswordHasher, Type

    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Rejected(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID).hash(password)


def _typed() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _ensured(change: Change, name: str, kind: ActorKind, roles: list[Role] | None) -> "Actor":
    from integrations.identity.refusals import LONGEST_NAME, is_usable
    from radloop.ledger import actors

    if not is_usable(name):
        raise Rejected(f"a name is 1 to {LONGEST_NAME} printable characters, without space around it")
    made = actors.ensure(change.conn, name, kind)
    if roles:
        actors.set_roles(change.conn, made, set(roles))
    return made


def _scopes(change: Change, made: "Actor", asked: list[Permission] | None) -> frozenset[Permission] | None:
    """What the first token may do: as asked, as the one before it, or as its kind of actor has it."""
    from radloop.ledger import tokens

    if asked:
        return frozenset(asked)
    former = [one for one in tokens.known(change.conn) if (one.owner, one.name) == (made.name, tokens.FIRST)]
    if former:
        return former[0].scopes
    return frozenset(MACHINE_SCOPES) if made.kind is ActorKind.MACHINE else None


def _end_sessions(change: Change, of: "Actor") -> int:
    from radloop.domain.ids import utc_now
    from radloop.ledger import sessions

    return sessions.end_all_of(change.conn, of.id, utc_now())


def _row(one: "Entry") -> dict[str, object]:
    return {
        "id": one.actor.id,
        "name": one.actor.name,
        "kind": one.actor.kind,
        "roles": sorted(one.roles),
        "disabled_at": one.disabled_at.isoformat() if one.disabled_at else None,
        "password": one.password,
    }


def _cells(one: "Entry") -> tuple[object, ...]:
    said = one.actor
    return (said.id, said.name, said.kind, _worded(one.roles), one.disabled_at, "yes" if one.password else "")


def _worded(names: Iterable[str] | None) -> str:
    return ", ".join(sorted(names or ()))
