"""The key image with the heatmap over it and a legend under it (RESULTS.md, Pictures)."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from radloop.domain.enums import Qualification
from radloop.render.picture import LONG_SIDE, fitted, read_grey

NOTICE: Final = "AI result, not a diagnosis"

# Anchors of the "plasma" map (S. van der Walt and N. Smith, CC0): lightness rises evenly with the value.
_PLASMA: Final = (
    (13, 8, 135),
    (84, 2, 163),
    (139, 10, 165),
    (185, 50, 137),
    (219, 92, 104),
    (244, 136, 73),
    (254, 188, 43),
    (240, 249, 33),
)
# Below this heat nothing is drawn; at full heat this much of the anatomy still shows.
_COLDEST: Final = 0.15
_DENSEST: Final = 0.6

_NARROWEST: Final = 768
_MARGIN: Final = 24
_BAND_HEIGHT: Final = 212
_BAND: Final = (16, 16, 16)
_RULE: Final = (96, 96, 96)
_WHITE: Final = (255, 255, 255)
_SOFT: Final = (200, 200, 200)
_AMBER: Final = (255, 191, 64)
_TITLE, _TEXT, _SMALL, _TINIEST = 38, 28, 24, 16
_BAR: Final = (220, 18)
# More letters than any line holds.
_LONGEST: Final = 160


_Look = tuple[int, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """What is written under the picture. `probability` and `threshold` are 0..1."""

    finding: str
    probability: float
    threshold: float
    model: str
    version: str
    qualification: Qualification


def overlay(picture_png: bytes, heatmap_png: bytes, legend: Legend) -> NDArray[np.uint8]:
    """The key image, its long side scaled to 1024, the heat over it, and a band below that hides no anatomy.

    Args:
        picture_png: 8-bit grey.
        heatmap_png: 8-bit grey over the whole picture, 255 is hottest; stretched smoothly to the picture's size.
        legend: what the band says.

    Returns:
        (H, W, 3) uint8 RGB, W at least 768, long side at least 1024.

    Raises:
        InvalidObject: not PNGs.
    """
    picture = fitted(read_grey(picture_png), LONG_SIDE)
    heatmap = read_grey(heatmap_png).resize(picture.size, Image.Resampling.BICUBIC)
    return np.array(_with_band(_with_heat(picture, heatmap), legend))


def heat_layer(heatmap_png: bytes) -> bytes:
    """The heat alone as a PNG with transparency, to be laid over the whole picture: coloured as in `overlay`.

    Raises:
        InvalidObject: not a PNG.
    """
    heatmap = read_grey(heatmap_png)
    layer = _coloured(heatmap)
    layer.putalpha(heatmap.point(_densities()))
    return _png(layer)


def heated(picture_png: bytes, heatmap_png: bytes, long_side: int) -> bytes:
    """The key image with the heat over it, without a legend, as a PNG with a long side of `long_side`.

    Raises:
        InvalidObject: not PNGs.
    """
    picture = fitted(read_grey(picture_png), long_side)
    heatmap = read_grey(heatmap_png).resize(picture.size, Image.Resampling.BICUBIC)
    return _png(_with_heat(picture, heatmap))


def _png(image: Image.Image) -> bytes:
    with BytesIO() as buffer:
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def _with_heat(picture: Image.Image, heatmap: Image.Image) -> Image.Image:
    return Image.composite(_coloured(heatmap), picture.convert("RGB"), heatmap.point(_densities()))


def _coloured(levels: Image.Image) -> Image.Image:
    """The 8-bit image through the colour map, in Pillow's own C."""
    indexed = Image.frombytes("P", levels.size, levels.tobytes())
    indexed.putpalette(_palette())
    return indexed.convert("RGB")


@lru_cache(maxsize=1)
def _palette() -> bytes:
    """256 colours, R, G and B each, by heat."""
    heat = np.linspace(0.0, 1.0, 256)
    anchors = np.array(_PLASMA, dtype=np.float64)
    at = np.linspace(0.0, 1.0, len(anchors))
    colours = np.stack([np.interp(heat, at, anchors[:, channel]) for channel in range(3)], axis=1)
    return colours.round().astype(np.uint8).tobytes()


@lru_cache(maxsize=1)
def _densities() -> list[int]:
    """How much of the picture each heat covers; 255 would hide it."""
    heat = np.linspace(0.0, 1.0, 256)
    ramp = np.clip((heat - _COLDEST) / (1.0 - _COLDEST), 0.0, 1.0)
    return [int(density) for density in (255.0 * _DENSEST * ramp * (2.0 - ramp)).round()]


def _with_band(hot: Image.Image, legend: Legend) -> Image.Image:
    width = max(hot.width, _NARROWEST)
    canvas = Image.new("RGB", (width, hot.height + _BAND_HEIGHT), _BAND)
    canvas.paste((0, 0, 0), (0, 0, width, hot.height))
    canvas.paste(hot, ((width - hot.width) // 2, 0))
    _write(canvas, hot.height, legend)
    return canvas


def _write(canvas: Image.Image, top: int, legend: Legend) -> None:
    draw = ImageDraw.Draw(canvas)
    room = canvas.width - 2 * _MARGIN
    draw.line((0, top, canvas.width, top), fill=_RULE, width=2)
    _line(draw, (_MARGIN, top + 14), room, legend.finding, (_TITLE, _WHITE))
    _line(draw, (_MARGIN, top + 66), room, _verdict(legend), (_TEXT, _WHITE))
    model = f"{legend.model} {legend.version}  ·  {legend.qualification.value}"
    _line(draw, (_MARGIN, top + 112), room, model, (_SMALL, _SOFT))
    bar_left = canvas.width - _MARGIN - _BAR[0]
    _line(draw, (_MARGIN, top + 156), bar_left - 2 * _MARGIN, NOTICE, (_TEXT, _AMBER))
    _colour_bar(canvas, draw, (bar_left, top + 154))


def _verdict(legend: Legend) -> str:
    side = "at or above" if legend.probability >= legend.threshold else "below"
    # Two digits are what a reader wants, unless they would print two sides of the threshold as one number.
    digits = 4 if abs(legend.probability - legend.threshold) < 0.01 else 2
    return f"Probability {legend.probability:.{digits}f}, {side} the threshold of {legend.threshold:.{digits}f}"


def _line(draw: ImageDraw.ImageDraw, at: tuple[int, int], room: int, text: str, look: _Look) -> None:
    """One line, in smaller letters where it is long, cut with an ellipsis where it is longer still."""
    size, colour = look
    text = text[:_LONGEST]
    while size > _TINIEST and draw.textlength(text, font=_font(size)) > room:
        size -= 2
    while draw.textlength(text, font=_font(size)) > room:
        text = text[:-2].rstrip() + "…"
    draw.text(at, text, fill=colour, font=_font(size))


def _colour_bar(canvas: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int]) -> None:
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    canvas.paste(_coloured(ramp).resize(_BAR), at)
    below = at[1] + _BAR[1] + 2
    draw.text((at[0], below), "low", fill=_SOFT, font=_font(18))
    draw.text((at[0] + _BAR[0] // 2, below), "model attention", fill=_SOFT, font=_font(18), anchor="ma")
    draw.text((at[0] + _BAR[0], below), "high", fill=_SOFT, font=_font(18), anchor="ra")


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
