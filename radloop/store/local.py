"""The store in a local folder.

    objects/9f/9f86d081...   one file per object, under the first two digits of its key
    tmp/                     files being written, each locked by its writer

A write is: temporary file, fsync, rename, fsync of the folder. The folders exist before the first write, so no write
makes one. A writer holds a lock (flock) on its temporary file, which the kernel drops when the writer dies: that,
and no clock, says which temporaries are orphans. A delete destroys the wrapped key first: header overwritten, fsync,
then the file goes (docs/adr/0011-retention-and-shredding.md).
"""

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from radloop.domain.errors import IntegrityError, NotFound, Permanent, StorageFull
from radloop.domain.records import Blob
from radloop.store import envelope
from radloop.store.envelope import HEADER_SIZE, Buffer, Header, Sealer
from radloop.store.files import copy_rest, held, opened, shred, sync_folder, sync_or_undo, write_all
from radloop.store.keyring import Keyring

_KEY: Final = re.compile(r"[0-9a-f]{32}")
_KEY_BYTES: Final = 16
_PIECE: Final = 1 << 20
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL
_FANOUT: Final = tuple(f"{number:02x}" for number in range(256))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `rewrap_all` is: objects seen, rewritten under the current key, and broken (left as they are)."""

    seen: int = 0
    rewrapped: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Stamp:
    """One state of an object at rest: `size` in bytes, `made_ns` is when its file was written."""

    size: int
    made_ns: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """An object as it lies at rest: which state, under which key version, and its bytes in pieces, to be read once."""

    stamp: Stamp
    kek_version: int
    pieces: Iterator[bytes]


class LocalStore:
    """A `radloop.domain.ports.BlobStore` in a folder. Threads and processes may share one folder."""

    def __init__(self, root: Path, keyring: Keyring) -> None:
        self._objects = root / "objects"
        self._tmp = root / "tmp"
        self._keyring = keyring
        with _as_storage_full():
            _make_folders(self._tmp, self._objects)

    def put(self, data: Buffer) -> Blob:
        """Write `data` under a fresh key; durable when this returns.

        Raises:
            StorageFull: no space or an I/O error; nothing visible is left behind.
        """
        return replace(self.put_parts([data]), sha256=hashlib.sha256(data).hexdigest())

    def put_parts(self, parts: Sequence[Buffer]) -> Blob:
        """As `put`, of the parts joined; they are read where they lie, and not hashed (GCM authenticates them).

        Raises:
            StorageFull: as `put`.
        """
        key = secrets.token_hex(_KEY_BYTES)
        sealer = Sealer(parts, key, self._keyring.current)
        with _as_storage_full():
            self._write(key, sealer.pieces())
        return Blob(key, None, sealer.size)

    def get(self, key: str) -> bytes:
        """The plain bytes.

        Raises:
            NotFound: no such key.
            IntegrityError: the bytes were changed, reordered or cut.
            StorageFull: an I/O error.
        """
        return _joined(list(self._chunks(key)))

    def check(self, key: str) -> int:
        """Open an object to its last chunk and keep nothing of it; its plain size in bytes.

        Raises:
            NotFound, IntegrityError, StorageFull: as `get`.
        """
        return sum(len(chunk) for chunk in self._chunks(key))

    def delete(self, key: str) -> None:
        """Destroy the wrapped key, then the bytes, durably; a missing key is fine.

        Raises:
            StorageFull: an I/O error; once the wrapped key is gone, nobody gets the object any more.
        """
        with suppress(NotFound), _as_storage_full():
            path = self._path(key)
            # The lock waits for a rewrap of this very object, which would bring it back.
            with held(path, os.O_RDWR) as fd:
                shred(fd)
                path.unlink()
            sync_folder(path.parent)

    def stamp(self, key: str) -> Stamp:
        """Which state of an object is at rest: a rewrap makes another one.

        Raises:
            NotFound: no such key.
        """
        try:
            return _stamp(self._path(key).stat())
        except FileNotFoundError:
            raise NotFound("no object under that key") from None

    @contextmanager
    def sealed(self, key: str) -> Iterator[Sealed]:
        """An object as it lies at rest, to be copied; nobody deletes it meanwhile.

        Raises:
            NotFound: no such key, or it was shredded.
            StorageFull: an I/O error.
        """
        with _as_storage_full(), held(self._path(key), lock=fcntl.LOCK_SH) as fd:
            header = _read_header(fd)
            pieces = iter(partial(os.read, fd, _PIECE), b"")
            yield Sealed(_stamp(os.fstat(fd)), header.kek_version, chain([header.pack()], pieces))

    def adopt(self, key: str, pieces: Iterator[Buffer]) -> None:
        """Take in an object that was sealed before, under its own key; durable when this returns.

        Raises:
            NotFound: `key` is no key of a store.
            StorageFull: no space or an I/O error; nothing visible is left behind.
        """
        with _as_storage_full():
            self._write(key, pieces)

    def keys(self) -> Iterator[str]:
        """Every key at rest, in no order."""
        for name in _FANOUT:
            yield from self._keys_in(name)

    def sweep_temporaries(self, older_than: float = 60.0) -> int:
        """Remove what dead writers left, and say how many.

        A living writer's file is locked and stays, however old. `older_than` (seconds) leaves room for a
        writer that has made its file and not locked it yet.
        """
        newest = time.time() - older_than
        return sum(_sweep(path, newest) for path in self._tmp.iterdir())

    def rewrap_all(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        """Bring every object under the current key-encryption key. May be killed and started again.

        Raises:
            StorageFull: no space or an I/O error; each object is under its old key or the new one.
        """
        done = Progress()
        for name in _FANOUT:
            for key in list(self._keys_in(name)):
                done = self._after_rewrap(key, done)
                if progress:
                    progress(done)
        return done

    def retire(self, version: int) -> None:
        """Destroy one old key-encryption key, once no object at rest or being written needs it.

        Raises:
            NotFound: no such version.
            Permanent: it is current, or still in use: run `rewrap_all` first.
        """
        # Temporaries first: what is renamed between the two looks is seen by the second.
        if any(header.kek_version == version for header in self._headers()):
            raise Permanent(f"key version {version} is still in use: rewrap first")
        self._keyring.retire(version)

    def _chunks(self, key: str) -> Iterator[bytes]:
        with _as_storage_full(), opened(self._path(key)) as fd:
            header = _read_header(fd)
            # A length that lies is found before anything is allocated by it.
            if os.fstat(fd).st_size != header.sealed_size:
                raise IntegrityError("a stored object does not have the size that its header says")
            chunks = (os.read(fd, size) for size in envelope.sealed_sizes(header))
            yield from envelope.open_chunks(header, key, self._keyring.kek(header.kek_version), chunks)

    def _headers(self) -> Iterator[Header]:
        for path in self._tmp.iterdir():
            with suppress(NotFound, IntegrityError), opened(path) as fd:
                yield _read_header(fd)
        for key in self.keys():
            with suppress(NotFound), opened(self._path(key)) as fd:
                yield _read_header(fd)

    def _keys_in(self, name: str) -> Iterator[str]:
        with os.scandir(self._objects / name) as entries:
            yield from (entry.name for entry in entries if _KEY.fullmatch(entry.name))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise NotFound("a store key is 32 hexadecimal digits")
        return self._objects / key[:2] / key

    def _write(self, key: str, pieces: Iterator[Buffer]) -> None:
        path = self._path(key)
        with self._temporary() as (fd, temporary):
            for piece in pieces:
                write_all(fd, piece)
            os.fsync(fd)
            temporary.rename(path)
        sync_or_undo(path)

    def _after_rewrap(self, key: str, done: Progress) -> Progress:
        try:
            return Progress(done.seen + 1, done.rewrapped + self._rewrap(key), done.broken)
        except IntegrityError:
            return Progress(done.seen + 1, done.rewrapped, done.broken + 1)

    def _rewrap(self, key: str) -> int:
        """1 where the object was rewritten; 0 where it is current or gone."""
        path = self._path(key)
        current = self._keyring.current
        with suppress(NotFound), _as_storage_full(), held(path) as source:
            header = _read_header(source)
            if header.kek_version == current.version:
                return 0
            fresh = envelope.rewrap(header, key, self._keyring.kek(header.kek_version), current)
            with self._temporary() as (fd, temporary):
                write_all(fd, fresh.pack())
                copy_rest(source, fd)
                os.fsync(fd)
                temporary.rename(path)
            sync_folder(path.parent)
            return 1
        return 0

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, Path]]:
        """A locked new file; gone at exit unless it was renamed."""
        path = self._tmp / secrets.token_hex(_KEY_BYTES)
        fd = os.open(path, _NEW_FILE, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd, path
        finally:
            os.close(fd)
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def _as_storage_full() -> Iterator[None]:
    """An operating system's error is a want of storage: the caller may try again (0xA700)."""
    try:
        yield
    except OSError as error:
        raise StorageFull(f"the store cannot be read or written: {os.strerror(error.errno or 0)}") from error


def _make_folders(tmp: Path, objects: Path) -> None:
    tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (objects / _FANOUT[-1]).is_dir():
        objects.mkdir(mode=0o700, exist_ok=True)
        for name in _FANOUT:
            (objects / name).mkdir(mode=0o700, exist_ok=True)
    for folder in (objects, objects.parent, objects.parent.parent):
        sync_folder(folder)


def _read_header(fd: int) -> Header:
    return envelope.parse_header(os.read(fd, HEADER_SIZE))


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns)


def _joined(plain: list[bytes]) -> bytes:
    return plain[0] if len(plain) == 1 else b"".join(plain)


def _sweep(path: Path, newest: float) -> int:
    try:
        with opened(path) as fd:
            if os.fstat(fd).st_mtime > newest:
                return 0
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            return 1
    except (NotFound, BlockingIOError, FileNotFoundError):
        return 0
