"""Part 10 files (PS3.10 section 7.1): where the data set begins, and a bounded parse of its header."""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from radloop.domain.errors import Unparsable
from radloop.pixels.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    Buffer,
    elements,
    encoding_of,
    inflate,
)
from radloop.pixels.limits import DEFAULT, Limits, refuse_above

_PREAMBLE: Final = 128
_META_START: Final = _PREAMBLE + 4
_TRANSFER_SYNTAX: Final = 0x00020010
# PS3.5 8.1: Float, Double Float and Pixel Data.
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

# What pydicom is seen to raise on bytes that are not DICOM. Each is the fault of the bytes, none of ours.
PARSER_FAILURES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    ImportError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_quiet_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Part10:
    """A file taken apart: `meta_size` bytes of preamble and file meta, then the encoded data set."""

    transfer_syntax_uid: str
    meta_size: int
    dataset: memoryview


def split(data: Buffer) -> Part10:
    """Find the data set of a Part 10 file; nothing is copied.

    Raises:
        Unparsable: no DICM prefix, or a file meta that does not say the transfer syntax.
    """
    if bytes(data[_PREAMBLE:_META_START]) != b"DICM":
        raise Unparsable("no DICM prefix after the preamble: not a Part 10 file")
    view = memoryview(data)
    syntax, end = "", _META_START
    # PS3.10 7.1: the file meta is Explicit VR Little Endian and of group 0002 alone.
    for element in _meta_elements(view):
        start = _META_START + element[1]
        end = start + element[2]
        if element[0] == _TRANSFER_SYNTAX:
            syntax = bytes(view[start:end]).decode("latin-1").strip("\0 ")
    if not UID(syntax).is_valid:
        raise Unparsable("the file meta names no transfer syntax")
    return Part10(syntax, end, view[end:])


def _meta_elements(view: memoryview) -> Iterator[tuple[int, int, int]]:
    at = 0
    body = view[_META_START:]
    while bytes(body[at : at + 2]) == b"\x02\x00":
        element = next(elements(body[at:], EXPLICIT_LITTLE))
        yield element.tag, at + element.start, element.length
        at += element.start + element.length


def read_header(data: Buffer, limits: Limits = DEFAULT) -> Dataset:
    """The data set of a Part 10 file without its pixels, every value decoded; `file_meta` is set.

    An element whose value does not fit its VR is left out: the rest of the header still speaks. Decoding happens here
    and not at the first access, so that a consumer meets no parser error later.

    Raises:
        Unparsable: not a Part 10 file, cut, or nested too deeply.
        TooLarge: more elements, or a deflated data set of more bytes, than the limits allow.
    """
    with parsing():
        ds = _read(split(data), data, limits, _before_pixels)
        _decode_all(ds, limits)
        return ds


def read_with_pixels(data: Buffer, limits: Limits) -> Dataset:
    """As `read_header` with the encoded pixels; a deflated data set comes out as Explicit VR Little Endian.

    Raises:
        Unparsable: as `read_header`.
        TooLarge: as `read_header`.
    """
    with parsing():
        ds = _read(split(data), data, limits, _all)
        if ds.file_meta.TransferSyntaxUID in DEFLATED:
            ds.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
        return ds


@contextmanager
def parsing() -> Iterator[None]:
    """Whatever the parser meets becomes `Unparsable`, without its words: they may quote a patient."""
    # The lock: `catch_warnings` swaps a list of the whole process.
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except PARSER_FAILURES as error:
            raise Unparsable(f"the parser gave up on the data set ({type(error).__name__})") from None


def _read(file: Part10, data: Buffer, limits: Limits, part: Callable[[int, int], int]) -> Dataset:
    """Parse the data set up to where `part` (given where the pixels begin, and where all ends) says."""
    syntax = file.transfer_syntax_uid
    body = memoryview(inflate(file.dataset, limits.inflated)) if syntax in DEFLATED else file.dataset
    plain_syntax = EXPLICIT_LITTLE if syntax in DEFLATED else syntax
    # pydicom recurses into sequences of undefined length: what nests too deeply is refused before it gets there.
    wanted = body[: part(_pixels_at(body, plain_syntax, limits), len(body))]
    explicit, little = encoding_of(plain_syntax).explicit, plain_syntax != EXPLICIT_BIG
    ds = read_dataset(BytesIO(wanted), not explicit, little)
    ds.file_meta = _file_meta(data, file.meta_size)
    return ds


def _before_pixels(pixels: int, _end: int) -> int:
    return pixels


def _all(_pixels: int, end: int) -> int:
    return end


def _pixels_at(body: Buffer, transfer_syntax_uid: str, limits: Limits) -> int:
    """Where the first element of pixels begins; the walk goes on to the end, so that a cut file is found."""
    found, end = None, 0
    for element in elements(body, transfer_syntax_uid, limits):
        if found is None and element.tag in _PIXELS:
            found = end
        end = element.start + element.length
    return end if found is None else found


def _file_meta(data: Buffer, size: int) -> FileMetaDataset:
    meta: FileMetaDataset = pydicom.dcmread(BytesIO(bytes(data[:size]))).file_meta
    return meta


def _decode_all(ds: Dataset, limits: Limits) -> None:
    """Decode every value, sequences with a stack of our own: depth costs memory, not the interpreter's stack."""
    waiting = [(ds, 1)]
    seen = 0
    while waiting:
        level, depth = waiting.pop()
        refuse_above(depth, limits.depth, "depth of sequences")
        for tag in list(level.keys()):
            seen += 1
            refuse_above(seen, limits.elements, "elements in the header")
            waiting.extend((item, depth + 1) for item in _items_of(level, tag))


def _items_of(level: Dataset, tag: BaseTag) -> list[Dataset]:
    """Decode one element; the items where it is a sequence. It is removed where it cannot be decoded."""
    try:
        element = level[tag]
    except PARSER_FAILURES:
        del level[tag]
        return []
    return list(element.value) if element.VR == "SQ" else []
