"""From a decoded frame to what the viewer draws: 16-bit numbers, at most 1600 a side, and how to window them."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue

from radloop.pixels import Decoded

LONG_SIDE: Final = 1600
_HIGHEST: Final = 65535
_SAMPLED: Final = 256
# Where no window is given: leave out collimator edges, markers and metal.
_DARKEST, _BRIGHTEST = 0.5, 99.5
_BITS_OF_COLOUR: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """How to draw a frame.

    `width`, `height`: of what is sent; `columns`, `rows`: of the image itself, which boxes of findings refer to.
    `aspect`: height of a pixel by its width. `samples` 1: little-endian uint16, value = `slope` x number + `intercept`
    in modality values, shown by `center` and `window`, turned round where `invert`. `samples` 3: R, G, B bytes.
    """

    width: int
    height: int
    columns: int
    rows: int
    aspect: float
    samples: int
    slope: float
    intercept: float
    center: float
    window: float
    invert: bool
    frames: int
    frame: int

    def as_json(self) -> str:
        """For the header X-Frame."""
        return json.dumps(asdict(self))


def framed(decoded: Decoded, header: Dataset) -> tuple[FrameFacts, bytes]:
    """The facts of a frame, and its pixels as the viewer takes them."""
    if decoded.samples != 1:
        return _coloured(decoded, header)
    small = _reduced(decoded.pixels)
    low, high = float(small.min()), float(small.max())
    step = 1.0 if high - low <= _HIGHEST and _is_whole(decoded.pixels) else (high - low) / _HIGHEST
    numbers = np.round((small - np.float32(low)) / np.float32(step)).astype("<u2")
    center, window = _window(decoded, small)
    facts = FrameFacts(
        **_sizes(decoded.pixels.shape, small.shape),
        aspect=_aspect(header),
        samples=1,
        slope=step,
        intercept=low,
        center=center,
        window=window,
        invert=decoded.photometric == "MONOCHROME1",
        frames=decoded.frames,
        frame=decoded.frame,
    )
    return facts, numbers.tobytes()


def _coloured(decoded: Decoded, header: Dataset) -> tuple[FrameFacts, bytes]:
    """(3 x rows, columns) planes to interleaved bytes."""
    planes = decoded.pixels.reshape(3, -1, decoded.pixels.shape[1])
    # Palettes give 16 bits whatever is stored.
    most = float(planes.max())
    bits = _BITS_OF_COLOUR if most < 1 << _BITS_OF_COLOUR else math.ceil(math.log2(most + 1))
    small = np.stack([_reduced(plane) for plane in planes], axis=2) / np.float32(1 << (bits - _BITS_OF_COLOUR))
    facts = FrameFacts(
        **_sizes(planes.shape[1:], small.shape),
        aspect=_aspect(header),
        samples=3,
        slope=1.0,
        intercept=0.0,
        center=127.5,
        window=255.0,
        invert=False,
        frames=decoded.frames,
        frame=decoded.frame,
    )
    return facts, np.clip(np.round(small), 0, 255).astype(np.uint8).tobytes()


def _sizes(source: tuple[int, ...], small: tuple[int, ...]) -> dict[str, int]:
    return {"rows": source[0], "columns": source[1], "height": small[0], "width": small[1]}


def _reduced(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most LONG_SIDE a side, every pixel of the source counted."""
    scale = LONG_SIDE / max(plane.shape)
    if scale >= 1.0:
        return plane
    rows, columns = (max(1, round(side * scale)) for side in plane.shape)
    resized = Image.fromarray(plane).resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.float32)


def _is_whole(pixels: NDArray[np.float32]) -> bool:
    sample = _sample(pixels)
    return bool(np.all(sample == np.round(sample)))


def _window(decoded: Decoded, small: NDArray[np.float32]) -> tuple[float, float]:
    """Centre and width: the header's where it has one, else what leaves out the extremes."""
    if decoded.window_center is not None and decoded.window_width is not None and decoded.window_width >= 1:
        return decoded.window_center, decoded.window_width
    sample = _sample(small)
    # Padding and collimation lie at the very end.
    inside = sample[(sample > sample.min()) & (sample < sample.max())]
    low, high = np.percentile(inside if inside.size else sample, (_DARKEST, _BRIGHTEST))
    return float(low + high) / 2.0, max(float(high - low), 1.0)


def _sample(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = (max(1, pixels.shape[0] // _SAMPLED), max(1, pixels.shape[1] // _SAMPLED))
    return pixels[:: steps[0], :: steps[1]]


def _aspect(header: Dataset) -> float:
    """Height of a pixel by its width (PS3.3 10.7.1.3: row spacing first; C.7.6.3.1.7: vertical first)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
        value = header.get(keyword) or _shared(header, keyword)
        if isinstance(value, MultiValue) and len(value) == 2:
            try:
                ratio = float(value[0]) / float(value[1])
            except (ValueError, TypeError, ZeroDivisionError):
                continue
            if math.isfinite(ratio) and 0.05 <= ratio <= 20.0:
                return ratio
    return 1.0


def _shared(header: Dataset, keyword: str) -> object:
    """Of an enhanced image: what all frames share (PS3.3 C.7.6.16.2.1)."""
    groups = header.get("SharedFunctionalGroupsSequence") or []
    measures = groups[0].get("PixelMeasuresSequence") or [] if groups else []
    return measures[0].get(keyword) if measures else None
