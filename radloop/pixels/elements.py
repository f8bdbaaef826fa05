"""Walks over an encoded data set without decoding values: no recursion, no allocation by what a length claims.

PS3.5 section 7.1 (data elements), 7.5 (sequences), Annex A (transfer syntaxes).
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from radloop.domain.errors import TooLarge, Unparsable
from radloop.pixels.limits import DEFAULT, Limits

Buffer = bytes | bytearray | memoryview

# PS3.5 A.1, A.2, A.3 and A.5; every other transfer syntax encodes its data set as Explicit VR Little Endian (A.4).
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
# Deflated Explicit VR Little Endian, and the deflated ones of JPIP and of JPIP with HTJ2K.
DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
# PS3.6 Table A-1: Papyrus 3 (retired); and GE's private one, whose pixels alone are big-endian.
_ALSO_IMPLICIT: Final = ("1.2.840.10008.1.20", "1.2.840.113619.5.2")

UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ENDS: Final = frozenset({0xFFFEE00D, 0xFFFEE0DD})
# PS3.5 Table 7.1-1: these have two reserved bytes and a 32-bit length.
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
# PS3.5 Table 6.2-1.
_SHORT: Final = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS"}
    | {b"ST", b"TM", b"UI", b"UL", b"US"}
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How data elements are laid out under a transfer syntax."""

    explicit: bool
    implicit_header: Struct
    explicit_header: Struct
    length: Struct

    def as_implicit(self) -> "Encoding":
        """PS3.5 6.2.2 note 4: what a UN of undefined length holds is Implicit VR Little Endian."""
        return _IMPLICIT


_IMPLICIT: Final = Encoding(False, Struct("<HHI"), Struct("<HH2sH"), Struct("<I"))  # noqa: FBT003 - a record's field
_EXPLICIT: Final = Encoding(True, Struct("<HHI"), Struct("<HH2sH"), Struct("<I"))  # noqa: FBT003
_BIG: Final = Encoding(True, Struct(">HHI"), Struct(">HH2sH"), Struct(">I"))  # noqa: FBT003
_ENCODINGS: Final = dict.fromkeys((IMPLICIT_LITTLE, *_ALSO_IMPLICIT), _IMPLICIT) | {EXPLICIT_BIG: _BIG}


class Element(NamedTuple):
    """One element of the top level; `start` and `length` (bytes) say where its value lies."""

    tag: int
    start: int
    length: int


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The layout of the data set itself; the compression of pixels does not matter here."""
    return _ENCODINGS.get(transfer_syntax_uid, _EXPLICIT)


def inflate(data: Buffer, most: int) -> bytes:
    """The plain data set of a deflated one (PS3.5 A.5, RFC 1951), at most `most` bytes of it.

    Raises:
        Unparsable: not a deflate stream, or one that was cut.
        TooLarge: it inflates to more.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, most + 1)
    except zlib.error:
        raise Unparsable("the data set is not the deflate stream that its transfer syntax names") from None
    if len(plain) > most:
        raise TooLarge(f"the data set inflates to more than {most} bytes")
    if not inflater.eof:
        raise Unparsable("the deflate stream of the data set was cut")
    return plain


def elements(data: Buffer, transfer_syntax_uid: str, limits: Limits = DEFAULT) -> Iterator[Element]:
    """The elements of the top level, in the order of the bytes. Sequences are skipped, not entered.

    Raises:
        Unparsable: an element does not fit in the bytes, has no VR of the standard, or nests too deeply.
    """
    encoding, at, size = encoding_of(transfer_syntax_uid), 0, len(data)
    while at < size:
        tag, vr, start, length = _header(data, at, encoding, size)
        end = _end_of_undefined(data, start, vr, encoding, limits) if length == UNDEFINED else start + length
        if end > size:
            raise Unparsable("a data element is longer than the data set")
        yield Element(tag, start, end - start)
        at = end


def _header(data: Buffer, at: int, encoding: Encoding, size: int) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty where implicit), where the value starts, and its length."""
    if at + 8 > size:
        raise Unparsable("the data set ends inside a data element")
    if not encoding.explicit:
        group, number, length = encoding.implicit_header.unpack_from(data, at)
        return group << 16 | number, b"", at + 8, length
    group, number, vr, length = encoding.explicit_header.unpack_from(data, at)
    if vr in _SHORT:
        return group << 16 | number, vr, at + 8, length
    if group == 0xFFFE:  # PS3.5 7.5: items and delimiters have no VR
        return group << 16 | number, b"", at + 8, encoding.length.unpack_from(data, at + 4)[0]
    if vr not in _LONG or at + 12 > size:
        raise Unparsable("a data element has no value representation of PS3.5")
    return group << 16 | number, vr, at + 12, encoding.length.unpack_from(data, at + 8)[0]


def _end_of_undefined(data: Buffer, at: int, vr: bytes, encoding: Encoding, limits: Limits) -> int:
    """Where a value of undefined length ends: one pass with a stack of encodings, whatever the depth."""
    size = len(data)
    stack = [encoding.as_implicit() if vr == b"UN" else encoding]
    while stack:
        tag, vr, start, length = _header(data, at, stack[-1], size)
        at = start
        if tag in _ENDS:
            stack.pop()
        elif length == UNDEFINED:
            stack.append(stack[-1].as_implicit() if vr == b"UN" else stack[-1])
            if len(stack) > 2 * limits.depth:
                raise Unparsable(f"sequences nest more than {limits.depth} deep")
        else:
            at += length
    return at
