"""Reading an input's elements one by one: what cannot be decoded is passed over, so it is never copied."""

from collections.abc import Iterator
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from radloop.pixels import Limits
from radloop.pixels.limits import refuse_above
from radloop.pixels.part10 import PARSER_FAILURES

# PS3.5 6.2: VRs whose value a person may have typed.
FREE_TEXT: Final = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})


def elements_of(ds: Dataset) -> Iterator[DataElement]:
    """The elements of one level that can be decoded, in the order of their tags."""
    for tag in sorted(ds.keys()):
        try:
            element = ds[tag]
        except PARSER_FAILURES:
            continue
        if isinstance(element, DataElement):
            yield element


def every_element(ds: Dataset, limits: Limits) -> Iterator[DataElement]:
    """The elements of all levels; a sequence comes before what is in it.

    Raises:
        TooLarge: more elements, or deeper sequences, than the limits allow.
    """
    waiting, seen = [(ds, 0)], 0
    while waiting:
        level, depth = waiting.pop()
        refuse_above(depth, limits.depth, "depth of sequences")
        for element in elements_of(level):
            seen += 1
            refuse_above(seen, limits.elements, "elements in the data set")
            yield element
            if element.VR == "SQ":
                waiting.extend((item, depth + 1) for item in element.value)


def texts_of(element: DataElement) -> list[str]:
    """The values of an element as text, padding cut off; none of a sequence or of bytes."""
    value = element.value
    if value is None or element.VR == "SQ" or isinstance(value, bytes | bytearray):
        return []
    values = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [text for one in values if (text := str(one).strip("\0 \r\n\t"))]
