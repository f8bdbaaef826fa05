"""Backup: one moment of the ledger with every stored object that it names, the models and the settings; keys apart.

The ledger is copied first and the objects after, so that what arrives meanwhile is too much and never too little.
Retention waits until both are copied; what anybody else deletes meanwhile has the ledger copied again. A set counts
once `current` names it, which is the last step: a backup that was killed leaves the one before, and the next goes on
with what was copied.
"""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import structlog

from flows.backup_format import (
    ANCHOR,
    BLOBS,
    CURRENT,
    LEDGER,
    MAC,
    MANIFEST,
    MODELS,
    POOL,
    SETS,
    SETTINGS,
    Manifest,
    as_storage_full,
    check_files,
    current_set,
    described,
    listed,
    mac_of,
    pieces_of,
    read_manifest,
    replace_file,
    seal_file,
    write_file,
)
from flows.backup_ledger import Snapshot, take
from flows.backup_pool import Counted, Pool
from flows.forgetting import no_deletions
from flows.house import House
from radloop import audit
from radloop.domain.errors import SettingsError, Unavailable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger, blobs
from radloop.settings import Settings
from radloop.store import Keyring, LocalStore, keycopy
from radloop.store.files import sync_folder

log = structlog.get_logger()

TRIES: Final = 5
WAIT_SECONDS: Final = 1.0
"""What is missing may be about to be noted as deleted: bytes go first, the note follows within a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What was made. `copied`: objects that the folder did not hold before. `keys`: whether the keys were copied."""

    manifest: Manifest
    copied: int
    keys: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """One set in the making, at `place`."""

    settings: Settings
    folder: Path
    keyring: Keyring
    id: str

    @property
    def place(self) -> Path:
        return self.folder / SETS / self.id


def back_up(house: House, folder: Path, keys_to: Path | None, actor: str) -> BackedUp:
    """Bring a folder up to date with this home; the keys go to `keys_to`, where it is given, and nowhere else.

    Raises:
        SettingsError: the folders lie in each other or in the home, or pg_dump is not installed.
        IntegrityError: the folder holds another site's backup, or one that was changed.
        Unavailable: the ledger is away, or another backup of this home is being made.
        StorageFull: there is no room.
    """
    settings = house.settings
    check_apart(settings, folder, keys_to)
    with as_storage_full("the backup"), _only_one(settings.home), keycopy.none_retired(settings.keys_path):
        keyring = Keyring.load(settings.keys_path)
        job = _Job(settings, folder, keyring, new_id("bk"))
        pool = Pool(folder / POOL, LocalStore(settings.store_path, keyring), _before(job))
        manifest = _make(job, house.ledger, pool)
        if keys_to is not None:
            # Before the set counts: a set whose keys are nowhere is none.
            keycopy.copy_keys(settings.keys_path, keys_to)
        replace_file(folder / CURRENT, job.id.encode())
        _tidy(job, pool)
        if keys_to is not None:
            keycopy.drop_retired(settings.keys_path, keys_to)
    _note(house, manifest, actor)
    return BackedUp(manifest=manifest, copied=pool.copied, keys=keys_to is not None)


def check_apart(settings: Settings, folder: Path, keys_to: Path | None) -> None:
    """Whoever finds the backup must not find the keys beside it.

    Raises:
        SettingsError: a folder lies in another that it must be apart from, or holds another site's keys.
    """
    ours = (settings.home, settings.store_path, settings.keys_path)
    for target in (folder, keys_to):
        if target is not None and any(_overlap(target, one) for one in ours):
            raise SettingsError(f"{target}: a backup lies outside the home, the store and the keys")
    if keys_to is not None and _overlap(keys_to, folder):
        raise SettingsError(f"{keys_to}: the keys go to a folder apart from the backup, and not around it")
    if keys_to is not None:
        keycopy.refuse_others(settings.keys_path, keys_to)


def _make(job: _Job, ledger: Ledger, pool: Pool) -> Manifest:
    with _workplace(job.settings.home) as desk:
        with no_deletions(job.settings.home):
            moment = _whole_moment(job, ledger, pool, desk)
        seal_file(moment.snapshot.file, job.place / LEDGER, job.id, job.keyring)
    _copy_files(job)
    manifest = Manifest(
        id=job.id,
        at=moment.at,
        radloop=version("radloop"),
        database=moment.snapshot.database,
        files=tuple(described(path, str(path.relative_to(job.place))) for path in _files(job.place)),
        blobs=moment.counted.blobs,
        size=moment.counted.size,
        missing=moment.missing,
    )
    _sign(job, manifest)
    return manifest


