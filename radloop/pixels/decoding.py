"""Bytes to one decoded frame, inside the bounded child: limits from the header first, then the decoder."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import parse_fragments
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from radloop.domain.errors import Undecodable, Unparsable
from radloop.pixels.limits import Limits, refuse_above
from radloop.pixels.part10 import PARSER_FAILURES, read_with_pixels

Grey = NDArray[np.float32]
Paint = Callable[[Dataset, NDArray[np.generic], int], Grey]

# ITU-R BT.601: luminance of R, G and B.
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_BITS: Final = frozenset({1, 8, 16, 32, 64})
_SAMPLES: Final = frozenset({1, 3})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of decoded pixels besides the pixels; see `radloop.pixels.pool.Decoded`."""

    rows: int
    columns: int
    frames: int
    frame: int
    photometric: str
    bits_stored: int
    window_center: float | None
    window_width: float | None
    samples: int = 1


@dataclass(frozen=True, slots=True)
class _Shape:
    """The image as the header claims it, within limits."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int

    @property
    def frame_bits(self) -> int:
        return self.rows * self.columns * self.samples * self.bits


def decode_frame(data: bytes, frame: int | None, limits: Limits) -> tuple[Facts, Grey]:
    """Decode one frame (None: the middle one) to modality values.

    Returns:
        The facts and a (rows, columns) float32 array: stored values through the modality LUT or rescale slope and
        intercept (PS3.3 C.11.1), colour as luminance.

    Raises:
        TooLarge: the header asks for more than the limits.
        Undecodable: no pixels, no such frame, or no decoder could read them.
    """
    return _decode(data, frame, limits, _grey)


def decode_coloured(data: bytes, frame: int | None, limits: Limits) -> tuple[Facts, Grey]:
    """As `decode_frame`, but a colour image comes as it looks.

    Returns:
        For a colour image `samples` is 3 and the array (3 x rows, columns): its red, green and blue planes one below
        the other, 0 to the stored maximum.

    Raises:
        TooLarge, Undecodable: as `decode_frame`.
    """
    return _decode(data, frame, limits, _planes)


def _decode(data: bytes, frame: int | None, limits: Limits, paint: Paint) -> tuple[Facts, Grey]:
    try:
        ds = read_with_pixels(data, limits)
        shape = _checked_shape(ds, limits)
        index = _checked_frame(shape, frame)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = paint(ds, pixel_array(ds, index=index), index)
            return _facts(ds, shape, index, pixels), pixels
    except Unparsable as error:
        raise Undecodable(str(error)) from None
    except PARSER_FAILURES as error:
        raise Undecodable(f"the decoder gave up ({type(error).__name__})") from None


def _checked_shape(ds: Dataset, limits: Limits) -> _Shape:
    if not any(keyword in ds for keyword in _PIXEL_KEYWORDS):
        raise Undecodable("the instance has no pixels")
    shape = _Shape(
        rows=_number(ds, "Rows"),
        columns=_number(ds, "Columns"),
        frames=_number(ds, "NumberOfFrames", 1),
        samples=_number(ds, "SamplesPerPixel", 1),
        bits=_number(ds, "BitsAllocated"),
    )
    _check_limits(shape, limits)
    _check_present(ds, shape)
    return shape


def _checked_frame(shape: _Shape, frame: int | None) -> int:
    index = shape.frames // 2 if frame is None else frame
    if not 0 <= index < shape.frames:
        raise Undecodable(f"no frame {index}: the instance has {shape.frames}")
    return index


def _number(ds: Dataset, keyword: str, default: int | None = None) -> int:
    value = ds.get(keyword)
    if value is None and default is not None:
        return default
    try:
        return int(str(value))
    except ValueError:
        raise Undecodable(f"{keyword} is missing or not a number") from None


def _check_limits(shape: _Shape, limits: Limits) -> None:
    if min(shape.rows, shape.columns, shape.frames) < 1 or shape.bits not in _BITS or shape.samples not in _SAMPLES:
        raise Undecodable("the image module describes no image")
    refuse_above(shape.rows, limits.rows, "rows")
    refuse_above(shape.columns, limits.columns, "columns")
    refuse_above(shape.frames, limits.frames, "frames")
    refuse_above(shape.frame_bits // 8, limits.frame, "bytes in a frame")
    refuse_above(shape.frame_bits * shape.frames // 8, limits.frames_together, "bytes in all frames")


def _check_present(ds: Dataset, shape: _Shape) -> None:
    """A frame count that lies is found before the decoder believes it."""
    keyword = next(keyword for keyword in _PIXEL_KEYWORDS if keyword in ds)
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        # PS3.5 A.4: a fragment never spans frames, so there are at least as many of them.
        fragments, _ = parse_fragments(ds[keyword].value)
        present = fragments - 1 >= shape.frames if _has_offset_table(ds[keyword].value) else fragments >= shape.frames
    else:
        present = len(ds[keyword].value) >= _native_bits(ds, shape) // 8
    if not present:
        raise Undecodable("the instance holds fewer frames than it says")


def _has_offset_table(value: bytes) -> bool:
    # PS3.5 A.4: the first item is the Basic Offset Table, always there, maybe empty.
    return value[:4] == b"\xfe\xff\x00\xe0"


def _native_bits(ds: Dataset, shape: _Shape) -> int:
    # PS3.3 C.7.6.3.1.2: YBR_FULL_422 has its chrominance for every second pixel only.
    thirds = 2 if ds.get("PhotometricInterpretation") == "YBR_FULL_422" else 3
    return shape.frame_bits * shape.frames * thirds // 3


def _grey(ds: Dataset, stored: NDArray[np.generic], frame: int) -> Grey:
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
        return _luminance(apply_color_lut(stored, ds))
    if stored.ndim == 3:
        return _luminance(stored)
    return np.nan_to_num(_modality_values(ds, stored, frame), copy=False)


def _planes(ds: Dataset, stored: NDArray[np.generic], frame: int) -> Grey:
    colour = apply_color_lut(stored, ds) if ds.get("PhotometricInterpretation") == "PALETTE COLOR" else stored
    if colour.ndim != 3:
        return _grey(ds, stored, frame)
    planes: Grey = np.moveaxis(colour[..., :3], 2, 0).reshape(-1, colour.shape[1]).astype(np.float32)
    return planes


def _luminance(colour: NDArray[np.generic]) -> Grey:
    """(rows, columns, 3 or 4) to (rows, columns); alpha is left out."""
    grey: Grey = colour[..., :3].astype(np.float32) @ _LUMINANCE
    return grey


def _modality_values(ds: Dataset, stored: NDArray[np.generic], frame: int) -> Grey:
    if "ModalityLUTSequence" in ds:
        return apply_modality_lut(stored, ds).astype(np.float32)
    slope, intercept = _rescale(ds, frame)
    values = stored.astype(np.float32)
    if (slope, intercept) != (1.0, 0.0):
        values *= np.float32(slope)
        values += np.float32(intercept)
    return values


def _rescale(ds: Dataset, frame: int) -> tuple[float, float]:
    source = _of_frame(ds, frame, "PixelValueTransformationSequence")
    slope, intercept = _first_number(source, "RescaleSlope"), _first_number(source, "RescaleIntercept")
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def _of_frame(ds: Dataset, frame: int, keyword: str) -> Dataset:
    """The functional group of a frame (PS3.3 C.7.6.16), its shared one, or the data set of a classic image."""
    own = _items(ds, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    groups = [*own, *_items(ds, "SharedFunctionalGroupsSequence")]
    found = [item for group in groups for item in _items(group, keyword)[:1]]
    return found[0] if found else ds


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    return list(ds.get(keyword) or [])


def _first_number(ds: Dataset, keyword: str) -> float | None:
    value = ds.get(keyword)
    first = value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value
    try:
        number = float(str(first))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _facts(ds: Dataset, shape: _Shape, frame: int, pixels: Grey) -> Facts:
    photometric = str(ds.get("PhotometricInterpretation", ""))
    voi = _of_frame(ds, frame, "FrameVOILUTSequence")
    return Facts(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        frames=shape.frames,
        frame=frame,
        photometric="MONOCHROME1" if photometric == "MONOCHROME1" else "MONOCHROME2",
        bits_stored=_number(ds, "BitsStored", shape.bits),
        window_center=_first_number(voi, "WindowCenter"),
        window_width=_first_number(voi, "WindowWidth"),
        samples=pixels.shape[0] // shape.rows,
    )
