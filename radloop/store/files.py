"""What a store does with files, durably: opened and locked, written whole, synced.

Locks are `flock`: the kernel drops them when their holder dies.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from radloop.domain.errors import NotFound
from radloop.store.envelope import HEADER_SIZE, SHREDDED, Buffer

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def opened(path: Path, mode: int = os.O_RDONLY) -> Iterator[int]:
    """The file at `path`, for the length of the block.

    Raises:
        NotFound: there is none.
    """
    try:
        fd = os.open(path, mode)
    except FileNotFoundError:
        raise NotFound("no object under that key") from None
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def held(path: Path, mode: int = os.O_RDONLY, lock: int = fcntl.LOCK_EX) -> Iterator[int]:
    """The file at `path`, opened and locked, and still the one at `path`.

    Raises:
        NotFound: there is none (any more).
    """
    while True:
        with opened(path, mode) as fd:
            fcntl.flock(fd, lock)
            if _is_at(fd, path):
                yield fd
                return


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def write_all(fd: int, piece: Buffer) -> None:
    """All of `piece`, however the system cuts it."""
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def shred(fd: int) -> None:
    """Destroy the wrapped key in an object's header, durably: its chunks can never be opened from here on."""
    try:
        os.pwrite(fd, SHREDDED, 0)
        os.fsync(fd)
    except OSError as error:
        # A full file system that copies on write has no room to overwrite: only the unlink that follows makes some.
        if error.errno not in NO_ROOM:
            raise


def copy_rest(source: int, target: int) -> None:
    """What follows the header, inside the kernel: the sealed chunks do not change."""
    at = HEADER_SIZE
    while copied := os.sendfile(target, source, at, 1 << 30):
        at += copied


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_or_undo(path: Path) -> None:
    """Make the name of a new file durable; where that fails, there is no such file."""
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise
