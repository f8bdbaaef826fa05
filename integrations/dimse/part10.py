"""The file meta information of a DICOM file (PS3.10 section 7.1), read without a data set parser.

A sender needs three UIDs and the place where the data set begins. Reading only those leaves a broken data set
to the receiver, which is the one to judge it, and keeps values of the data set out of warnings.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from radloop.domain.errors import Unparsable

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
LONGEST_META = 64 * 1024
"""More than this in group 0002 is no file meta information that a peer would want."""

# PS3.5 section 7.1.2: these value representations have two reserved bytes and a length of four.
LONG_FORM = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))

SOP_CLASS = 0x0002
SOP_INSTANCE = 0x0003
TRANSFER_SYNTAX = 0x0010


@dataclass(frozen=True, slots=True)
class Meta:
    """What the file meta information says. `offset` is where the data set begins, in bytes."""

    sop_class_uid: str
    sop_uid: str = field(repr=False)
    transfer_syntax_uid: str
    offset: int


def read_meta(start: bytes) -> Meta:
    """The file meta information at the start of a DICOM file; `start` may be the whole file.

    Raises:
        Unparsable: not a DICOM file, cut short, or without one of the three UIDs.
    """
    if start[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != PREFIX:
        raise Unparsable("not a DICOM file: no DICM prefix after 128 bytes")
    elements, offset = _group_2(start, PREAMBLE_BYTES + 4)
    try:
        sop_class, sop_uid, transfer_syntax = (_uid(elements[e]) for e in (SOP_CLASS, SOP_INSTANCE, TRANSFER_SYNTAX))
    except (KeyError, UnicodeDecodeError):
        raise Unparsable("no SOP class, SOP instance or transfer syntax in the file meta information") from None
    if not (sop_class and sop_uid and transfer_syntax):
        raise Unparsable("an empty UID in the file meta information")
    return Meta(sop_class, sop_uid, transfer_syntax, offset)


def read_file_meta(path: Path) -> Meta:
    """As `read_meta`, of a file.

    Raises:
        Unparsable: as `read_meta`, and where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(LONGEST_META)
    except OSError as error:
        raise Unparsable(f"cannot be read: {type(error).__name__}") from None
    return read_meta(start)


def _group_2(data: bytes, offset: int) -> tuple[dict[int, bytes], int]:
    elements: dict[int, bytes] = {}
    while data[offset : offset + 2] == b"\x02\x00":
        element, value_at, length = _element_header(data, offset)
        if value_at + length > min(len(data), LONGEST_META):
            raise Unparsable("the file meta information is cut short or longer than allowed")
        elements[element] = data[value_at : value_at + length]
        offset = value_at + length
    return elements, offset


def _element_header(data: bytes, offset: int) -> tuple[int, int, int]:
    # PS3.10 section 7.1: always Explicit VR Little Endian.
    try:
        element, vr = struct.unpack_from("<2xH2s", data, offset)
        if vr in LONG_FORM:
            return element, offset + 12, struct.unpack_from("<L", data, offset + 8)[0]
        return element, offset + 8, struct.unpack_from("<H", data, offset + 6)[0]
    except struct.error:
        raise Unparsable("the file meta information is cut short") from None


def _uid(value: bytes) -> str:
    return value.decode("ascii").rstrip("\0 ")
