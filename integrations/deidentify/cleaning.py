"""The walk: a new data set is made of what may go out; nothing is left in it because nobody thought of it.

PS3.15 Annex E: Basic Application Level Confidentiality Profile with Retain Longitudinal Temporal Information with
Modified Dates, part of Retain Patient Characteristics, and on request Clean Descriptors.
"""

import re
from collections.abc import Callable
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_is_retired, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from integrations.deidentify import table as rules
from integrations.deidentify.needles import Needles
from integrations.deidentify.options import Options
from integrations.deidentify.patterns import looks_like
from integrations.deidentify.pseudonyms import Pseudonyms, shifted
from integrations.deidentify.reading import FREE_TEXT, elements_of, texts_of
from integrations.deidentify.table import Action
from integrations.deidentify.vocabulary import cleaned, is_standard_uid, is_term, meanings
from radloop.pixels.limits import refuse_above

DUMMY: Final = "REMOVED"
OLDEST: Final = 89
"""Years; 45 CFR 164.514(b)(2)(i)(C) gathers all ages above."""
_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_AGE: Final = re.compile(r"(\d{3})([DWMY])")
_SEXES: Final = ("M", "F", "O")
_AGE_TAG, _SEX_TAG = (next(iter(rules.tags(keyword))) for keyword in ("PatientAge", "PatientSex"))
_MEASURES: Final = rules.tags("PatientSize", "PatientWeight")
_EMPTIED: Final = rules.tags(*rules.EMPTIED_TIMES)
# Code Strings that a person chooses, and that may not be empty (PS3.3 Table 10-12).
_LABELS: Final = rules.tags("ContentLabel")
_CODE_KEYWORDS: Final = ("CodeValue", "LongCodeValue", "URNCodeValue")
_CODE_TAGS: Final = rules.tags(*_CODE_KEYWORDS, "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")


