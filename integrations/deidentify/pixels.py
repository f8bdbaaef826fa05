"""Everything beside the picture in the pixels: unused bits, padding, comments of a codec."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from integrations.deidentify.reading import elements_of
from integrations.deidentify.refusals import NotAnImage, Unsearchable
from integrations.deidentify.streams import without_comments
from radloop.pixels import Limits
from radloop.pixels.elements import EXPLICIT_BIG
from radloop.pixels.limits import refuse_above

PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_UNSIGNED: Final = {8: np.uint8, 16: np.uint16, 32: np.uint32}


def keyword_of(ds: Dataset) -> str:
    """Under which keyword the pixels are.

    Raises:
        NotAnImage: there are none.
    """
    found = [keyword for keyword in PIXELS if keyword in ds]
    if len(found) != 1:
        raise NotAnImage("the object has no pixels, or has them twice: only images go out")
    return found[0]


def refuse_hidden_overlay(ds: Dataset, transfer_syntax_uid: str) -> None:
    """Stop where an overlay lies in the unused bits of compressed pixels (retired; PS3.5 8.1.2).

    Raises:
        Unsearchable: it does. In uncompressed pixels `tidy` clears those bits.
    """
    planes = [
        element for element in elements_of(ds) if element.tag.group & 0xFF00 == 0x6000 and element.tag.element == 0x0100
    ]
    inside = any(element.value not in (None, "", 1) for element in planes)
    if inside and UID(transfer_syntax_uid).is_encapsulated:
        raise Unsearchable("an overlay lies inside compressed pixels")


def refuse_too_large(ds: Dataset, limits: Limits) -> None:
    """Stop before anything is allocated by what the header says.

    Raises:
        NotAnImage: the header does not describe the pixels.
        TooLarge: rows, columns, or the bytes of a frame or of all of them are above the limits.
    """
    together = native_size(ds)
    refuse_above(int(ds.Rows), limits.rows, "rows")
    refuse_above(int(ds.Columns), limits.columns, "columns")
    refuse_above(together // frames_of(ds), limits.frame, "bytes in a frame")
    refuse_above(together, limits.frames_together, "bytes in all frames")


def tidy(ds: Dataset, transfer_syntax_uid: str) -> None:
    """Leave in the pixels of `ds` nothing but the picture.

    Raises:
        NotAnImage: there are no pixels, or the header does not describe them.
        Unsearchable: a compression that cannot be searched, or pixels shorter than the header says.
    """
    element = ds[keyword_of(ds)]
    if UID(transfer_syntax_uid).is_encapsulated:
        element.value = without_comments(element.value, transfer_syntax_uid, frames_of(ds))
        element.VR, element.is_undefined_length = "OB", True
        return
    size = native_size(ds)
    if len(element.value) < size:
        raise Unsearchable("the pixels are shorter than the header says")
    if transfer_syntax_uid == EXPLICIT_BIG:
        # As words of big-endian bytes the last of an odd number of pixels is the last byte but one (PS3.5 7.3).
        element.value = _cleared(ds, bytes(element.value[: size + size % 2]), transfer_syntax_uid)
    else:
        element.value = _cleared(ds, bytes(element.value[:size]), transfer_syntax_uid) + b"\0" * (size % 2)
    if " or " in element.VR:
        element.VR = "OW" if int(ds.BitsAllocated) > 8 else "OB"


def frames_of(ds: Dataset) -> int:
    """How many frames the header says."""
    return max(1, int(str(ds.get("NumberOfFrames") or 1)))


def native_size(ds: Dataset) -> int:
    """Bytes of uncompressed pixels (PS3.5 8.1.1).

    Raises:
        NotAnImage: the header does not describe them.
    """
    try:
        rows, columns, bits = int(ds.Rows), int(ds.Columns), int(ds.BitsAllocated)
        samples = int(ds.get("SamplesPerPixel", 1))
    except (AttributeError, TypeError, ValueError):
        raise NotAnImage("the header does not describe the pixels") from None
    # PS3.3 C.7.6.3.1.2: YBR_FULL_422 has its chrominance for every second pixel only.
    thirds = 2 if ds.get("PhotometricInterpretation") == "YBR_FULL_422" else 3
    return (rows * columns * samples * bits * frames_of(ds) * thirds // 3 + 7) // 8


def stored(ds: Dataset, transfer_syntax_uid: str, data: bytes) -> NDArray[np.unsignedinteger] | None:
    """Uncompressed pixels as unsigned numbers in a row; None where they are bits or floating point."""
    kind = _UNSIGNED.get(int(ds.BitsAllocated))
    if kind is None or "PixelData" not in ds:
        return None
    order: Final = ">" if transfer_syntax_uid == EXPLICIT_BIG else "<"
    return np.frombuffer(data, dtype=np.dtype(kind).newbyteorder(order)).copy()


def _cleared(ds: Dataset, picture: bytes, transfer_syntax_uid: str) -> bytes:
    """Unused bits zeroed, or for signed numbers filled with the sign."""
    used, high = int(ds.get("BitsStored", 0)), int(ds.get("HighBit", 0))
    allocated = int(ds.BitsAllocated)
    if not 0 < used < allocated or high != used - 1:
        return picture
    numbers = stored(ds, transfer_syntax_uid, picture)
    if numbers is None:
        return picture
    mask = (1 << used) - 1
    cleared = numbers & mask
    if int(ds.get("PixelRepresentation", 0)) == 1:
        rest = ((1 << allocated) - 1) ^ mask
        cleared = np.where(cleared >> (used - 1) & 1, cleared | rest, cleared).astype(numbers.dtype)
    return bytes(cleared.astype(numbers.dtype).tobytes())
