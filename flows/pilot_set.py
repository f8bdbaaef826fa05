"""The folder of a pilot set: opaque files, `manifest.csv` and `texts.csv`. Everything in it may leave the hospital."""

import csv
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from integrations.deidentify import Released
from integrations.deidentify.patterns import looks_like
from radloop.domain.errors import DuplicateConflict, Rejected, SettingsError, StorageFull, Unparsable

LABELS: Final = "labels.csv"
MOST_LABELS: Final = 50
"""Different ones in a table: more are not classes but notes, and notes say who somebody is."""
LONGEST_LABEL: Final = 64
COLUMNS: Final = ("file", "patient", "study_uid", "series_uid", "sop_uid", "modality", "masked", "looked_at", "label")


class PilotSet:
    """One set in the making. A file is there whole or not at all; the tables come last.

    Raises:
        SettingsError: the folder is not empty.
        StorageFull: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[tuple[str, ...]] = []
        self._texts: Counter[str] = Counter()
        self._names: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise SettingsError("OUT: expected a folder that is empty or not there yet")
        except OSError as error:
            raise StorageFull(f"the output folder cannot be made: {error.strerror}") from error

    def add(self, one: Released, label: str) -> None:
        """Write one file.

        Raises:
            DuplicateConflict: the set has this instance already.
            StorageFull: no space, or an I/O error.
        """
        if one.file_name in self._names:
            raise DuplicateConflict("the instance is in the set already")
        self._write(one.file_name, one.data)
        self._names.add(one.file_name)
        self._texts.update(one.kept_texts)
        uids = (one.study_uid, one.series_uid, one.sop_uid)
        looks = ("yes" if one.masked else "no", "yes" if one.looked else "no")
        self._rows.append((one.file_name, one.patient, *uids, one.modality, *looks, label))

    def finish(self) -> None:
        """Write the tables; the rows in the order of the opaque names, which tells nothing of the input's.

        Raises:
            StorageFull: no space, or an I/O error.
        """
        self._write("manifest.csv", _table(COLUMNS, sorted(self._rows)))
        texts = sorted((text, str(files)) for text, files in self._texts.items())
        self._write("texts.csv", _table(("text", "files"), texts))

    def _write(self, name: str, data: bytes) -> None:
        path, temporary = self._folder / name, self._folder / f".{secrets.token_hex(8)}.part"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageFull(f"the set cannot be written: {error.strerror}") from error


def labels_of(folder: Path) -> Mapping[str, str]:
    """The `label` of each `file` of the folder's labels.csv; empty where there is none.

    Raises:
        Unparsable: the table cannot be read, or has no such columns.
        Rejected: the labels are no classes, or one looks like something that identifies.
    """
    path = folder / LABELS
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            found = {row["file"]: (row["label"] or "").strip() for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise Unparsable(f"labels.csv cannot be read ({type(error).__name__})") from None
    different = set(found.values())
    if len(different) > MOST_LABELS or any(len(label) > LONGEST_LABEL or looks_like(label) for label in different):
        raise Rejected("labels.csv: a label is no class of images, or looks like something that identifies")
    return found


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