@dataclass(frozen=True, slots=True)
class _Moment:
    """One copy of the ledger and the objects that it names, as far as the store has them."""

    at: datetime
    snapshot: Snapshot
    counted: Counted
    missing: tuple[str, ...]


def _whole_moment(job: _Job, ledger: Ledger, pool: Pool, desk: Path) -> _Moment:
    for _ in range(TRIES):
        moment = _moment(job, ledger, pool, desk)
        if not moment.missing or not _deleted_since(ledger, moment.missing):
            return moment
    raise Unavailable("objects keep being deleted while they are copied: try again later")


def _moment(job: _Job, ledger: Ledger, pool: Pool, desk: Path) -> _Moment:
    for path in desk.iterdir():
        path.unlink()
    # The anchor first: it may be behind the chain that the ledger holds, and never before it.
    if job.settings.audit_anchor.exists():
        write_file(job.place / ANCHOR, pieces_of(job.settings.audit_anchor))
    at, snapshot = utc_now(), take(ledger, desk)
    with snapshot.keys.open(encoding="ascii") as keys, (desk / "missing").open("w+", encoding="ascii") as absent:
        counted = pool.fill((line.strip() for line in keys), job.place / BLOBS, absent)
        absent.seek(0)
        return _Moment(at, snapshot, counted, tuple(absent.read().split()))


def _deleted_since(ledger: Ledger, keys: tuple[str, ...]) -> bool:
    """Whether the ledger as it is now expects fewer of these: then a newer copy of it is wanted."""
    time.sleep(WAIT_SECONDS)
    with ledger.read() as conn:
        return any(not blobs.at_rest(conn, key, key) for key in keys)


def _copy_files(job: _Job) -> None:
    settings = job.settings
    write_file(job.place / SETTINGS, pieces_of(settings.home / SETTINGS))
    for path in _files(settings.models_path):
        write_file(job.place / MODELS / path.relative_to(settings.models_path), pieces_of(path))


def _sign(job: _Job, manifest: Manifest) -> None:
    """The manifest, its digest under our key, and every name of the set, durably."""
    text = manifest.text()
    write_file(job.place / MANIFEST, [text])
    write_file(job.place / MAC, [mac_of(text, job.keyring).encode()])
    for place in (*(path for path in job.place.rglob("*") if path.is_dir()), job.place, job.place.parent, job.folder):
        sync_folder(place)


def _before(job: _Job) -> Path | None:
    """The set that counts now, once our key and its digest vouch for its list."""
    place = current_set(job.folder)
    if place is not None:
        check_files(place, (one for one in read_manifest(place, job.keyring).files if one.name == BLOBS))
    return place


def _tidy(job: _Job, pool: Pool) -> None:
    """Drop what the sets before this one were made of; only now, that it counts."""
    for place in (job.folder / SETS).iterdir():
        if place != job.place:
            shutil.rmtree(place)
    pool.prune(listed(job.place))


def _note(house: House, manifest: Manifest, actor: str) -> None:
    detail = f"{manifest.blobs} stored objects, {len(manifest.missing)} missing"
    event = AuditEvent(
        at=utc_now(), actor=actor, action="backup", object_kind="backup", object_id=manifest.id, detail=detail
    )
    with house.ledger.write() as conn:
        audit.append(conn, event)
    log.info("backed up", backup=manifest.id, objects=manifest.blobs, missing=len(manifest.missing))


def _files(folder: Path) -> tuple[Path, ...]:
    """Every file below, but no link: it would lead elsewhere."""
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()))


def _overlap(one: Path, other: Path) -> bool:
    first, second = one.resolve(), other.resolve()
    return first.is_relative_to(second) or second.is_relative_to(first)


@contextmanager
def _workplace(home: Path) -> Iterator[Path]:
    """A folder of the home for the plain copy of the ledger: it never lies in the backup. One left by a kill goes."""
    run = home / "run"
    for left in run.glob("backup-*"):
        shutil.rmtree(left)
    desk = Path(mkdtemp(prefix="backup-", dir=run))
    try:
        yield desk
    finally:
        shutil.rmtree(desk)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    path = home / "run" / "backup.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("a backup of this home is being made already") from None
        yield
