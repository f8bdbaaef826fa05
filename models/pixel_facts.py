"""How the pixels of a decoded image are spread: percentiles, saturation, entropy, noise, sharpness, collimation.

Everything is told from a sample of about 256 rows and columns, so that it costs a millisecond whatever the matrix.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.preparation import Floats
from radloop.domain.acquired import PixelFacts

SIDE: Final = 256
"""So many rows and columns are looked at, at least; twice as many at most."""
SHARES: Final = (1, 5, 25, 50, 75, 95, 99)
LEVELS: Final = 256
REACH: Final = 8
"""Sharpness: the contrast between neighbours is held against that over so many pixels of the sample."""
DARK: Final = 0.06
"""A row that collimation leaves dark holds (nearly) nothing above this share of the spread."""
NORMAL_MAD: Final = 0.6745
"""The median absolute value of a standard normal variable (Donoho 1994)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The lowest and the highest value that Bits Stored can hold, as modality values, and whether low is bright."""

    low: float
    high: float
    inverted: bool = False


def stored_scale(bits: int, *, signed: bool, slope: float, intercept: float, inverted: bool) -> Scale:
    """The scale of an image by its header: PS3.3 C.7.6.3.1 (Pixel Representation) and C.11.1 (rescale)."""
    least = -(2.0 ** (bits - 1)) if signed else 0.0
    return Scale(least * slope + intercept, (least + 2.0**bits - 1) * slope + intercept, inverted)


def pixel_facts(values: Floats, scale: Scale) -> PixelFacts:
    """The facts of one image (rows, columns) of modality values, finite or not.

    Raises:
        ValueError: there is no finite pixel.
    """
    sample = _sample(values)
    known = np.isfinite(sample)
    finite = sample.ravel() if known.all() else sample[known]
    if not finite.size:
        raise ValueError("the image has no finite pixel")
    ordered = np.sort(finite)
    levels = ordered[[round(share / 100 * (ordered.size - 1)) for share in SHARES]].astype(float)
    low, high = float(levels[0]), float(levels[-1])
    spread = high - low
    shares = ((levels - scale.low) / ((scale.high - scale.low) or 1.0)).clip(0.0, 1.0)
    return PixelFacts(
        **{f"p{share}": _kept(value) for share, value in zip(SHARES, shares, strict=True)},
        clipped_low=_kept(_share_at(ordered, ordered[0])),
        clipped_high=_kept(_share_at(ordered, ordered[-1])),
        entropy=_kept(_entropy(finite, low, spread)),
        noise=_kept(_noise(values) / spread if spread else 0.0),
        sharpness=_kept(_sharpness(_sheet(values, low, high)) if spread else 0.0),
        border=_kept(_border(sample, low, high, inverted=scale.inverted) if spread else 0.0),
    )


def _kept(value: float) -> float:
    return round(float(value), 5)


def _step(shape: tuple[int, ...]) -> int:
    return max(1, min(shape) // SIDE)


def _sample(values: Floats) -> Floats:
    step = _step(values.shape)
    return np.ascontiguousarray(values[::step, ::step])


def _share_at(ordered: Floats, value: float) -> float:
    left, right = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
    return float(right - left) / ordered.size


def _entropy(finite: Floats, low: float, spread: float) -> float:
    """Shannon entropy in bits of `LEVELS` grey levels between the 1st and the 99th percentile."""
    if not spread:
        return 0.0
    levels = ((finite - np.float32(low)) * np.float32(LEVELS / spread)).clip(0, LEVELS - 1).astype(np.uint8)
    shares = np.bincount(levels, minlength=LEVELS) / levels.size
    present = shares[shares > 0]
    return -float((present * np.log2(present)).sum())


def _noise(values: Floats) -> float:
    """The standard deviation of the noise, from the diagonal detail of a Haar wavelet (Donoho and Johnstone 1994)."""
    step = max(2, 2 * _step(values.shape))
    rows, columns = values.shape[0] - 1, values.shape[1] - 1
    a, b = values[0:rows:step, 0:columns:step], values[0:rows:step, 1 : columns + 1 : step]
    c, d = values[1 : rows + 1 : step, 0:columns:step], values[1 : rows + 1 : step, 1 : columns + 1 : step]
    detail = np.abs(a - b - c + d) / 2
    finite = detail[np.isfinite(detail)]
    return float(np.median(finite)) / NORMAL_MAD if finite.size else 0.0


def _sheet(values: Floats, low: float, high: float) -> Floats:
    """The image at about `SIDE` rows and columns, each the mean of four pixels of its block, cut to low..high."""
    step = _step(values.shape)
    sheet = values if step == 1 else _blocks(values, step)
    if not np.isfinite(sheet).all():
        sheet = np.nan_to_num(sheet, nan=low, posinf=high, neginf=low)
    return sheet.clip(np.float32(low), np.float32(high))


def _blocks(values: Floats, step: int) -> Floats:
    rows, columns, apart = values.shape[0] // step * step, values.shape[1] // step * step, step // 2
    # Whole rows are added first: sums along memory are several times faster than those across it.
    lines = values[0:rows:step] + values[apart:rows:step]
    blocks: Floats = np.float32(0.25) * (lines[:, 0:columns:step] + lines[:, apart:columns:step])
    return blocks


def _sharpness(sheet: Floats) -> float:
    """The least, over four directions, of the contrast between neighbours as a share of that over `REACH` pixels."""
    if min(sheet.shape) <= 2 * REACH:
        return 1.0
    return min(_contrast(sheet, *way, 1) / (_contrast(sheet, *way, REACH) or math.inf) for way in
               ((0, 1), (1, 0), (1, 1), (1, -1)))  # fmt: skip


def _contrast(sheet: Floats, down: int, across: int, far: int) -> float:
    """The root mean square difference of pixels that lie `far` steps of (down, across) apart."""
    rows, columns = sheet.shape
    here = sheet[: rows - down * far, max(0, -across * far) : columns - max(0, across * far)]
    there = sheet[down * far :, max(0, across * far) : columns + min(0, across * far)]
    apart = (there - here).ravel()
    # In single precision, as one product: three times as fast as squaring first.
    return math.sqrt(float(apart @ apart) / apart.size)


def _border(sample: Floats, low: float, high: float, *, inverted: bool) -> float:
    """The share of rows and columns, counted from the edges inwards, that are dark from end to end."""
    dark = sample > high - DARK * (high - low) if inverted else sample < low + DARK * (high - low)
    lines = [_outer(dark.mean(axis=axis) > 0.98) for axis in (0, 1)]
    return sum(lines) / sum(sample.shape)


def _outer(dark: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    bright = np.flatnonzero(~dark)
    return dark.size if not bright.size else int(bright[0] + dark.size - 1 - bright[-1])
