"""The search of a finished file: read back whole, from its bytes, by other code than cleaned it.

One hit and the whole file is held back. A hit is told by its rule and its attribute, never by its value.
"""

from dataclasses import dataclass, field
from typing import Final

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from integrations.deidentify import marks
from integrations.deidentify.needles import Needles
from integrations.deidentify.patterns import looks_like
from integrations.deidentify.pseudonyms import Pseudonyms, shifted
from integrations.deidentify.reading import FREE_TEXT, every_element, texts_of
from integrations.deidentify.refusals import Leaked
from integrations.deidentify.vocabulary import is_standard_uid, is_term, meanings
from radloop.domain.errors import Rejected
from radloop.pixels import Limits, split
from radloop.pixels.elements import DEFLATED, elements
from radloop.pixels.part10 import parsing, read_with_pixels

_PREAMBLE: Final = 128
_META: Final = frozenset(range(0x00020000, 0x00020004)) | {0x00020010, 0x00020012, 0x00020013}
_TIMES: Final = frozenset("0123456789.")
_NUMBERS: Final = frozenset("0123456789.+-eE")
_CODE_TEXTS: Final = frozenset({"CodeValue", "CodingSchemeDesignator", "CodeMeaning"})
_DUMMY: Final = "REMOVED"


@dataclass(frozen=True, slots=True)
class Expected:
    """What may stand in an output because we put it there: pseudonyms, moved dates, our marks."""

    needles: Needles
    patient: str
    uids: frozenset[str]
    dates: frozenset[str]
    texts: frozenset[str] = field(
        default=frozenset({_DUMMY, marks.METHOD, "ISO_IR 192", "MODIFIED", "RADLOOP_DEID", marks.IMPLEMENTATION_UID})
    )


def expected(keys: Pseudonyms, patient: str, needles: Needles) -> Expected:
    """Derived anew from the input's own values, not told by the cleaning."""
    days = keys.days(patient)
    moved = (shifted(date, days) for date in needles.dates)
    return Expected(
        needles=needles,
        patient=patient,
        uids=frozenset(keys.uid(uid) for uid in needles.uids),
        dates=frozenset(date for date in moved if date),
    )


def search(data: bytes, may: Expected, limits: Limits) -> None:
    """Read a whole Part 10 file and stop at the first thing that identifies.

    Raises:
        Leaked: something does, or the file cannot be read back to its last byte.
    """
    _search_frame(data, limits)
    for element, is_code in _read_back(data, limits):
        if why := _judge(element, may, is_code=is_code):
            name = keyword_for_tag(element.tag) or "an attribute without a name"
            raise Leaked(f"the finished file holds {why} ({name})")
    _search_bytes(data, may)


def _read_back(data: bytes, limits: Limits) -> list[tuple[DataElement, bool]]:
    """Every element of the file meta and the data set, nested ones too, and whether it is a code of the standard."""
    try:
        ds = read_with_pixels(data, limits)
        with parsing():
            _decode_all(ds)
            codes = _code_texts(ds, limits)
            both = (*every_element(ds.file_meta, limits), *every_element(ds, limits))
            return [(element, id(element) in codes) for element in both]
    except Rejected as error:
        raise Leaked(f"the finished file cannot be read back ({error.code})") from None


def _search_frame(data: bytes, limits: Limits) -> None:
    """Preamble, file meta, and that the data set ends where the file does."""
    if any(data[:_PREAMBLE]):
        raise Leaked("the finished file has a preamble")
    try:
        file = split(data)
        if file.transfer_syntax_uid in DEFLATED:
            raise Leaked("the finished file is deflated")
        end = 0
        for element in elements(file.dataset, file.transfer_syntax_uid, limits):
            end = element.start + element.length
    except Rejected as error:
        if isinstance(error, Leaked):
            raise
        raise Leaked(f"the finished file cannot be read back ({error.code})") from None
    if end != len(file.dataset):
        raise Leaked("something follows the data set of the finished file")


