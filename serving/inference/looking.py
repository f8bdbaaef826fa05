"""From a stored instance to what the network and the reader see: fetch, limits, decode in a bounded child, prepare."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import numpy as np
import structlog
from pydicom import Dataset
from torch import Tensor

from models.pixel_facts import Scale, pixel_facts, stored_scale
from models.preparation import Floats, HeaderFacts, excluded, header_facts, of_modality_values, to_picture, to_unit
from models.runtime import LoadedModel
from radloop.domain.acquired import PixelFacts
from radloop.domain.errors import IntegrityError, RadloopError, Rejected
from radloop.domain.ports import BlobStore
from radloop.pixels import DecodePool, read_header
from radloop.render import to_png
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


class Keep(Enum):
    """What of an image is kept for the reader while the network reads it.

    Which image decides is known beforehand where there is only one: its picture is painted at once. Some keep their
    pixels until that is known; of more than some, those that decide are decoded again.
    """

    PICTURE = auto()
    PIXELS = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture: its key, and the shape (rows, columns) of the image that it shows."""

    key: str
    source: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One image of the study, ready for the network.

    `tensor`: (1, S, S) float32. `kept` is what `Keep` says. `facts` is None where they could not be told: nothing else
    depends on them.
    """

    reference: Reference
    tensor: Tensor
    kept: "Future[Picture] | Pixels | None"
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
    `painters` paint and store pictures beside them.
    """

    store: BlobStore
    pool: DecodePool
    threads: Executor
    painters: Executor

    def look(self, reference: Reference, model: LoadedModel, keep: Keep) -> View | Unseen:
        """One image as the model sees it, with what is to be kept of it for the reader; or why there is none.

        Raises:
            NotFound: no stored instance under that key.
            Transient: the store or the decoder is away.
        """
        try:
            data = self.store.get(reference.key)
            header = read_header(data)
            facts = header_facts(header)
            if reason := excluded(facts, model.spec.applicability.plane, model.spec.window):
                return Unseen(reason, outside=True)
            pixels = self._decoded(data, header, facts)
        except (Rejected, IntegrityError) as error:
            return Unseen(_said(error), outside=False)
        # While it is painted there, it is prepared here: the network, which needs every core, meets neither.
        kept = self._paint(pixels) if keep is Keep.PICTURE else pixels if keep is Keep.PIXELS else None
        return _view(reference, model, pixels, kept)

    def picture(self, view: View) -> "Future[Picture]":
        """The picture of an image that was looked at, painted and stored in the background. Blocks where it is decoded.

        Raises:
            NotFound, Transient: as `look`.
            Rejected, IntegrityError: pixels that were not kept could not be decoded again.
        """
        if isinstance(view.kept, Future):
            return view.kept
        return self._paint(view.kept or self._pixels(view.reference))

    def _paint(self, pixels: Pixels) -> "Future[Picture]":
        return self.painters.submit(_painted, self.store, pixels)

    def _pixels(self, reference: Reference) -> Pixels:
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
        return Pixels(decoded.pixels, of_modality_values(facts), scale)


def _painted(store: BlobStore, pixels: Pixels) -> Picture:
    rows, columns = pixels.values.shape
    return Picture(store.put_parts([to_png(to_picture(pixels.values, pixels.facts))]).key, (rows, columns))


def _view(reference: Reference, model: LoadedModel, pixels: Pixels, kept: "Future[Picture] | Pixels | None") -> View:
    unit = to_unit(pixels.values, pixels.facts, model.spec.window)
    quality = () if np.any(unit) else (FLAT,)
    return View(reference, model.prepare(unit), kept, quality, _facts(pixels))


def _facts(pixels: Pixels) -> PixelFacts | None:
    """What the pixels are like. An image that is too odd to be described is read all the same."""
    try:
        return pixel_facts(pixels.values, pixels.scale)
    except (ValueError, ArithmeticError, LookupError) as error:
        log.warning("pixel facts cannot be told", error=type(error).__name__)
        return None


def _said(error: RadloopError) -> str:
    return f"{error.code}: {error}"
