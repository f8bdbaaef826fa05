"""A training copy: one image as the network sees it, and a larger one to augment from, as safetensors bytes.

No header and no identifier is in it. Made by the preparation of the served model, so `small` is what that one sees.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.preparation import Floats, HeaderFacts, Window, of_modality_values, resample, to_unit
from models.training.cohort import MARGIN
from radloop.domain.errors import IntegrityError

SMALL: Final = "small"
LARGE: Final = "large"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """`small` (S, S) float32 and `large` (L, L) float16, L = S * 4/3; both 0..1, rows down."""

    small: Floats
    large: npt.NDArray[np.float16]

    @property
    def pixel_sha256(self) -> str:
        """SHA-256 (hex) of `small`: the same for the same picture, however its file was compressed."""
        return hashlib.sha256(np.ascontiguousarray(self.small).tobytes()).hexdigest()

    @property
    def flat(self) -> bool:
        """Whether every pixel has the same value."""
        return not np.any(self.small)


def large_side(side: int) -> int:
    """The side L of the larger picture for a network that sees `side` pixels."""
    return round(side * MARGIN)


def prepare(pixels: npt.NDArray[np.generic], facts: HeaderFacts, side: int, window: Window | None = None) -> Prepared:
    """Decoded modality values (H, W), and the facts of the stored header, as a network of `side` pixels sees them.

    `window`: the one of the model's card.
    """
    unit = to_unit(pixels, of_modality_values(facts), window)
    large = large_side(side)
    return Prepared(resample(unit, side, side), resample(unit, large, large).astype(np.float16))


def pack(prepared: Prepared) -> bytes:
    """The copy as safetensors."""
    packed: bytes = save({SMALL: np.ascontiguousarray(prepared.small), LARGE: np.ascontiguousarray(prepared.large)})
    return packed


def unpack(data: bytes) -> Prepared:
    """A copy from its bytes.

    Raises:
        IntegrityError: they are no training copy.
    """
    try:
        tensors = load(data)
        prepared = Prepared(tensors[SMALL], tensors[LARGE])
    except (SafetensorError, KeyError, ValueError) as error:
        raise IntegrityError("a training copy cannot be read") from error
    if prepared.small.dtype != np.float32 or prepared.large.dtype != np.float16:
        raise IntegrityError("a training copy holds other numbers than it should")
    return prepared
