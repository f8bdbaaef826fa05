"""What a backup's folder looks like, and how it proves that it is whole.

    current                  name of the set that counts; replaced last
    sets/ID/manifest.json    what the backup holds, with the SHA-256 of every file of the set
    sets/ID/manifest.mac     HMAC-SHA256 of the manifest, by a key made from the audit's
    sets/ID/blobs.tsv        one stored object a line: key, when its file was made (ns), size, SHA-256, key version
    sets/ID/ledger.sealed    the ledger, sealed as stored objects are; audit.anchor, radloop.toml, models/ beside it
    pool/9f/KEY-MADE         stored objects as they lie at rest, shared by the sets

Nothing in it is a key, and without the keys nothing of a patient can be read from it: it may lie where they may not.
"""

import hashlib
import hmac
import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from radloop.domain.errors import IntegrityError, NotFound, StorageFull
from radloop.store import Keyring, envelope
from radloop.store.files import sync_folder

FORMAT: Final = 1
CURRENT, SETS, POOL = "current", "sets", "pool"
MANIFEST, MAC, BLOBS, LEDGER = "manifest.json", "manifest.mac", "blobs.tsv", "ledger.sealed"
ANCHOR, SETTINGS, MODELS = "audit.anchor", "radloop.toml", "models"
PIECE: Final = 1 << 20
_SET: Final = re.compile(r"bk_[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the set: its path in the set, its size in bytes and its SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """One stored object as it lay at rest: `made_ns` tells its states apart, `sha256` (hex) is of the sealed bytes."""

    key: str
    made_ns: int
    size: int
    sha256: str
    kek_version: int

    @property
    def pooled(self) -> str:
        """Its path under `pool`."""
        return f"{self.key[:2]}/{self.key}-{self.made_ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `missing`: keys that the ledger names and the store did not have."""

    id: str
    at: datetime
    radloop: str
    database: str
    files: tuple[FileEntry, ...]
    blobs: int
    size: int
    missing: tuple[str, ...]

    def text(self) -> bytes:
        """Canonical JSON."""
        told = {**asdict(self), "at": self.at.isoformat(), "format": FORMAT}
        return json.dumps(told, sort_keys=True, indent=1).encode()


def mac_of(manifest: bytes, keyring: Keyring) -> str:
    """The keyed digest (hex) by which a site knows its own backup."""
    key = hmac.digest(keyring.audit_key, b"radloop backup manifest", hashlib.sha256)
    return hmac.digest(key, manifest, hashlib.sha256).hex()


def current_set(folder: Path) -> Path | None:
    """The set that counts; None where there is no backup yet.

    Raises:
        IntegrityError: what should name it does not.
    """
    try:
        name = (folder / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    if not _SET.fullmatch(name):
        raise IntegrityError("the backup does not say which set counts")
    return folder / SETS / name


def read_manifest(place: Path, keyring: Keyring) -> Manifest:
    """The manifest of a set, which this site's key vouches for.

    Raises:
        NotFound: there is none.
        IntegrityError: the manifest was changed, or the keys are another site's.
    """
    try:
        text, mac = (place / MANIFEST).read_bytes(), (place / MAC).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise NotFound("there is no whole backup here") from None
    if not hmac.compare_digest(mac_of(text, keyring), mac):
        raise IntegrityError("the backup's manifest was changed, or these are not the keys of its site")
    return _parsed(text)


def check_files(place: Path, files: Iterable[FileEntry]) -> None:
    """Hold files of a set against what its manifest says of them.

    Raises:
        IntegrityError: one is not there, or another.
    """
    for entry in files:
        path = place / entry.name
        if not path.is_file() or described(path, entry.name) != entry:
            raise IntegrityError(f"the backup's {entry.name} is missing or was changed")


def described(path: Path, name: str) -> FileEntry:
    """What a manifest says of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return FileEntry(name, path.stat().st_size, digest.hexdigest())


def listed(place: Path) -> Iterator[BlobEntry]:
    """The stored objects of a set, in the order of their keys."""
    with (place / BLOBS).open(encoding="ascii") as file:
        for line in file:
            key, made_ns, size, sha256, kek = line.rstrip("\n").split("\t")
            yield BlobEntry(key, int(made_ns), int(size), sha256, int(kek))


def line_of(entry: BlobEntry) -> str:
    """How a list has it."""
    return f"{entry.key}\t{entry.made_ns}\t{entry.size}\t{entry.sha256}\t{entry.kek_version}\n"


def write_file(path: Path, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
    """A file of our own (mode 0600), durable with its bytes; its name is the caller's to sync."""
    own_folder(path.parent)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def own_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for ourselves alone (mode 0700)."""
    for one in reversed((path, *path.parents)):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """A file's new content, whole or not at all, durable when this returns."""
    write_file(path.with_name(f".{path.name}.new"), [data])
    path.with_name(f".{path.name}.new").replace(path)
    sync_folder(path.parent)


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def seal_file(source: Path, target: Path, set_id: str, keyring: Keyring) -> None:
    """A file sealed as a stored object is, under a fresh key; it is read where it lies."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lying:
        view = memoryview(lying)
        try:
            write_file(target, envelope.Sealer([view], _sealed_name(set_id), keyring.current).pieces())
        finally:
            view.release()


def open_file(source: Path, target: Path, set_id: str, keyring: Keyring) -> None:
    """The plain file of a sealed one.

    Raises:
        IntegrityError: not what was sealed for this set, bit for bit.
    """
    with source.open("rb") as file:
        header = envelope.parse_header(file.read(envelope.HEADER_SIZE))
        chunks = (file.read(size) for size in envelope.sealed_sizes(header))
        write_file(target, envelope.open_chunks(header, _sealed_name(set_id), keyring.kek(header.kek_version), chunks))


@contextmanager
def as_storage_full(what: str) -> Iterator[None]:
    """An operating system's error is a want of storage; `what` cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise StorageFull(f"{what} cannot be read or written: {os.strerror(error.errno or 0)}") from error


def _sealed_name(set_id: str) -> str:
    return f"backup-ledger-{set_id}"


def _parsed(text: bytes) -> Manifest:
    said = json.loads(text)
    if said.pop("format") != FORMAT:
        raise IntegrityError("the backup was made by a radloop that writes another format")
    files = tuple(FileEntry(**one) for one in said.pop("files"))
    at, missing = datetime.fromisoformat(said.pop("at")), tuple(said.pop("missing"))
    return Manifest(**said, files=files, at=at, missing=missing)