def _search_bytes(data: bytes, may: Expected) -> None:
    """Names and identifiers anywhere at all: in pixels, in a comment of a codec, between elements.

    What our own marks say is in every file: a hospital of that name cannot be told from them here.
    """
    ours = " ".join(may.texts).casefold().encode()
    if any(one in data for one in may.needles.in_bytes() if one.lower() not in ours):
        raise Leaked("the finished file holds an identifier in its bytes")


def _decode_all(ds: Dataset) -> None:
    """Decode everything: what could not be decoded would be passed over, and so not be searched."""
    waiting = [ds]
    while waiting:
        for element in waiting.pop():
            waiting.extend(element.value if element.VR == "SQ" else ())


def _code_texts(ds: Dataset, limits: Limits) -> frozenset[int]:
    """The elements (by identity) of coded entries that PS3.16 lists: their text is the standard's."""
    known: set[int] = set()
    for sequence in every_element(ds, limits):
        for item in sequence.value if sequence.VR == "SQ" else ():
            code = tuple(str(item.get(keyword, "")) for keyword in ("CodingSchemeDesignator", "CodeValue"))
            if str(item.get("CodeMeaning", "")) == meanings().get((code[0], code[1]), "\0")[:64]:
                known.update(id(item[keyword]) for keyword in _CODE_TEXTS)
    return frozenset(known)


def _judge(element: DataElement, may: Expected, *, is_code: bool) -> str | None:
    tag, vr = element.tag, element.VR
    if tag.group == 0x0002:
        ours = tag.element == 0 or all(_is_ours(text, may) for text in texts_of(element))
        return None if int(tag) in _META and ours else "a file meta that is not ours"
    if tag.is_private or vr == "UN" or not keyword_for_tag(tag):
        return "a private or unknown attribute"
    if tag.group & 0xFF00 in (0x5000, 0x6000):
        return "a curve or an overlay"
    if is_code:
        return None
    return next((why for text in texts_of(element) if (why := _judge_text(vr, text, may))), None)


def _is_ours(text: str, may: Expected) -> bool:
    return text in may.texts or text in may.uids or is_standard_uid(text)


def _judge_text(vr: str, text: str, may: Expected) -> str | None:
    if vr in _FIXED:
        return _FIXED[vr](text, may)
    if text in may.texts or text == may.patient:
        return None
    if vr in FREE_TEXT:
        return may.needles.in_text(text) or looks_like(text)
    return {"CS": _judge_term, "DS": _judge_number, "IS": _judge_number, "PN": _judge_name}.get(vr, _pass)(text, may)


def _judge_uid(text: str, may: Expected) -> str | None:
    return None if is_standard_uid(text) or text in may.uids else "a UID that is not the project's"


def _judge_date(text: str, may: Expected) -> str | None:
    return None if text[:8] in may.dates and set(text) <= _TIMES else "a date that was not moved"


def _judge_time(text: str, may: Expected) -> str | None:
    return None if set(text) <= _TIMES and not may.needles.in_number(text) else "no time of day"


def _judge_age(text: str, _may: Expected) -> str | None:
    return None if text.endswith(("D", "W", "M")) or text <= "090Y" else "an age above 89"


def _judge_term(text: str, may: Expected) -> str | None:
    return None if is_term(text) and not may.needles.in_term(text) else "a code that is no term"


def _judge_number(text: str, may: Expected) -> str | None:
    return None if set(text) <= _NUMBERS and not may.needles.in_number(text) else "no number, or an identifier"


def _judge_name(_text: str, _may: Expected) -> str | None:
    return "a name"


def _pass(_text: str, _may: Expected) -> str | None:
    return None


_FIXED: Final = {"UI": _judge_uid, "DA": _judge_date, "DT": _judge_date, "TM": _judge_time, "AS": _judge_age}
