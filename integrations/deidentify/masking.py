"""Blacking out parts of uncompressed pixels (PS3.15 E.3.1, Clean Pixel Data Option)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from integrations.deidentify.lettering import Box
from integrations.deidentify.pixels import frames_of, stored
from integrations.deidentify.refusals import BurnedIn
from radloop.pixels.elements import EXPLICIT_BIG

MOST_MASKED: Final = 0.35
"""Of the picture: whoever blacks out more has a document before them, not an image."""


@contextmanager
def described() -> Iterator[None]:
    """Within, a header that lacks a number or has another thing in its place becomes `BurnedIn`.

    Raises:
        BurnedIn: the header does not say where the picture or its regions are.
    """
    try:
        yield
    except (AttributeError, IndexError, TypeError, ValueError):
        raise BurnedIn("the header does not describe what is to be masked") from None


def black_out(ds: Dataset, transfer_syntax_uid: str, boxes: Iterable[Box]) -> None:
    """Set what lies in the boxes to black, in every frame.

    Raises:
        BurnedIn: pixels of this layout cannot be masked.
    """
    with described():
        frames, numbers = _frames(ds, transfer_syntax_uid)
        black = _black(ds)
    for box in boxes:
        frames[:, box.top : box.bottom, box.left : box.right] = black
    ds.PixelData = numbers.tobytes() + b"\0" * (numbers.nbytes % 2)


def outside_regions(ds: Dataset) -> tuple[Box, ...]:
    """What of an ultrasound image lies in none of its regions (PS3.3 C.8.5.5): bands of whole rows or of columns.

    Empty where the image names no region.

    Raises:
        BurnedIn: a region has no place.
    """
    if not (regions := ds.get("SequenceOfUltrasoundRegions")):
        return ()
    with described():
        inside = np.zeros((int(ds.Rows), int(ds.Columns)), dtype=bool)
        for region in regions:
            top, left = max(0, int(region.RegionLocationMinY0)), max(0, int(region.RegionLocationMinX0))
            inside[top : int(region.RegionLocationMaxY1) + 1, left : int(region.RegionLocationMaxX1) + 1] = True
        return tuple(_runs(~inside)) if inside.any() else ()


def grown(box: Box, ds: Dataset) -> Box:
    """A box with room for the letters of its row that were not found: four letters on, and half of one aside."""
    letter = min(box.height, box.width)
    along, aside = 4 * letter, max(2, letter // 2)
    up, aside = (along, aside) if box.height > box.width else (aside, along)
    return Box(
        max(0, box.top - up),
        max(0, box.left - aside),
        min(int(ds.Rows), box.bottom + up),
        min(int(ds.Columns), box.right + aside),
    )


def refuse_too_much(boxes: Iterable[Box], ds: Dataset) -> None:
    """Stop where the boxes cover so much that the picture is a page of text.

    Raises:
        BurnedIn: they do.
    """
    covered = np.zeros((int(ds.Rows), int(ds.Columns)), dtype=bool)
    for box in boxes:
        covered[box.top : box.bottom, box.left : box.right] = True
    if covered.mean() > MOST_MASKED:
        raise BurnedIn("the picture is full of what may be text")


def _runs(outside: NDArray[np.bool_]) -> Iterable[Box]:
    """Boxes that cover exactly the true parts: rows that look alike together."""
    start = 0
    for row in range(1, len(outside) + 1):
        if row < len(outside) and np.array_equal(outside[row], outside[start]):
            continue
        edges = np.flatnonzero(np.diff(np.concatenate(([0], outside[start].astype(np.int8), [0]))))
        yield from (Box(start, int(left), row, int(right)) for left, right in edges.reshape(-1, 2))
        start = row


def _frames(ds: Dataset, transfer_syntax_uid: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """The pixels as (frames, rows, columns, samples), and the array in the order of the bytes that it is a view of."""
    odd = "422" in str(ds.PhotometricInterpretation) or transfer_syntax_uid == EXPLICIT_BIG
    numbers = None if odd else stored(ds, transfer_syntax_uid, _picture(ds))
    if numbers is None:
        raise BurnedIn("pixels of this layout cannot be masked")
    frames, rows, columns = frames_of(ds), int(ds.Rows), int(ds.Columns)
    samples = int(ds.get("SamplesPerPixel", 1))
    if samples > 1 and int(ds.get("PlanarConfiguration", 0)) == 1:
        return np.moveaxis(numbers.reshape(frames, samples, rows, columns), 1, -1), numbers
    return numbers.reshape(frames, rows, columns, samples), numbers


def _picture(ds: Dataset) -> bytes:
    size = int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel", 1)) * int(ds.BitsAllocated) // 8
    return bytes(ds.PixelData[: size * frames_of(ds)])


def _black(ds: Dataset) -> NDArray[np.generic] | int:
    """The stored value of black: the lowest, the highest for MONOCHROME1, and in YBR grey without colour."""
    used, signed = int(ds.BitsStored), int(ds.get("PixelRepresentation", 0)) == 1
    half = 1 << (used - 1)
    photometric = str(ds.PhotometricInterpretation)
    if photometric.startswith("YBR"):
        return np.array([0, half, half])
    if photometric == "MONOCHROME1":
        return half - 1 if signed else 2 * half - 1
    return (1 << int(ds.BitsAllocated)) - half if signed else 0
