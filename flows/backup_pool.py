"""The stored objects of a backup: copied as they lie at rest, once each, and dropped when no set lists them.

An object never changes under its key, but for a new wrapping of its data key, which makes another file: key and the
time that its file was made name its state. What is in the pool under that name, and as large, is there already.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TextIO

from flows.backup_format import BlobEntry, described, line_of, listed, own_folder, write_file
from radloop.domain.errors import IntegrityError, NotFound
from radloop.store import LocalStore, envelope
from radloop.store.files import sync_folder
from radloop.store.local import Stamp


@dataclass(slots=True)
class Counted:
    """How many objects were listed, and how large they are at rest, in bytes."""

    blobs: int = 0
    size: int = 0


class Pool:
    """The pool of one backup folder.

    Args:
        before: the set before this one, whose list is trusted; None where there is none.

    `copied` counts the objects that were copied now.
    """

    def __init__(self, folder: Path, store: LocalStore, before: Path | None) -> None:
        self._folder = folder
        self._store = store
        self._before = before
        self.copied = 0

    def fill(self, keys: Iterable[str], listing: Path, absent: TextIO) -> Counted:
        """Copy what is not there yet and list all; keys (in order) that the store cannot give go to `absent`.

        Raises:
            StorageFull: no room; what was copied stays for the next try.
        """
        counted = Counted()
        own_folder(self._folder)
        write_file(listing, (line_of(entry).encode() for entry in self._entries(keys, absent, counted)))
        for part in self._folder.iterdir():
            sync_folder(part)
        return counted

    def prune(self, listing: Iterator[BlobEntry]) -> int:
        """Remove what the list does not name; how many files that were."""
        named = {part: {entry.pooled[3:] for entry in some} for part, some in groupby(listing, _part)}
        old = [
            path
            for part in self._folder.iterdir()
            for path in part.iterdir()
            if path.name not in named.get(part.name, ())
        ]
        for path in old:
            path.unlink()
        return len(old)

    def _entries(self, keys: Iterable[str], absent: TextIO, counted: Counted) -> Iterator[BlobEntry]:
        known = _Known(listed(self._before) if self._before else iter(()))
        for key in keys:
            try:
                entry = self._entry(key, known.of(key))
            except (NotFound, IntegrityError):
                absent.write(f"{key}\n")
                continue
            counted.blobs, counted.size = counted.blobs + 1, counted.size + entry.size
            yield entry

    def _entry(self, key: str, before: BlobEntry | None) -> BlobEntry:
        stamp = self._store.stamp(key)
        same = before is not None and (before.made_ns, before.size) == (stamp.made_ns, stamp.size)
        if before is not None and same and _size_of(self._folder / before.pooled) == before.size:
            return before
        return self._left_by_a_killed_one(key, stamp) or self._copy(key)

    def _left_by_a_killed_one(self, key: str, stamp: Stamp) -> BlobEntry | None:
        """An object that is in the pool whole, and in no list."""
        place = self._folder / _name(key, stamp)
        if _size_of(place) != stamp.size:
            return None
        with place.open("rb") as file:
            header = envelope.parse_header(file.read(envelope.HEADER_SIZE))
        return BlobEntry(key, stamp.made_ns, stamp.size, described(place, key).sha256, header.kek_version)

    def _copy(self, key: str) -> BlobEntry:
        digest = hashlib.sha256()
        with self._store.sealed(key) as sealed:
            place = self._folder / _name(key, sealed.stamp)
            temporary = place.with_name(f".{place.name}")
            write_file(temporary, _told(sealed.pieces, digest))
            temporary.replace(place)
        self.copied += 1
        return BlobEntry(key, sealed.stamp.made_ns, sealed.stamp.size, digest.hexdigest(), sealed.kek_version)


class _Known:
    """A list in the order of its keys, asked in the order of keys."""

    def __init__(self, entries: Iterator[BlobEntry]) -> None:
        self._entries = entries
        self._next = next(entries, None)

    def of(self, key: str) -> BlobEntry | None:
        while self._next is not None and self._next.key < key:
            self._next = next(self._entries, None)
        return self._next if self._next is not None and self._next.key == key else None


def _part(entry: BlobEntry) -> str:
    return entry.key[:2]


def _name(key: str, stamp: Stamp) -> str:
    return BlobEntry(key, stamp.made_ns, stamp.size, "", 0).pooled


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _told(pieces: Iterator[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece
