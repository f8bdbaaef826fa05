"""What an image was found to be once it was decoded and read: numbers of its pixels, its embedding, remarks.

Frozen records as in `radloop.domain.records`. Nothing here is an image, and nothing is the patient's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoteOutcome(StrEnum):
    """What a check at the door leaves on record; a pass leaves nothing."""

    WARN = "WARN"
    """Something is odd: it is told with the answer, which stands."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """There is nothing to hold the image against, or it lies outside the model's card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFacts:
    """How the pixels of one image are spread, from a sample of every n-th row and column.

    `p1` to `p99`: percentiles of the stored values, as a share 0..1 of what Bits Stored can hold. `clipped_low` and
    `clipped_high`: the share of pixels at the image's own lowest and highest value. `entropy`: bits, of 256 grey
    levels between p1 and p99. `noise`: the standard deviation of the noise, as a share of the spread p1 to p99.
    `sharpness`: how much of the contrast over a 32nd of the image is there between neighbours (of 256 a side) already,
    in the direction that has least. `border`: the share of rows and columns that collimation leaves dark.
    """

    p1: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    clipped_low: float
    clipped_high: float
    entropy: float
    noise: float
    sharpness: float
    border: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One image that a model read: what its pixels are like, and where the model puts it (64 numbers)."""

    instance_id: str
    facts: PixelFacts
    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityNote:
    """What a check at the door said of a study or of one image; a pass leaves none. No patient data in `detail`."""

    id: str
    version_id: str
    result_id: str | None
    instance_id: str | None
    check: str
    outcome: NoteOutcome
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of images that a model knows, as numbers: what it was computed from, and how far it reaches.

    Of the embedding only the numbers that no training moves are used, so one ground serves every version of a model.
    `mean`, `inverted`: where the images lie, and where they would with their grey values inverted. `precision`: the
    inverse covariance of the images, rows of numbers. `reach`: the (squared Mahalanobis) distance beyond which an image
    is none of them. `low` and `high`: by pixel fact, the least and the most that is usual.
    """

    name: str
    images: int
    mean: tuple[float, ...]
    inverted: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    reach: float
    low: Mapping[str, float]
    high: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGround:
    """What the images that a model knows are like: an image on its ground is like those of one family."""

    model: str
    families: tuple[Family, ...]
