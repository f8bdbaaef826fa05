"""What identifies in an input: collected before anything is cleaned, searched for in what was made of it."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from integrations.deidentify.reading import FREE_TEXT, every_element, texts_of
from integrations.deidentify.table import DESCRIPTORS, TECHNICAL, table, tags
from integrations.deidentify.vocabulary import is_term, words
from radloop.pixels import Limits

_IDENTIFIERS: Final = tags(
    "AccessionNumber", "AdmissionID", "DeviceSerialNumber", "FillerOrderNumberImagingServiceRequest",
    "OtherPatientIDs", "PatientID", "PatientTelephoneNumbers", "PerformedProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID", "ScheduledProcedureStepID", "ServiceEpisodeID",
    "StudyID",
)  # fmt: skip
_PLACES: Final = tags(
    "CountryOfResidence", "InstitutionAddress", "InstitutionName", "InstitutionalDepartmentName", "IssuerOfPatientID",
    "MilitaryRank", "Occupation", "PatientAddress", "PatientReligiousPreference", "RegionOfResidence",
    "RequestingService", "StationName",
)  # fmt: skip
_BREAKS: Final = re.compile(r"[\W_]+")
_SHORTEST_PART: Final = 2
_SHORTEST_WORD: Final = 4
_SHORTEST_INSIDE: Final = 5
_SHORTEST_PHRASE: Final = 6
# Ten digits in a row are met by chance once in a hundred million UIDs of ours; six are met every day.
_SHORTEST_NUMBER_IN_BYTES: Final = 10


@dataclass(frozen=True, slots=True, repr=False)
class Needles:
    """Patient data: never shown. All text is casefolded.

    `words` are parts of names, `exact` identifiers, `phrases` whole texts that were taken out, `dates` YYYYMMDD, and
    `uids` the original UIDs.
    """

    words: frozenset[str]
    exact: frozenset[str]
    phrases: frozenset[str]
    dates: frozenset[str]
    uids: frozenset[str]

    def in_text(self, text: str) -> str | None:
        """What of these a free text holds, in general words; None where it holds nothing."""
        folded = f"{text.casefold()}\n{plain(text)}"
        found = frozenset(_split(folded))
        if found & self.words:
            return "a part of a name"
        if any(_holds(folded, found, one) for one in self.exact):
            return "an identifier"
        if any(one in folded for one in self.phrases):
            return "a text that was taken out"
        return "a date" if any(one in folded for one in self.dates) else None

    def in_term(self, value: str) -> bool:
        """Whether a Code String is, or holds, a name or an identifier. Three letters are too few to tell."""
        folded = value.casefold()
        parts = {part for part in (*_split(folded), folded) if len(part) >= _SHORTEST_WORD}
        return bool(parts & (self.words | self.exact))

    def in_number(self, text: str) -> bool:
        """Whether a number as text (DS, IS) is an identifier."""
        return len(text) >= _SHORTEST_PHRASE and text.casefold() in self.exact

    def in_bytes(self) -> tuple[bytes, ...]:
        """The byte strings to search a whole file for: what is long enough to be met there by no chance."""
        long = [one for one in (*self.words, *self.exact) if _is_long(one)]
        forms = {form for one in long for form in (one, one.upper(), one.title())}
        encoded = {form.encode(codec, "ignore") for form in forms for codec in ("utf-8", "latin-1", "utf-16-le")}
        return tuple(sorted(one for one in encoded if len(one) >= _SHORTEST_PHRASE))


def collect(ds: Dataset, limits: Limits) -> Needles:
    """Everything in a data set, nested and private too, that must not be met in what is made of it.

    Raises:
        TooLarge: as `every_element`.
    """
    found: dict[str, set[str]] = {name: set() for name in Needles.__slots__}
    for element in every_element(ds, limits):
        for text in texts_of(element):
            _sort(found, element, text)
    return Needles(**{name: frozenset(values) for name, values in found.items()})


def plain(text: str) -> str:
    """Without accents and case, as a device without them writes a name: Müller as muller."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def _sort(found: dict[str, set[str]], element: DataElement, text: str) -> None:
    folded, vr, tag = text.casefold(), element.VR, int(element.tag)
    if vr == "PN":
        found["words"].update(_parts(f"{folded} {plain(text)}", _SHORTEST_PART))
    elif vr == "UI":
        found["uids"].add(text)
    elif vr in ("DA", "DT"):
        found["dates"].update(re.findall(r"^\d{8}", text.replace(".", "", 2) if text[4:5] == "." else text))
    elif tag in _IDENTIFIERS:
        found["exact"].add(folded)
    elif tag in _PLACES:
        found["words"].update(one for one in _parts(folded, _SHORTEST_WORD) if one not in words())
    if vr in FREE_TEXT and tag in table() and tag not in DESCRIPTORS | TECHNICAL:
        found["exact"].update(one for one in _split(folded) if len(one) >= _SHORTEST_INSIDE and _mixed(one))
        if len(folded) >= _SHORTEST_PHRASE and not is_term(text):
            found["phrases"].add(folded)


def _parts(folded: str, shortest: int) -> Iterable[str]:
    return (part for part in _split(folded) if len(part) >= shortest and not part.isdigit())


def _split(folded: str) -> list[str]:
    return [part for part in _BREAKS.split(folded) if part]


def _mixed(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def _holds(folded: str, found: frozenset[str], one: str) -> bool:
    return one in folded if len(one) >= _SHORTEST_INSIDE else one in found


def _is_long(one: str) -> bool:
    if one.isdigit():
        return len(one) >= _SHORTEST_NUMBER_IN_BYTES
    return len(one) >= _SHORTEST_PHRASE and not is_term(one)
