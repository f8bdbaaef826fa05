"""From an image's header to what a reader calls the study by: patient data, for the ledger alone."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from pydicom import Dataset
from pydicom.multival import MultiValue

from radloop.ledger.study_headers import StudyHeader

LONGEST_NAME: Final = 128
LONGEST_DESCRIPTION: Final = 128
SEXES: Final = frozenset("MFO")
DATE: Final = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")


def header_of(images: Iterable[Dataset]) -> StudyHeader | None:
    """What the images say, the last one that says a thing deciding; None where there is no image."""
    found = [_header(ds) for ds in images]
    if not found:
        return None
    return StudyHeader(
        patient_name=_last(one.patient_name for one in found),
        birth_date=_last(one.birth_date for one in found),
        sex=_last(one.sex for one in found),
        study_date=_last(one.study_date for one in found),
        description=_last(one.description for one in found),
    )


def name_for_people(name: str) -> str:
    """A PN value (PS3.5 6.2.1.1) as people write it: `CURIE^Marie^^Dr` is `CURIE, Marie (Dr)`.

    The alphabetic group counts; where it is empty, the ideographic and then the phonetic one does.
    """
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    family, given, middle, prefix, suffix = [*map(_clean, group.split("^")), "", "", "", "", ""][:5]
    first = " ".join(part for part in (given, middle) if part)
    titles = ", ".join(part for part in (prefix, suffix) if part)
    called = ", ".join(part for part in (family, first) if part)
    return f"{called} ({titles})".strip()[:LONGEST_NAME] if titles else called[:LONGEST_NAME]


def _header(ds: Dataset) -> StudyHeader:
    sex = _text(ds, "PatientSex").upper()
    return StudyHeader(
        patient_name=name_for_people(_raw(ds, "PatientName")),
        birth_date=_date(ds, "PatientBirthDate"),
        sex=sex if sex in SEXES else "",
        study_date=_date(ds, "StudyDate"),
        description=(_text(ds, "StudyDescription") or _text(ds, "SeriesDescription"))[:LONGEST_DESCRIPTION],
    )


def _raw(ds: Dataset, keyword: str) -> str:
    """The first value, whatever it is; a text that no character set explains is replaced, not refused."""
    value = ds.get(keyword)
    first = (value[0] if value else None) if isinstance(value, MultiValue) else value
    return "" if first is None else str(first)


def _text(ds: Dataset, keyword: str) -> str:
    return _clean(_raw(ds, keyword))


def _clean(text: str) -> str:
    """One line that every database keeps and every page shows: no control, no direction, no lone surrogate."""
    kept = (" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    return " ".join("".join(kept).split())


def _date(ds: Dataset, keyword: str) -> str:
    """Eight digits (DA, PS3.5 6.2; with dots or hyphens as older devices write it), or ''."""
    found = DATE.fullmatch(_text(ds, keyword))
    return "".join(found.groups()) if found else ""


def _last(values: Iterable[str]) -> str:
    return next((value for value in reversed(list(values)) if value), "")
