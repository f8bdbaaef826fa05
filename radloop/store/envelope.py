"""The format of one object at rest, on bytes alone: no files, no paths.

An object is a header and its chunks (docs/adr/0003-store-format.md). All numbers are big-endian.

    header   magic 8 | format version 2 | KEK version 4 | chunk size 4 | plain size 8 | wrap nonce 12 | wrapped key 48
    chunk    cipher text, at most `chunk size` bytes | GCM tag 16

Every object has a fresh 256-bit data key, so a chunk's number can be its nonce (NIST SP 800-38D section 8.2.1: a
deterministic nonce must be unique under its key). The wrap nonce is random (section 8.2.2), which bounds one
key-encryption key to 2**32 objects. Object id, chunk number and chunk count are associated data: a chunk that was
moved, dropped or taken from another object does not authenticate.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from radloop.domain.errors import IntegrityError, NotFound
from radloop.store.keyring import Kek

Buffer = bytes | bytearray | memoryview

MAGIC: Final = b"RADLOOP\x01"
FORMAT_VERSION: Final = 1
CHUNK_SIZE: Final = 1 << 20
SMALLEST_CHUNK: Final = 512 << 10
LARGEST_CHUNK: Final = 4 << 20
TAG_SIZE: Final = 16
KEY_SIZE: Final = 32

_FIXED: Final = struct.Struct(">8sHIIQ")
_HEADER: Final = struct.Struct(">8sHIIQ12s48s")
_PLACE: Final = struct.Struct(">QQ")
HEADER_SIZE: Final = _HEADER.size
SHREDDED: Final = b"SHREDDED".ljust(HEADER_SIZE, b"\0")
"""What stands in a header's place once the wrapped key was destroyed: the chunks after it can never be opened."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the chunks. `plain_size` and `chunk_size` are in bytes."""

    kek_version: int
    chunk_size: int
    plain_size: int
    wrap_nonce: bytes
    wrapped_key: bytes

    @property
    def chunks(self) -> int:
        """How many chunks follow; an empty object has one, empty and authenticated."""
        return max(1, -(-self.plain_size // self.chunk_size))

    @property
    def sealed_size(self) -> int:
        """The size in bytes of the whole object at rest."""
        return HEADER_SIZE + self.plain_size + self.chunks * TAG_SIZE

    def pack(self) -> bytes:
        """The header as it stands at rest."""
        return self._fixed() + self.wrap_nonce + self.wrapped_key

    def _fixed(self) -> bytes:
        return _FIXED.pack(MAGIC, FORMAT_VERSION, self.kek_version, self.chunk_size, self.plain_size)

    def bound_to(self, object_id: str) -> bytes:
        """The associated data of the wrapped key: this header and no other, for this object and no other."""
        return self._fixed() + object_id.encode()


def parse_header(raw: Buffer) -> Header:
    """Read a header; nothing in it is authentic before its data key was unwrapped.

    Raises:
        IntegrityError: not a header of this format.
        NotFound: the object was shredded.
    """
    if len(raw) < HEADER_SIZE:
        raise IntegrityError("a stored object is shorter than its header")
    if raw[:HEADER_SIZE] == SHREDDED:
        raise NotFound("the object under that key was shredded")
    magic, version, kek_version, chunk_size, plain_size, nonce, wrapped = _HEADER.unpack_from(raw)
    if magic != MAGIC or version != FORMAT_VERSION:
        raise IntegrityError("a stored object does not begin with the store's header")
    if not SMALLEST_CHUNK <= chunk_size <= LARGEST_CHUNK:
        raise IntegrityError("a stored object names a chunk size outside the format")
    return Header(kek_version, chunk_size, plain_size, nonce, wrapped)


def unwrap(header: Header, object_id: str, kek: Kek) -> bytes:
    """The data key.

    Raises:
        IntegrityError: the header was changed, belongs to another object, or `kek` is not its key.
    """
    try:
        return kek.cipher.decrypt(header.wrap_nonce, header.wrapped_key, header.bound_to(object_id))
    except InvalidTag:
        raise IntegrityError("the header of a stored object does not authenticate") from None


def wrap(data_key: bytes, object_id: str, plain_size: int, kek: Kek, chunk_size: int = CHUNK_SIZE) -> Header:
    """A header that holds `data_key` under `kek`."""
    bare = Header(kek.version, chunk_size, plain_size, os.urandom(12), b"")
    wrapped = kek.cipher.encrypt(bare.wrap_nonce, data_key, bare.bound_to(object_id))
    return Header(kek.version, chunk_size, plain_size, bare.wrap_nonce, wrapped)


def rewrap(header: Header, object_id: str, old: Kek, new: Kek) -> Header:
    """The same data key under another key-encryption key; the chunks stay as they are.

    Raises:
        IntegrityError: as `unwrap`.
    """
    return wrap(unwrap(header, object_id, old), object_id, header.plain_size, new, header.chunk_size)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _place(object_id: str, number: int, count: int) -> bytes:
    return object_id.encode() + _PLACE.pack(number, count)


def _pieces(parts: Sequence[Buffer], size: int) -> Iterator[list[memoryview]]:
    """Cut joined `parts` into pieces of `size` bytes; one that spans several parts is a list, nothing is copied."""
    pending: list[memoryview] = []
    room = size
    for part in parts:
        view = memoryview(part).cast("B")
        while len(view):
            taken, view = view[:room], view[room:]
            pending.append(taken)
            room -= len(taken)
            if not room:
                yield pending
                pending, room = [], size
    if pending:
        yield pending


class Sealer:
    """Seals one object, piece by piece.

    Memory: one buffer of a chunk, reused; the plain bytes are read where they lie.
    """

    def __init__(self, parts: Sequence[Buffer], object_id: str, kek: Kek, chunk_size: int = CHUNK_SIZE) -> None:
        self._parts = parts
        self._object_id = object_id
        self._data_key = os.urandom(KEY_SIZE)
        self.size = sum(memoryview(part).nbytes for part in parts)
        self.header = wrap(self._data_key, object_id, self.size, kek, chunk_size)

    def pieces(self) -> Iterator[Buffer]:
        """The header, then the sealed chunks. Each piece is valid until the next one is asked for."""
        yield self.header.pack()
        room = memoryview(bytearray(min(self.header.chunk_size, self.size) + TAG_SIZE))
        for number, piece in enumerate(_pieces(self._parts, self.header.chunk_size) if self.size else ([],)):
            yield room[: self._seal_into(room, number, piece)]

    def _seal_into(self, room: memoryview, number: int, piece: Sequence[Buffer]) -> int:
        """Encrypt one chunk from where it lies, its tag after it; how many bytes that makes."""
        encryptor = Cipher(AES(self._data_key), GCM(_nonce(number))).encryptor()
        encryptor.authenticate_additional_data(_place(self._object_id, number, self.header.chunks))
        at = 0
        for part in piece:
            at += encryptor.update_into(part, room[at:])
        encryptor.finalize()
        room[at : at + TAG_SIZE] = encryptor.tag
        return at + TAG_SIZE


def seal(data: Buffer, object_id: str, kek: Kek, chunk_size: int = CHUNK_SIZE) -> bytes:
    """A whole object at rest."""
    return b"".join(bytes(piece) for piece in Sealer([data], object_id, kek, chunk_size).pieces())


def open_chunks(header: Header, object_id: str, kek: Kek, chunks: Iterator[Buffer]) -> Iterator[bytes]:
    """The plain bytes of each sealed chunk.

    Raises:
        IntegrityError: a chunk was changed, reordered, dropped or comes from another object.
    """
    cipher = AESGCM(unwrap(header, object_id, kek))
    try:
        for number in range(header.chunks):
            yield cipher.decrypt(_nonce(number), next(chunks), _place(object_id, number, header.chunks))
    except (InvalidTag, StopIteration):
        raise IntegrityError("a chunk of a stored object does not authenticate") from None


def sealed_sizes(header: Header) -> Iterator[int]:
    """The size in bytes of each sealed chunk, in order."""
    for _ in range(header.chunks - 1):
        yield header.chunk_size + TAG_SIZE
    yield header.plain_size - (header.chunks - 1) * header.chunk_size + TAG_SIZE


def open_sealed(sealed: Buffer, object_id: str, kek: Kek) -> bytes:
    """The plain bytes of a whole object at rest.

    Raises:
        IntegrityError: not the object that was sealed under this id, bit for bit.
    """
    header = parse_header(sealed)
    if header.sealed_size != len(sealed):
        raise IntegrityError("a stored object does not have the size that its header says")
    return b"".join(open_chunks(header, object_id, kek, _cut(header, memoryview(sealed))))


def _cut(header: Header, sealed: memoryview) -> Iterator[memoryview]:
    at = HEADER_SIZE
    for size in sealed_sizes(header):
        yield sealed[at : at + size]
        at += size