class Cleaner:
    """Cleans one data set. `kept` are the free texts that it let through, for a person to read.

    Args:
        days: by how much the patient's dates move back.
    """

    def __init__(self, keys: Pseudonyms, days: int, needles: Needles, options: Options) -> None:
        self._keys = keys
        self._days = days
        self._needles = needles
        self._options = options
        self._seen = 0
        self.kept: set[str] = set()

    def dataset(self, ds: Dataset, depth: int = 0) -> Dataset:
        """What may go out of a data set.

        Raises:
            TooLarge: more elements, or deeper sequences, than the limits allow.
        """
        refuse_above(depth, self._options.limits.depth, "depth of sequences")
        out = Dataset()
        for element in elements_of(ds):
            self._seen += 1
            refuse_above(self._seen, self._options.limits.elements, "elements in the data set")
            if may_be_read(element) and (new := self._element(element, depth)) is not None:
                out.add(new)
        return out

    def _element(self, element: DataElement, depth: int) -> DataElement | None:
        action = rules.table().get(int(element.tag))
        if element.VR == "SQ":
            return self._sequence(element, action, depth)
        if element.tag in (_AGE_TAG, _SEX_TAG) or element.tag in _MEASURES:
            return _characteristic(element)
        if rule := self._by_vr(element.VR):
            return rule(element, action)
        if action is not None or (depth and element.tag in rules.PIXELS):
            return None
        return _same(element) if element.tag in rules.BULK or element.VR in _BINARY else None

    def _by_vr(self, vr: str) -> "Callable[[DataElement, Action | None], DataElement | None] | None":
        if vr in FREE_TEXT:
            return self.text
        return {
            "PN": self.person,
            "UI": self.uid,
            "DA": self.moment,
            "DT": self.moment,
            "TM": self.time,
            "CS": self.term,
            "DS": self.number,
            "IS": self.number,
        }.get(vr)

    def text(self, element: DataElement, action: Action | None) -> DataElement | None:
        """Free text: what the table says; of the rest only lists (`TECHNICAL`, `DESCRIPTORS`)."""
        if element.tag in rules.DESCRIPTORS and self._options.keep_descriptors:
            return _with(element, self._descriptor(element) or DUMMY)
        if element.tag in rules.TECHNICAL:
            return _with(element, [self._technical(text) for text in texts_of(element)])
        if action is Action.REMOVE or (action is None and dictionary_is_retired(element.tag)):
            return None
        if action is Action.EMPTY or not texts_of(element):
            return _with(element, "")
        return None if element.VR == "UR" else _with(element, DUMMY)

    def person(self, element: DataElement, action: Action | None) -> DataElement | None:
        """No name goes out. PS3.3 asks for some of the attributes, empty."""
        if action is Action.REMOVE:
            return None
        return _with(element, DUMMY if action is Action.DUMMY else "")

    def uid(self, element: DataElement, action: Action | None) -> DataElement | None:
        """UIDs of the standard stay; every other one becomes the project's."""
        if action is Action.REMOVE:
            return None
        return _with(element, [uid if is_standard_uid(uid) else self._keys.uid(uid) for uid in texts_of(element)])

    def moment(self, element: DataElement, _action: Action | None) -> DataElement | None:
        """Dates move back by the patient's days: intervals stay, whatever the Basic Profile says (PS3.15 E.3.6)."""
        if element.tag in _EMPTIED:
            return _with(element, "")
        return _with(element, [shifted(text, self._days) or "" for text in texts_of(element)])

    def time(self, element: DataElement, _action: Action | None) -> DataElement | None:
        """Times of day stay, but for that of birth: without the date they name nobody, and intervals need them."""
        if element.tag in _EMPTIED:
            return _with(element, "")
        return _with(element, [text if _TIME.fullmatch(text) else "" for text in texts_of(element)])

    def term(self, element: DataElement, action: Action | None) -> DataElement | None:
        """Code Strings stay where they are words of the standard."""
        if action is Action.REMOVE:
            return None
        if action is not None:
            return _with(element, "" if action is Action.EMPTY else DUMMY)
        other = DUMMY if element.tag in _LABELS else ""
        return _with(element, [text if self._is_safe_term(text) else other for text in texts_of(element)])

    def number(self, element: DataElement, action: Action | None) -> DataElement | None:
        """Numbers as text stay where they are numbers, and none that identifies."""
        if action is not None:
            return None
        texts = texts_of(element)
        safe = all(_is_number(text) and not self._needles.in_number(text) for text in texts)
        return _same(element) if safe else None

    def _sequence(self, element: DataElement, action: Action | None, depth: int) -> DataElement | None:
        if action in (Action.REMOVE, Action.DUMMY):
            return None
        if action is Action.EMPTY:
            return DataElement(element.tag, "SQ", Sequence())
        items = [new for item in element.value if (new := self._item(item, depth)) is not None]
        # An item that became empty says nothing, but where every item did, the order of frames would be lost.
        return DataElement(element.tag, "SQ", Sequence(items)) if items or not element.value else None

    def _item(self, item: Dataset, depth: int) -> Dataset | None:
        if not any(keyword in item for keyword in (*_CODE_KEYWORDS, "CodeMeaning")):
            return self.dataset(item, depth + 1)
        code, scheme = (str(item.get(keyword, "")).strip() for keyword in ("CodeValue", "CodingSchemeDesignator"))
        meaning = meanings().get((scheme, code))
        if meaning is None:
            return None
        rest = Dataset()
        rest.update({element.tag: element for element in elements_of(item) if element.tag not in _CODE_TAGS})
        new = self.dataset(rest, depth + 1)
        new.CodeValue, new.CodingSchemeDesignator, new.CodeMeaning = code, scheme, meaning[:64]
        return new

    def _is_safe_term(self, text: str) -> bool:
        return is_term(text) and not self._needles.in_term(text)

    def _technical(self, text: str) -> str:
        if self._needles.in_text(text) or looks_like(text):
            return DUMMY
        self.kept.add(text)
        return text

    def _descriptor(self, element: DataElement) -> str:
        words = [word for word in cleaned(" ".join(texts_of(element))).split() if not self._needles.in_text(word)]
        text = " ".join(words)
        if not text or looks_like(text) or self._needles.in_text(text):
            return ""
        self.kept.add(text)
        return text


_BINARY: Final = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"})


def may_be_read(element: DataElement) -> bool:
    """Whether an element is one of the standard, in the VR that the standard gives it."""
    tag = element.tag
    if rules.outside(tag) or tag in rules.OURS or not dictionary_has_tag(tag):
        return False
    return set(element.VR.split(" or ")) <= set(dictionary_VR(tag).split(" or "))


def _with(element: DataElement, value: str | list[str]) -> DataElement:
    """The element with another value; a list of one is that one."""
    single = (value[0] if value else "") if isinstance(value, list) and len(value) < 2 else value
    return DataElement(BaseTag(element.tag), element.VR, single)


def _same(element: DataElement) -> DataElement:
    """A copy: the input is left as it was, whatever becomes of the output."""
    return DataElement(BaseTag(element.tag), element.VR, element.value, already_converted=True)


def _characteristic(element: DataElement) -> DataElement | None:
    (text,) = texts_of(element)[:1] or ("",)
    if element.tag == _SEX_TAG:
        return _with(element, text if text in _SEXES else "")
    if element.tag == _AGE_TAG:
        return _with(element, age) if (age := capped(text)) else None
    return _same(element) if _is_number(text) else None


def capped(age: str) -> str:
    """An Age String (AS), 090Y for whoever is older than 89; '' where it is none."""
    if not (found := _AGE.fullmatch(age)):
        return ""
    return f"{OLDEST + 1:03}Y" if found[2] == "Y" and int(found[1]) > OLDEST else age


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
