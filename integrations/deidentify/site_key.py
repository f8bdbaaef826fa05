"""The site's key of pseudonyms: a file of 32 random bytes beside the other keys, made at the first use."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from radloop.domain.errors import SettingsError, StorageFull

NAME: Final = "pseudonym.key"
_SIZE: Final = 32


def site_key(folder: Path) -> bytes:
    """The key in `folder` (HOME/keys), durable before it is used.

    Raises:
        SettingsError: it is no key, or others may read it.
        StorageFull: it could not be written.
    """
    path = folder / NAME
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise StorageFull(f"the key of pseudonyms cannot be written: {error.strerror}") from error
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(f"{path}: expected mode 0600: others could re-identify")
    key = path.read_bytes()
    if len(key) != _SIZE:
        raise SettingsError(f"{path}: expected {_SIZE} bytes of key, found {len(key)}")
    return key


def _make(path: Path) -> None:
    """Whole or not at all, and never over one that another process just made (link refuses)."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
