"""Files for the tests of pixels: pydicom's own, and hostile ones made here."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file, get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radloop.domain.errors import Unparsable
from radloop.pixels import split

DEFLATED = "1.2.840.10008.1.2.1.99"
TOKEN = "PLANTED^TOKEN"


@cache
def bundled() -> tuple[Path, ...]:
    """Every file that comes with pydicom, DICOM or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(sorted({Path(name) for name in get_testdata_files() if Path(name).is_file()}))


def bundled_file(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path)).read_bytes()


def data_sets() -> Iterator[tuple[str, str, memoryview]]:
    """Name, transfer syntax and encoded data set of each bundled Part 10 file."""
    for path in bundled():
        try:
            file = split(path.read_bytes())
        except Unparsable:
            continue
        yield path.name, file.transfer_syntax_uid, file.dataset


def image(rows: int = 8, columns: int = 6, frames: int = 1, **attributes: object) -> Dataset:
    """A small native CT image with a token in its patient's name."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.PatientName, ds.PatientID, ds.AccessionNumber = "CT", TOKEN, TOKEN, TOKEN
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = rows, columns, frames, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = np.arange(rows * columns * frames, dtype="<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def encode(ds: Dataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def file_of(body: bytes, transfer_syntax: str) -> bytes:
    """A Part 10 file around an encoded data set."""
    uid = transfer_syntax.encode() + b"\0" * (len(transfer_syntax) % 2)
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid + body


def deflate(plain: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(plain) + deflater.flush()


def nested_undefined(depth: int) -> bytes:
    """(0008,1140) in (0008,1140) ... with undefined lengths, never closed where it is deep enough not to matter."""
    level = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    close = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return level * depth + close * depth


def nested_defined(depth: int) -> bytes:
    """The same with lengths that fit."""
    size = depth * 20
    parts = []
    for _ in range(depth):
        parts.append(struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, size - 12))
        parts.append(struct.pack("<HHI", 0xFFFE, 0xE000, size - 20))
        size -= 20
    return b"".join(parts)
