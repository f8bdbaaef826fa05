"""Words that the standard itself uses: what is made of them alone says nothing about a person.

Two sources: what pydicom holds of PS3.16 (coded concepts and their meanings) and of PS3.6 (names of attributes), and
`terms.txt`, defined terms of PS3.3 and of common vendors that stand in neither.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final, cast

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

_WORD: Final = re.compile(r"[A-Za-z]+|[0-9]+")
_CAMEL: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
# A word that cannot carry a name or a number of a person: T1, 3D, SAT2, 5MM, 120.
_SHORT: Final = re.compile(r"[A-Za-z]{0,2}|[A-Za-z]{0,3}[0-9]{1,3}[A-Za-z]{0,2}")
_DESCRIPTOR_WORD: Final = re.compile(r"[^\s^,;/\\()\[\]<>=:*&_-]+")


_Codes = dict[str, dict[str, dict[str, tuple[str, list[int]]]]]
_CONCEPTS: Final = cast(_Codes, concepts)
"""Scheme, keyword, code: the meaning, and the context groups that it is in."""


@lru_cache(maxsize=1)
def words() -> frozenset[str]:
    """Every word, in lower case."""
    return frozenset(word.lower() for word in _all_words() if len(word) > 1)


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is registered in PS3.6 Annex A: it names a class or a syntax, never an instance."""
    return uid in UID_dictionary


def is_term(value: str) -> bool:
    """Whether a Code String (CS) is made of words of the standard alone."""
    parts = re.split(r"[ _]+", value.strip())
    return all(_known(part) for part in parts)


def cleaned(text: str) -> str:
    """A descriptor with only those words left that the standard uses, and short numbers."""
    return " ".join(word for word in _DESCRIPTOR_WORD.findall(text) if _known(word.strip(".")))


@lru_cache(maxsize=1)
def meanings() -> dict[tuple[str, str], str]:
    """(coding scheme designator, code value) to the meaning, as PS3.16 has it. SRT is SNOMED's former style."""
    known = {
        (scheme, code): meaning
        for scheme, keywords in _CONCEPTS.items()
        for codes in keywords.values()
        for code, (meaning, _) in codes.items()
    }
    former = {
        (designator, old): known["SCT", new]
        for designator in ("SRT", "SNM3")
        for old, new in mapping["SRT"].items()
        if ("SCT", new) in known
    }
    return known | former


def _known(word: str) -> bool:
    return word.lower() in words() or _SHORT.fullmatch(word) is not None


def _all_words() -> Iterator[str]:
    for text in meanings().values():
        yield from _WORD.findall(text)
    for keywords in _CONCEPTS.values():
        yield from _camel(keywords)
        yield from (code for codes in keywords.values() for code in codes if code.isalpha())
    yield from _camel(entry[4] for entry in DicomDictionary.values())
    yield from files(__package__).joinpath("terms.txt").read_text(encoding="ascii").split()


def _camel(keywords: Iterable[str]) -> Iterator[str]:
    for keyword in keywords:
        yield from _CAMEL.findall(keyword)
