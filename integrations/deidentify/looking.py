"""Looking at the pixels: what is refused, what is masked, and whether every frame was seen."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from integrations.deidentify import masking
from integrations.deidentify.decompress import decompressed
from integrations.deidentify.lettering import Box, find_lettering
from integrations.deidentify.options import Options
from integrations.deidentify.pixels import frames_of
from integrations.deidentify.refusals import BurnedIn
from integrations.deidentify.writing import part10
from radloop.pixels import decode
from radloop.pixels.elements import EXPLICIT_LITTLE

MOST_LOOKS: Final = 64
"""Frames of one object that are looked at; where it has more, evenly spread ones, and no claim is made."""
ROUNDS: Final = 3
# PS3.3 C.7.3.1.1.1: what comes out of these usually has a name in it.
SUSPECT: Final = frozenset({"US", "IVUS", "ES", "GM", "OT", "SC", "XC", "DOC", "SR", "SM", "AU", "DG", "HC", "FID"})
_BY_REGION: Final = frozenset({"US", "IVUS"})
_CAPTURE: Final = "Secondary Capture"
# Numbers in the shape of a picture: masks and doses have no lettering.
_NOT_LOOKED_AT: Final = frozenset({"SEG", "RTDOSE"})


class Looker:
    """Looks at one object, and blacks out what it is allowed to. `masked` and `looked` say what was done."""

    def __init__(self, transfer_syntax_uid: str, options: Options) -> None:
        self.transfer_syntax_uid = transfer_syntax_uid
        self.masked = False
        self.looked = False
        self._options = options

    def examine(self, ds: Dataset, *, burned_in: bool) -> Dataset:
        """The data set, masked where that was asked for; a compressed one then comes out uncompressed.

        Args:
            ds: cleaned already; its pixels are the ones that go out.
            burned_in: what the input said of itself (BurnedInAnnotation).

        Raises:
            BurnedIn: there is, or usually is, text in the pixels.
            Undecodable, Unsearchable, TooLarge, Unavailable: they cannot be looked at.
        """
        if str(ds.get("Modality", "")) in _NOT_LOOKED_AT:
            return ds
        suspect, regions = _is_suspect(ds), masking.outside_regions(ds)
        if (burned_in or suspect) and not self._options.mask:
            raise BurnedIn("the image is of a kind that usually has text in its pixels: --mask, or leave it out")
        if str(ds.get("Modality", "")) in _BY_REGION and not regions:
            raise BurnedIn("an ultrasound image that names no regions cannot be masked around them")
        if regions and self._options.mask:
            ds = self._mask(ds, regions)
        ds, found = self._mask_lettering(ds)
        if burned_in and not (regions or found):
            raise BurnedIn("the image says that it has text in its pixels, and none was found to mask")
        # Nobody has read what is left of a kind that usually has text: no claim is made for it.
        self.looked = self.looked and not (burned_in or suspect)
        return ds

    def _mask_lettering(self, ds: Dataset) -> tuple[Dataset, bool]:
        found = False
        for _ in range(ROUNDS):
            boxes = self._look(ds)
            if not boxes:
                return ds, found
            if not self._options.mask:
                raise BurnedIn("there may be text in the pixels: --mask, or leave it out")
            boxes, found = [masking.grown(box, ds) for box in boxes], True
            masking.refuse_too_much(boxes, ds)
            ds = self._mask(ds, boxes)
        if self._look(ds):
            raise BurnedIn("what may be text in the pixels could not be masked")
        return ds, found

    def _look(self, ds: Dataset) -> list[Box]:
        data = part10(ds, self.transfer_syntax_uid)
        count = frames_of(ds)
        frames = range(count) if count <= MOST_LOOKS else range(0, count, -(-count // MOST_LOOKS))
        self.looked = len(frames) == count
        found = (find_lettering(decode(data, frame, self._options.limits).pixels) for frame in frames)
        return list(dict.fromkeys(box for boxes in found for box in boxes))

    def _mask(self, ds: Dataset, boxes: "list[Box] | tuple[Box, ...]") -> Dataset:
        if UID(self.transfer_syntax_uid).is_encapsulated:
            ds = decompressed(part10(ds, self.transfer_syntax_uid), self._options.limits)
            self.transfer_syntax_uid = EXPLICIT_LITTLE
        masking.black_out(ds, self.transfer_syntax_uid, boxes)
        self.masked = True
        return ds


def _is_suspect(ds: Dataset) -> bool:
    return str(ds.get("Modality", "")) in SUSPECT or _CAPTURE in UID(str(ds.SOPClassUID)).name
