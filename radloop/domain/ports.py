"""The faces of what the rooms plug in. An adapter is a class or module that fits one of these."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from radloop.domain.records import Blob


class BlobStore(Protocol):
    """Bytes at rest, encrypted, durable when `put` returns."""

    def put(self, data: bytes) -> Blob:
        """Write `data`, fsync file and directory, and say where it is.

        Raises:
            StorageFull: no space or an I/O error; nothing visible is left behind.
        """
        ...

    def put_parts(self, parts: Sequence[bytes | bytearray | memoryview]) -> Blob:
        """As `put`, of the parts joined, without a digest: for what nobody is told the hash of.

        Raises:
            StorageFull: as `put`.
        """
        ...

    def get(self, key: str) -> bytes:
        """The plain bytes.

        Raises:
            NotFound: no such key.
            IntegrityError: the bytes were changed, reordered or cut.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the bytes; a missing key is fine."""
        ...

    def keys(self) -> Iterable[str]:
        """Every key at rest, in no order."""
        ...
