"""Comments inside compressed pixels: written over in place, so that no length and no offset changes.

JPEG and JPEG-LS: COM and APPn segments (ITU-T T.81 B.2.4, T.87). JPEG 2000 and HTJ2K: COM segments in the main header
and in tile-part headers (ITU-T T.800 A.9.2). What follows the end of an image is zeroed.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from integrations.deidentify.refusals import Unsearchable

HTJ2K: Final = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"})
_JPEG: Final = frozenset(str(uid) for uid in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes))
_JPEG_2000: Final = frozenset(str(uid) for uid in JPEG2000TransferSyntaxes) | HTJ2K
COMPRESSED: Final = _JPEG | _JPEG_2000 | {str(RLELossless)}
"""What can be searched. Video and JPEG XL cannot: they have boxes and messages of their own."""

# After a start of scan: the next marker that is no restart and no stuffed byte (T.81 B.1.1.2, T.87 A.1).
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
# Of application segments, those that decoders need: of a fixed length, without room for text.
_NEEDED: Final = {b"JFIF\0": 14, b"Adobe": 12, b"mrfx": 5}
_J2K_START, _J2K_TILE, _J2K_DATA, _J2K_COMMENT, _J2K_END = 0xFF4F, 0xFF90, 0xFF93, 0xFF64, 0xFFD9


def without_comments(value: bytes, transfer_syntax_uid: str, frames: int) -> bytes:
    """An encapsulated value (PS3.5 A.4) whose images carry no text beside the pixels; as long as it was.

    Raises:
        Unsearchable: an unknown compression, a broken image, or frames that cannot be told apart.
    """
    if transfer_syntax_uid not in COMPRESSED:
        raise Unsearchable("pixels in a compression that cannot be searched for text")
    out = bytearray(value)
    table, *places = _fragments(out)
    _check_table(out, table, places)
    if transfer_syntax_uid in _JPEG | _JPEG_2000:
        blank = _blank_jpeg if transfer_syntax_uid in _JPEG else _blank_jpeg_2000
        for image in _images(places, frames):
            _rewrite(out, image, blank)
    return bytes(out)


def _fragments(value: bytearray) -> Iterator[tuple[int, int]]:
    """Start and end of the Basic Offset Table, then of every fragment."""
    at = 0
    if value[:4] != b"\xfe\xff\x00\xe0":
        raise Unsearchable("the pixels are not in the form of compressed ones")
    while value[at : at + 4] == b"\xfe\xff\x00\xe0":
        end = at + 8 + int.from_bytes(value[at + 4 : at + 8], "little")
        if end > len(value):
            raise Unsearchable("a fragment of the pixels is longer than the pixels")
        yield at + 8, end
        at = end
    if any(value[at:].replace(b"\xfe\xff\xdd\xe0", b"", 1)):
        raise Unsearchable("something follows the last fragment of the pixels")


def _check_table(value: bytearray, table: tuple[int, int], places: list[tuple[int, int]]) -> None:
    """The table is empty, or says where fragments begin: it has room for nothing else."""
    start, end = table
    offsets = {int.from_bytes(value[at : at + 4], "little") for at in range(start, end, 4)}
    if not offsets <= {place - 8 - end for place, _ in places}:
        raise Unsearchable("the table of offsets of the pixels is none")


def _images(places: list[tuple[int, int]], frames: int) -> list[list[tuple[int, int]]]:
    if len(places) == frames:
        return [[place] for place in places]
    if frames == 1:
        return [places]
    raise Unsearchable("frames that are cut into fragments cannot be told apart")


def _rewrite(out: bytearray, places: list[tuple[int, int]], blank: Callable[[bytearray], None]) -> None:
    image = bytearray(b"".join(out[start:end] for start, end in places))
    try:
        blank(image)
    except IndexError:
        raise Unsearchable("the compressed image is cut") from None
    at = 0
    for start, end in places:
        out[start:end] = image[at : at + end - start]
        at += end - start


def _blank_jpeg(image: bytearray) -> None:
    if image[:2] != b"\xff\xd8":
        raise Unsearchable("the pixels are not the JPEG that their transfer syntax names")
    at = 2
    while True:
        at = _next_marker(image, at)
        marker = image[at + 1]
        if marker == _END:
            image[at + 2 :] = bytes(len(image) - at - 2)
            return
        start, end = at + 4, at + 2 + int.from_bytes(image[at + 2 : at + 4], "big")
        if end > len(image) or end < start:
            raise Unsearchable("a segment of the compressed image is longer than the image")
        if marker == _COMMENT or (marker in _APPLICATION and not _is_needed(image[start:end])):
            image[start:end] = bytes(end - start)
        at = end if marker != _SCAN else _end_of_scan(image, end)


def _next_marker(image: bytearray, at: int) -> int:
    """PS3.5 and T.81 B.1.1.2: any number of fill bytes FF may stand before a marker."""
    if image[at] != 0xFF:
        raise Unsearchable("no marker where the compressed image should have one")
    while image[at + 1] == 0xFF:
        at += 1
    return at


def _is_needed(payload: bytearray) -> bool:
    return any(payload.startswith(name) and len(payload) == length for name, length in _NEEDED.items())


def _end_of_scan(image: bytearray, at: int) -> int:
    found = _MARKER.search(image, at)
    if found is None:
        raise Unsearchable("the compressed image has no end")
    return found.start()


def _blank_jpeg_2000(image: bytearray) -> None:
    if int.from_bytes(image[:2], "big") != _J2K_START:
        raise Unsearchable("the pixels are not the JPEG 2000 codestream that their transfer syntax names")
    at, tile = 2, 0
    while (marker := int.from_bytes(image[at : at + 2], "big")) != _J2K_END:
        if marker == _J2K_DATA:
            at = _after_tile(image, tile)
            if at == len(image):
                return
            continue
        start, end = at + 4, at + 2 + int.from_bytes(image[at + 2 : at + 4], "big")
        if marker < 0xFF00 or end > len(image) or end < start:
            raise Unsearchable("no marker where the compressed image should have one")
        if marker == _J2K_TILE:
            tile = at
        elif marker == _J2K_COMMENT:
            image[start + 2 : end] = b" " * (end - start - 2)
        at = end
    image[at + 2 :] = bytes(len(image) - at - 2)


def _after_tile(image: bytearray, tile: int) -> int:
    """T.800 A.4.2: Psot counts from the tile-part's first byte; 0 says that it is the last one."""
    length = int.from_bytes(image[tile + 6 : tile + 10], "big")
    if length == 0:
        return len(image)
    if length < 14 or tile + length > len(image):
        raise Unsearchable("a tile of the compressed image is longer than the image")
    return tile + length
