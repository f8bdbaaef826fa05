"""What a command works with: the home, its settings, ledger and keys, and the actor in whose name it changes things."""

import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from os import getuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import Rejected
from radloop.domain.records import Actor, AuditEvent

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from radloop.ledger import Ledger
    from radloop.settings import Settings
    from radloop.store import Keyring, LocalStore

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder that holds everything (RADLOOP_HOME; else ~/.radloop).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="RADLOOP_TOKEN", help="Act as the owner of this token.", show_envvar=True),
]


@dataclass(frozen=True)
class Desk:
    """One command at work on one home."""

    home: Path
    token: str | None = None

    @cached_property
    def settings(self) -> "Settings":
        """radloop.toml of this home.

        Raises:
            SettingsError: it is missing or wrong.
        """
        from radloop.settings import load_settings

        return load_settings(self.home)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger of this home."""
        from radloop.ledger import Ledger

        return Ledger(self.settings.ledger_url, busy_seconds=self.settings.ledger.busy_seconds)

    @cached_property
    def keyring(self) -> "Keyring":
        """The keys of this home."""
        from radloop.store import Keyring

        return Keyring.load(self.settings.keys_path)

    @cached_property
    def store(self) -> "LocalStore":
        """The store of this home."""
        from radloop.store import LocalStore

        return LocalStore(self.settings.store_path, self.keyring)

    @contextmanager
    def reading(self) -> "Iterator[Connection]":
        """One consistent view of the ledger."""
        with self.ledger.read() as conn:
            yield conn

    @contextmanager
    def changing(self) -> "Iterator[Change]":
        """One transaction in the name of one actor.

        Raises:
            Rejected: nobody has this token, or the operating-system user is no actor here.
        """
        actor = self.actor()
        with self.ledger.write() as conn:
            yield Change(conn, actor)

    def actor(self) -> Actor:
        """Who runs this command: the owner of the token, or the operating-system user as `radloop init` knew it."""
        from radloop.ledger import actors, tokens

        with self.ledger.read() as conn:
            found = tokens.owner_of(conn, self.token) if self.token else actors.by_name(conn, system_user())
        if found is None:
            self._record_refusal()
            raise Rejected(
                "nobody has this token"
                if self.token
                else f"the user {system_user()} is no actor here: give --token, or let an actor run `radloop actor add`"
            )
        return found

    def _record_refusal(self) -> None:
        from radloop.audit import append

        with self.ledger.write() as conn:
            append(conn, event("command-line", "actor.deny", "actor", "unknown", "token" if self.token else "user"))


@dataclass(frozen=True, slots=True)
class Change:
    """An open transaction and the actor in whose name it is made."""

    conn: "Connection"
    actor: Actor

    def record(self, action: str, kind: str, object_id: str, detail: str = "") -> None:
        """Append the audit row of a change to its own transaction."""
        from radloop.audit import append

        append(self.conn, event(self.actor.name, action, kind, object_id, detail))


def event(actor: str, action: str, kind: str, object_id: str, detail: str = "") -> AuditEvent:
    """An audit row of now."""
    from radloop.domain.ids import utc_now

    return AuditEvent(at=utc_now(), actor=actor, action=action, object_kind=kind, object_id=object_id, detail=detail)


def system_user() -> str:
    """The operating system's name for us; no variable of the environment can change it."""
    try:
        return pwd.getpwuid(getuid()).pw_name
    except KeyError:
        return f"uid-{getuid()}"


def open_desk(home: Path | None, token: str | None = None) -> Desk:
    """The desk for `--home`, or for RADLOOP_HOME."""
    from radloop.settings import default_home

    return Desk((home or default_home()).expanduser().absolute(), token)
