"""The keys of one folder copied into another: for a backup, and back.

The copy is made the original's mirror in two steps, so that a kill between them leaves too many keys and never too few:
`copy_keys` before what needs them counts, `drop_retired` after.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final

from radloop.domain.errors import SettingsError, StorageFull, Unavailable
from radloop.store.files import sync_folder
from radloop.store.keyring import AUDIT, Keyring

_KEYS: Final = "*.key"


def refuse_others(source: Path, target: Path) -> None:
    """Another site's keys are never written over: nobody else may have them.

    Raises:
        SettingsError: the folder holds a key of the same name that is not ours.
    """
    for path in (*sorted(source.glob("kek-*.key")), source / AUDIT):
        copy = target / path.name
        if copy.exists() and copy.read_bytes() != path.read_bytes():
            raise SettingsError(f"{target}: holds the keys of another site")


def copy_keys(source: Path, target: Path) -> None:
    """Copy every key into a folder of our own (mode 0700), each whole (mode 0600) or not at all.

    Raises:
        SettingsError: the folder, or a key in either, is open to others, or the folder holds another site's keys.
        StorageFull: a key could not be written.
    """
    Keyring.load(source)
    refuse_others(source, target)
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(source.glob(_KEYS)):
            _copy(path, target / path.name)
        sync_folder(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageFull(f"{target}: the keys cannot be written: {os.strerror(error.errno or 0)}") from error
    Keyring.load(target)


def drop_retired(source: Path, target: Path) -> tuple[str, ...]:
    """Destroy the copies of key-encryption keys that were destroyed here; their names."""
    old = [path for path in sorted(target.glob("kek-*.key")) if not (source / path.name).exists()]
    for path in old:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    if old:
        sync_folder(target)
    return tuple(path.name for path in old)


@contextmanager
def none_retired(folder: Path) -> Iterator[None]:
    """For the length of the block no key of this folder is destroyed; it may be rotated.

    Raises:
        Unavailable: one is being destroyed now.
    """
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """For the length of the block nobody copies the keys of this folder.

    Raises:
        Unavailable: somebody does: a backup is being made.
    """
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise SettingsError(f"{folder}: expected the keys here, found no folder") from None
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unavailable("the keys are in use by a backup, or are being retired: try again later") from None
    finally:
        os.close(fd)


def _copy(source: Path, target: Path) -> None:
    key = source.read_bytes()
    if target.exists() and target.read_bytes() == key:
        return
    temporary = target.with_name(f".{token_hex(8)}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
