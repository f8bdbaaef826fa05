"""What somebody hands in by hand, taken apart: DICOM files, pictures, ZIPs of both. Every limit before the bytes."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Final

from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.pixels import split
from radloop.pixels.from_picture import is_picture, wrapped

PREAMBLE_BYTES: Final = 128
PART10: Final = b"DICM"
ZIP: Final = b"PK\x03\x04"
LARGEST_RATIO: Final = 200
"""No medical image packs tighter than this; a bomb does."""
CHUNK: Final = 1 << 20
# What systems put into folders beside the images.
NOT_MEANT: Final = ("__MACOSX/", ".DS_Store", "Thumbs.db", "DICOMDIR")


class Subject(StrEnum):
    """What a picture without a header shows: whoever hands it in says so."""

    CHEST_XRAY = "CHEST_XRAY"
    BRAIN_MR = "BRAIN_MR"
    HEAD_CT = "HEAD_CT"


HEADERS: Final = {
    Subject.CHEST_XRAY: ("CR", "CHEST"),
    Subject.BRAIN_MR: ("MR", "BRAIN"),
    Subject.HEAD_CT: ("CT", "HEAD"),
}


@dataclass(frozen=True, slots=True)
class Room:
    """What may still come in."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One file: a Part 10 file with a zeroed preamble, or the code of the reason why it is none."""

    data: bytes | None
    reason: str = ""


def pieces(file: IO[bytes], subject: Subject, room: Room) -> Iterator[Piece]:
    """The images in one file, which may be a ZIP.

    Raises:
        TooLarge: there is no room for it; nothing more is read then.
        Unparsable: a ZIP that is broken or encrypted.
    """
    beginning = file.read(PREAMBLE_BYTES + len(PART10))
    file.seek(0)
    if beginning.startswith(ZIP):
        yield from _of_zip(file, subject, room)
    else:
        yield _piece(_whole(file, room.bytes), subject)


def _of_zip(file: IO[bytes], subject: Subject, room: Room) -> Iterator[Piece]:
    left = room.bytes
    try:
        with zipfile.ZipFile(file) as packed:
            members = [one for one in packed.infolist() if not one.is_dir() and not _is_meant_otherwise(one.filename)]
            if len(members) > room.files:
                raise TooLarge(f"the ZIP holds more than {room.files} files")
            for member in members:
                data = _unpacked(packed, member, left)
                left -= len(data)
                yield _piece(data, subject)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        # RuntimeError: encrypted (zipfile, "open"); NotImplementedError: packed in a way that it does not know.
        raise Unparsable("the ZIP is broken, encrypted, or packed in an unknown way") from None


def _unpacked(packed: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> bytes:
    """One member's bytes; what its header says of its size is not believed."""
    most = min(left, max(member.compress_size, 1) * LARGEST_RATIO)
    with packed.open(member) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge("the ZIP unpacks to more than is taken")
    return data


def _whole(file: IO[bytes], most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge("the upload is larger than is taken")
    return data


def _is_meant_otherwise(name: str) -> bool:
    return any(name.startswith(one) or name.rsplit("/", 1)[-1] == one for one in NOT_MEANT)


def _piece(data: bytes, subject: Subject) -> Piece:
    try:
        if is_picture(data):
            return Piece(wrapped(data, *HEADERS[subject]))
        split(data)
    except Rejected as error:
        return Piece(None, error.code)
    # PS3.10 7.1: the preamble is zeroed, whatever stood in it.
    return Piece(bytes(PREAMBLE_BYTES) + data[PREAMBLE_BYTES:])
