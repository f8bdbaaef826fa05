"""From a stored instance to what the network sees: fetch, limits, decode in a bounded child, prepare."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import structlog
from pydicom import Dataset
from torch import Tensor

from models.pixel_facts import Scale, pixel_facts, stored_scale
from models.preparation import Floats, HeaderFacts, excluded, header_facts, to_unit
from models.runtime import LoadedModel
from radloop.domain.acquired import PixelFacts
from radloop.domain.errors import IntegrityError, RadloopError, Rejected
from radloop.domain.ports import BlobStore
from radloop.pixels import DecodePool, read_header
from serving.inference.contract import Reference

log = structlog.get_logger(__name__)

FLAT: Final = "an image is flat: every pixel has the same value"


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A decoded image, (rows, columns) float32 in modality values, and the facts that go with those values.

    `scale`: the values that its Bits Stored can hold.
    """

    values: Floats
    facts: HeaderFacts
    scale: Scale


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One image of the study, ready for the network.

    `tensor`: (1, S, S) float32. `pixels` is None where the study is too large to keep them all. `facts` is None where
    they could not be told: nothing else depends on them.
    """

    reference: Reference
    tensor: Tensor
    pixels: Pixels | None
    quality: tuple[str, ...]
    facts: PixelFacts | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """An image that the model cannot read. `outside` says that its card excludes it, else nothing could decode it."""

    reason: str
    outside: bool


@dataclass(frozen=True, slots=True)
class Eye:
    """Reads stored images, and keeps pictures of them. Its methods block; requests call them in `threads`.

    There are a few threads only, so that a study of a thousand slices does not hold a thousand decoded ones.
    `painters` write a picture while its heatmap is drawn.
    """

    store: BlobStore
    pool: DecodePool
    threads: Executor
    painters: Executor

    def look(self, reference: Reference, model: LoadedModel, keep: bool) -> View | Unseen:  # noqa: FBT001 - run in a thread
        """One image as the model sees it, with its pixels where they are to be kept; or why there is none.

        Raises:
            NotFound: no stored instance under that key.
            Transient: the store or the decoder is away.
        """
        try:
            data = self.store.get(reference.key)
            header = read_header(data)
            facts = header_facts(header)
            if reason := excluded(facts, model.spec.applicability.plane):
                return Unseen(reason, outside=True)
            pixels = self._decoded(data, header, facts)
        except (Rejected, IntegrityError) as error:
            return Unseen(_said(error), outside=False)
        return _view(reference, model, pixels, keep=keep)

    def pixels(self, reference: Reference) -> Pixels:
        """One image for the reader.

        Raises:
            NotFound, Transient: as `look`.
            Rejected, IntegrityError: it could not be decoded.
        """
        data = self.store.get(reference.key)
        header = read_header(data)
        return self._decoded(data, header, header_facts(header))

    def _decoded(self, data: bytes, header: Dataset, facts: HeaderFacts) -> Pixels:
        decoded = self.pool.decode(data)
        scale = stored_scale(
            decoded.bits_stored,
            signed=header.get("PixelRepresentation") == 1,
            slope=facts.slope,
            intercept=facts.intercept,
            inverted=facts.photometric == "MONOCHROME1",
        )
        return Pixels(decoded.pixels, _of_modality_values(facts), scale)


def _view(reference: Reference, model: LoadedModel, pixels: Pixels, *, keep: bool) -> View:
    unit = to_unit(pixels.values, pixels.facts)
    quality = () if np.any(unit) else (FLAT,)
    return View(reference, model.prepare(unit), pixels if keep else None, quality, _facts(pixels))


def _facts(pixels: Pixels) -> PixelFacts | None:
    """What the pixels are like. An image that is too odd to be described is read all the same."""
    try:
        return pixel_facts(pixels.values, pixels.scale)
    except (ValueError, ArithmeticError, LookupError) as error:
        log.warning("pixel facts cannot be told", error=type(error).__name__)
        return None


def _of_modality_values(facts: HeaderFacts) -> HeaderFacts:
    """The facts for pixels that the decoder has already rescaled (PS3.3 C.11.1): the padding value moves with them."""
    padding = facts.padding
    if padding is not None:
        padding = float(np.float32(padding) * np.float32(facts.slope) + np.float32(facts.intercept))
    return replace(facts, slope=1.0, intercept=0.0, padding=padding)


def _said(error: RadloopError) -> str:
    return f"{error.code}: {error}"
