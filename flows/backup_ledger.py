"""One moment of the ledger as a file, and a ledger made of such a file again.

SQLite: `VACUUM INTO`, beside writers that go on writing. PostgreSQL: `pg_dump` of an exported snapshot. The keys of the
stored objects are listed from the very same moment.
"""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL, make_url

from radloop.domain.errors import Permanent, Rejected, SettingsError, StorageFull, Unavailable
from radloop.ledger import Ledger, blobs
from radloop.settings import child_environment

SQLITE, POSTGRES = "sqlite", "postgresql"
_DIGITS: Final = "0123456789abcdef"
_KEY_DIGITS: Final = 32
# More than a ledger of millions of studies needs; a hung connection must not hold a backup for ever.
SECONDS: Final = 6 * 3600


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`file`: the ledger's content, as `database` has it. `keys`: one key a line, in order, that must be at rest."""

    database: str
    file: Path
    keys: Path


def database_of(url: str) -> str:
    """Which kind of database a URL names."""
    return make_url(url).get_backend_name()


def take(ledger: Ledger, folder: Path) -> Snapshot:
    """One moment of the ledger, written into `folder`.

    Raises:
        Unavailable: the ledger is away or locked, or pg_dump failed.
        StorageFull: there is no room for it.
        SettingsError: pg_dump is not installed.
    """
    snapshot = Snapshot(SQLITE if ledger.sqlite else POSTGRES, folder / "ledger.copy", folder / "keys")
    (_take_sqlite if ledger.sqlite else _take_postgres)(ledger, snapshot)
    return snapshot


def give(snapshot: Path, url: str) -> None:
    """Make the ledger that `url` names of a snapshot's file. On PostgreSQL the database is there, and empty.

    Raises:
        Rejected: it is not empty.
        Unavailable: it is away, or pg_restore failed.
        SettingsError: pg_restore is not installed.
    """
    place = make_url(url)
    if place.get_backend_name() == SQLITE:
        snapshot.replace(str(place.database))
        return
    _refuse_full(url)
    argv = ("pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--single-transaction")
    _run(place, *argv, "--dbname", _without_password(place), str(snapshot))


def _take_sqlite(ledger: Ledger, snapshot: Snapshot) -> None:
    try:
        with _sqlite(str(ledger.url.database)) as raw:
            raw.execute("VACUUM INTO ?", (str(snapshot.file),))
    except sqlite3.Error as error:
        full = "full" in str(error) or "disk I/O" in str(error)
        raise (StorageFull if full else Unavailable)(f"the ledger cannot be copied ({type(error).__name__})") from None
    copy = Ledger(f"sqlite:///{snapshot.file}")
    try:
        with copy.read() as conn:
            _list_keys(conn, snapshot.keys)
    finally:
        copy.close()


@contextmanager
def _sqlite(path: str) -> Iterator[sqlite3.Connection]:
    raw = sqlite3.connect(path, isolation_level=None, timeout=30.0)
    try:
        yield raw
    finally:
        raw.close()


def _take_postgres(ledger: Ledger, snapshot: Snapshot) -> None:
    with ledger.engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        moment = str(conn.scalar(text("SELECT pg_export_snapshot()")))
        argv = ("pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--snapshot={moment}")
        _run(ledger.url, *argv, "--file", str(snapshot.file), "--dbname", _without_password(ledger.url))
        _list_keys(conn, snapshot.keys)


def keys_at_rest(conn: Connection) -> Iterator[str]:
    """Every key whose bytes must be in the store, in order; a sixteenth at a time, since a large site has millions."""
    for start in _DIGITS:
        yield from sorted(blobs.at_rest(conn, start.ljust(_KEY_DIGITS, "0"), start.ljust(_KEY_DIGITS, "f")))


def _list_keys(conn: Connection, target: Path) -> None:
    with target.open("w", encoding="ascii") as file:
        file.writelines(f"{key}\n" for key in keys_at_rest(conn))


def _refuse_full(url: str) -> None:
    ledger = Ledger(url)
    try:
        with ledger.read() as conn:
            if inspect(conn).get_table_names():
                raise Rejected("the database to restore into is not empty")
    finally:
        ledger.close()


def _without_password(url: URL) -> str:
    """As libpq takes it: who looks at the list of processes sees no password."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _run(url: URL, program: str, *arguments: str) -> None:
    if which(program) is None:
        raise SettingsError(f"{program} is not installed: the ledger is a PostgreSQL one (Debian: postgresql-client)")
    environment = child_environment({"PGPASSWORD": str(url.password)} if url.password else {})
    # What it says may quote rows: it is not repeated.
    done = subprocess.run(
        [program, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise Permanent(f"{program} failed with exit code {done.returncode}: is it as new as the server?")
