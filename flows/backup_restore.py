"""Restore: a home made of a backup and its keys, every byte of it held against what the backup promised.

radloop.toml is written last, and without it nothing starts: a restore that was killed leaves no home that could be
taken for one. What was deleted after the backup was made comes back with it: retention deletes it again.
"""

import hashlib
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import structlog
from sqlalchemy import func, select

from flows.backup_format import (
    ANCHOR,
    LEDGER,
    MODELS,
    POOL,
    SETTINGS,
    BlobEntry,
    Manifest,
    as_storage_full,
    check_files,
    current_set,
    listed,
    open_file,
    pieces_of,
    read_manifest,
    write_file,
)
from flows.backup_ledger import POSTGRES, SQLITE, give, keys_at_rest
from radloop import audit
from radloop.audit import Verdict, verify
from radloop.domain.errors import IntegrityError, NotFound, Rejected, SettingsError
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.ledger.tables import instances, results, studies
from radloop.settings import load_settings
from radloop.store import Keyring, LocalStore, keycopy
from radloop.store.files import sync_folder

log = structlog.get_logger()

# What names a place that the home of before still has: a restored home has its own.
ELSEWHERE: Final = {"ledger": ("url",), "store": ("path", "keys"), "training": ("folder",)}
_HEADER: Final = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_KEY: Final = re.compile(r"""\s*([\w-]+)\s*=\s*(?!\s|""|'')""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was found in a backup and holds. `size`: bytes of stored objects at rest, each of which was opened."""

    manifest: Manifest
    home: Path
    blobs: int
    size: int
    studies: int
    images: int
    answers: int
    audit: Verdict
    moved: tuple[str, ...]
    """Settings that named a place of the home of before, and were set aside."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A backup that this site's keys vouch for."""

    folder: Path
    place: Path
    keys: Path
    manifest: Manifest
    keyring: Keyring


def restore(folder: Path, keys: Path, home: Path, actor: str, ledger_url: str = "") -> Restored:
    """Make `home`, which is not there or empty, of the backup in `folder`; into `ledger_url` where it is PostgreSQL.

    Raises:
        Rejected: the home, or the database, is not empty.
        NotFound: there is no whole backup.
        IntegrityError: something differs from what the backup promised, or cannot be opened; the home is not made.
        SettingsError: the database's URL is missing, or the settings would lead back to the home of before.
    """
    source = _source(folder, keys, ledger_url)
    if home.exists() and any(home.iterdir()):
        raise Rejected(f"{home}: a backup is restored into an empty folder only")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with as_storage_full("the home"), _all_or_nothing(home):
        moved = _lay_down(source, home, ledger_url)
        ledger = Ledger(load_settings(home).ledger_url)
        try:
            restored = _found(source, home, ledger, moved)
            _note(ledger, source.manifest, actor)
        finally:
            ledger.close()
    log.info("restored", backup=source.manifest.id, objects=restored.blobs)
    return restored


def rehearse(folder: Path, keys: Path, actor: str, ledger_url: str = "", within: Path | None = None) -> Restored:
    """Restore into a temporary folder (below `within`, else the system's), and remove it again.

    Raises:
        Rejected, NotFound, IntegrityError, SettingsError: as `restore`.
    """
    place = Path(mkdtemp(prefix="radloop-restore-", dir=within))
    try:
        return restore(folder, keys, place, actor, ledger_url)
    finally:
        shutil.rmtree(place)


def _source(folder: Path, keys: Path, ledger_url: str) -> _Source:
    keyring = Keyring.load(keys)
    place = current_set(folder)
    if place is None:
        raise NotFound(f"{folder}: there is no whole backup here")
    manifest = read_manifest(place, keyring)
    if (manifest.database == POSTGRES) is not bool(ledger_url):
        raise SettingsError(
            "this ledger is a PostgreSQL one: --ledger names an empty database for it"
            if manifest.database == POSTGRES
            else "this ledger is a SQLite one: it lies in the home, and --ledger is not for it"
        )
    check_files(place, manifest.files)
    return _Source(folder, place, keys, manifest, keyring)


def _lay_down(source: _Source, home: Path, ledger_url: str) -> tuple[str, ...]:
    """Everything in its place, radloop.toml last; which of its keys were set aside."""
    keycopy.copy_keys(source.keys, home / "keys")
    store = LocalStore(home / "store", Keyring.load(home / "keys"))
    for entry in listed(source.place):
        store.adopt(entry.key, _checked(source.folder / POOL / entry.pooled, entry))
    for file in source.manifest.files:
        if file.name == ANCHOR or file.name.startswith(f"{MODELS}/"):
            write_file(home / file.name, pieces_of(source.place / file.name))
    _lay_ledger(source, home, ledger_url)
    text, moved = detached((source.place / SETTINGS).read_text(encoding="utf-8"), ledger_url)
    write_file(home / SETTINGS, [text.encode()])
    sync_folder(home)
    _check_settings(home, ledger_url)
    return moved


def _lay_ledger(source: _Source, home: Path, ledger_url: str) -> None:
    plain = home / "ledger.restored"
    open_file(source.place / LEDGER, plain, source.manifest.id, source.keyring)
    give(plain, ledger_url or f"{SQLITE}:///{home / 'ledger.db'}")
    plain.unlink(missing_ok=True)


def detached(text: str, ledger_url: str) -> tuple[str, tuple[str, ...]]:
    """radloop.toml without the keys that name a place of the home of before, which stay as comments; which they were.

    Raises:
        SettingsError: one is written in a way that cannot be set aside by itself.
    """
    lines, moved, table = list[str](), list[str](), ""
    for line in text.splitlines():
        header = _HEADER.match(line)
        table = header[1] if header else table
        key = _named_place(table, line)
        moved += [f"{table}.{key}"] if key else []
        lines.append(f"# set aside by radloop restore: {line}" if key else line)
    return _sound(_with_url(lines, ledger_url), ledger_url), tuple(moved)


def _named_place(table: str, line: str) -> str | None:
    """The key of a line that names a place of the home of before."""
    key = _KEY.match(line)
    return key[1] if key and key[1] in ELSEWHERE.get(table, ()) else None


def _with_url(lines: list[str], ledger_url: str) -> str:
    ours = [f"url = {_quoted(ledger_url)}"] if ledger_url else []
    at = next((number for number, line in enumerate(lines) if line.strip() == "[ledger]"), None)
    told = (
        [*lines, *(["[ledger]", *ours] if ours else [])] if at is None else [*lines[: at + 1], *ours, *lines[at + 1 :]]
    )
    return "\n".join(told) + "\n"


def _sound(text: str, ledger_url: str) -> str:
    table = tomllib.loads(text)
    for name, keys in ELSEWHERE.items():
        for key in keys:
            found = table.get(name, {}).get(key)
            if found not in (None, "", ledger_url or None):
                raise SettingsError(f"radloop.toml of the backup: {name}.{key} names a place of the home of before")
    return text


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check_settings(home: Path, ledger_url: str) -> None:
    """A variable of the environment beats the file, and may lead to the home of before."""
    settings = load_settings(home)
    wanted = (home / "store", home / "keys", ledger_url or f"{SQLITE}:///{home / 'ledger.db'}")
    if (settings.store_path, settings.keys_path, settings.ledger_url) != wanted:
        raise SettingsError("a RADLOOP_ variable names the store, the keys or the ledger of another home: unset it")


def _checked(path: Path, entry: BlobEntry) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        for piece in pieces_of(path):
            digest.update(piece)
            yield piece
    except FileNotFoundError:
        raise IntegrityError("a stored object that the backup lists is not in it") from None
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError("a stored object of the backup was changed")


def _found(source: _Source, home: Path, ledger: Ledger, moved: tuple[str, ...]) -> Restored:
    """Open everything, and count it.

    Raises:
        IntegrityError: the audit's chain is broken, or an object does not open.
    """
    keyring = Keyring.load(home / "keys")
    # A backup of an earlier radloop is read with the tables of this one.
    ledger.upgrade()
    verdict = verify(ledger, keyring.audit_key, home / ANCHOR)
    if not verdict.sound:
        raise IntegrityError(f"the backup's audit was changed: {verdict.fault}")
    store, missing = LocalStore(home / "store", keyring), set(source.manifest.missing)
    with ledger.read() as conn:
        for key in keys_at_rest(conn):
            if key not in missing:
                _open(store, key)
        counts = [conn.scalar(select(func.count()).select_from(table)) or 0 for table in (studies, instances, results)]
    return Restored(
        manifest=source.manifest,
        home=home,
        blobs=source.manifest.blobs,
        size=source.manifest.size,
        studies=counts[0],
        images=counts[1],
        answers=counts[2],
        audit=verdict,
        moved=moved,
    )


def _open(store: LocalStore, key: str) -> None:
    try:
        store.check(key)
    except NotFound:
        raise IntegrityError("a stored object that the ledger names is not in the backup") from None


def _note(ledger: Ledger, manifest: Manifest, actor: str) -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=actor,
        action="restore",
        object_kind="backup",
        object_id=manifest.id,
        detail=str(manifest.at),
    )
    with ledger.write() as conn:
        audit.append(conn, event)


@contextmanager
def _all_or_nothing(home: Path) -> Iterator[None]:
    """What is not whole is taken away again: the folder was empty."""
    try:
        yield
    except BaseException:
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
