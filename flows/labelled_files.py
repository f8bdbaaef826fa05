"""An outside labelled set: a table that names DICOM files and says what is in them.

Columns: `file` and `label`; where there are any, also `patient`, `site`, `scanner`, `sex`, `age`, `split`, `reader` and
`awareness`. What the table does not say of the acquisition is read from the header.
"""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydicom import Dataset

from flows.acquisitions import acquisition
from flows.guards import Reason
from models.spec import ModelSpec
from radloop.domain.enums import Awareness, Split
from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.learning import Facts, Label
from radloop.domain.records import Blob, Instance, InstanceHeader
from radloop.ledger.copies import IMPORTED
from radloop.pixels import Limits, parse_identity, read_header, split

Word = TypeVar("Word", Split, Awareness)
READER: Final = "import"
ABSENT: Final = frozenset(("0", "no", "false", "negative", "absent", "normal", "healthy", "no-finding", "no finding"))
PRESENT: Final = frozenset(("1", "yes", "true", "positive", "present"))
LARGEST: Final = Limits().file
AGES: Final = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (150, "80+"))
"""Below which age, in years, which band."""
SEXES: Final = frozenset("FMO")
"""Patient's Sex (0010,0040), PS3.3 C.7.1.1."""
LONGEST_TEXT: Final = 64
DAYS: Final[Mapping[str, float]] = {"D": 1, "W": 7, "M": 30.4375, "Y": 365.25}
"""The units of an Age String, PS3.5 6.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    path: Path
    label: Label | None
    wanted: Split | None
    patient: str
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFile:
    """A file that can be taken in. `patient_id` and `issuer` are patient data."""

    path: Path
    data: bytes
    content_sha256: str
    patient_id: str
    issuer: str
    label: Label
    wanted: Split | None
    facts: Facts


def read_table(folder: Path, table: Path, spec: ModelSpec, site: str) -> tuple[Row, ...]:
    """The lines of a table of labels for the model's target.

    Raises:
        Unparsable: there is no such table, or it has no columns `file` and `label`.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if not {"file", "label"} <= set(reader.fieldnames or ()):
                raise Unparsable("the table of labels has no columns `file` and `label`")
            return tuple(_row(folder, line, spec, site) for line in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unparsable(f"the table of labels cannot be read ({type(error).__name__})") from None


def read_file(row: Row, spec: ModelSpec, folder: Path) -> LabelledFile | Reason:
    """One file of the table with its header's facts; or why it is left where it is."""
    if row.label is None:
        return Reason.NO_LABEL
    try:
        data = _bytes(row.path, folder)
        file = split(data)
        identity = parse_identity(file.dataset, file.transfer_syntax_uid)
        ds = read_header(data)
    except (OSError, Rejected):
        return Reason.UNREADABLE
    if spec.unreadable(acquisition(_instance(identity), ds)):
        return Reason.OUTSIDE
    content = hashlib.sha256(file.dataset).hexdigest()
    return LabelledFile(
        path=row.path,
        data=data,
        content_sha256=content,
        # Where nobody says whose image it is, it is its own patient's.
        patient_id=row.patient or identity.patient_id or f"image-{content[:32]}",
        issuer=identity.issuer,
        label=row.label,
        wanted=row.wanted,
        facts=merged(row.facts, header_says(ds)),
    )


def header_says(ds: Dataset) -> Facts:
    """What subgroups are made of, as a header has it. Its institution is left alone: that is text about the patient."""
    return Facts(
        scanner=_text(ds, "ManufacturerModelName") or _text(ds, "StationName"),
        sex=_sex(_text(ds, "PatientSex")),
        age_band=age_band(_text(ds, "PatientAge")) or _age_at_study(ds),
    )


def merged(said: Facts, header: Facts) -> Facts:
    """What is said, and where nothing is, what the header has."""
    return Facts(
        site=said.site or header.site,
        scanner=said.scanner or header.scanner,
        sex=said.sex or header.sex,
        age_band=said.age_band or header.age_band,
    )


def age_band(text: str) -> str:
    """The band of an age in years (`61`) or of a DICOM Age String (`061Y`, `010M`); '' where it is neither."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in DAYS else (text, "Y")
    try:
        years = float(number) * DAYS[unit] / DAYS["Y"]
    except ValueError:
        return ""
    return next((band for end, band in AGES if 0 <= years < end), "")


def _row(folder: Path, line: Mapping[str, str | None], spec: ModelSpec, site: str) -> Row:
    cell = {name: (value or "").strip() for name, value in line.items() if isinstance(name, str) and _is_text(value)}
    facts = Facts(
        site=_short(cell.get("site", "")) or site,
        scanner=_short(cell.get("scanner", "")),
        sex=_sex(cell.get("sex", "")),
        age_band=age_band(cell.get("age", "")),
    )
    return Row(
        path=folder / cell.get("file", ""),
        label=_label(cell, spec),
        wanted=_member(Split, cell.get("split", "")),
        patient=cell.get("patient", ""),
        facts=facts,
    )


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _label(cell: Mapping[str, str], spec: ModelSpec) -> Label | None:
    """None where the word is neither the target nor its absence: another finding is never guessed to be one."""
    target, word = spec.targets[0].name, cell.get("label", "").casefold()
    value = 1 if word == target.casefold() or word in PRESENT else 0 if word in ABSENT else None
    awareness = _member(Awareness, cell.get("awareness", "")) or Awareness.BLINDED
    reader = _short(cell.get("reader", "")) or READER
    if value is None:
        return None
    return Label(target=target, value=value, reader=reader, awareness=awareness, origin=IMPORTED)


def _member(kind: type[Word], word: str) -> Word | None:
    return next((member for member in kind if member == word.upper().replace("-", "_")), None)


def _bytes(path: Path, folder: Path) -> bytes:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Unparsable("the table names a file outside its folder")
    if path.stat().st_size > LARGEST:
        raise TooLarge("the file is larger than any we take")
    return path.read_bytes()


def _instance(header: InstanceHeader) -> Instance:
    return Instance(id="", version_id="", header=header, blob=Blob("", "", 0), peer=IMPORTED, received_at=utc_now())


def _age_at_study(ds: Dataset) -> str:
    born, seen = _text(ds, "PatientBirthDate"), _text(ds, "StudyDate")
    if not (born.isdigit() and seen.isdigit() and len(born) == len(seen) == 8):
        return ""
    # Dates as YYYYMMDD, so that the difference, in units of 10000, is the age in whole years.
    return age_band(str((int(seen) - int(born)) // 10_000))


def _sex(word: str) -> str:
    letter = word[:1].upper()
    return letter if letter in SEXES else ""


def _text(ds: Dataset, keyword: str) -> str:
    return _short(str(ds.get(keyword) or ""))


def _short(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable()).strip()[:LONGEST_TEXT]
