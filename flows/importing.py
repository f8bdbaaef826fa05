"""Taking in an outside labelled set: copies and labels of every file that can be read, a durable batch at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from flows.copying import Copier, Origin
from flows.guards import Reason
from flows.labelled_files import LabelledFile, Row, read_file
from radloop import audit
from radloop.domain.enums import Consent, Split
from radloop.domain.ids import utc_now
from radloop.domain.learning import TrainingCopy
from radloop.domain.records import AuditEvent
from radloop.ledger import consents as consent_rows
from radloop.ledger import copies as copy_rows
from radloop.ledger import patients as patient_rows

BATCH: Final = 32
"""Files that become durable together."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One file of an imported set, and why it was left where it is (None: it was taken in)."""

    path: Path
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Haul:
    """What came in: the split that each image was brought for, by content digest, and what was left by reason."""

    wanted: dict[str, Split | None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    read: set[tuple[str, str]] = field(default_factory=set)
    """Content digests with the reader who labelled them: a table may have a line for each of several readers."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledger knows of a batch: surrogate ids by (issuer, patient id), who has withdrawn, and the copies."""

    patients: Mapping[tuple[str, str], str]
    withdrawn: frozenset[str]
    copies: Mapping[str, TrainingCopy]


class Importer:
    """Takes in files for one model in the name of one actor."""

    def __init__(self, copying: Copier, actor: str, told: Callable[[Taken], None]) -> None:
        self._copying = copying
        self._actor = actor
        self._told = told

    def take_in(self, rows: Iterable[Row], folder: Path) -> Haul:
        """Every row in turn; none of them stops the others.

        Raises:
            Transient: ledger, store or decoder failed; what was taken in stays.
        """
        haul, rest = Haul(), iter(rows)
        reading = partial(read_file, spec=self._copying.spec, folder=folder)
        while batch := list(islice(rest, BATCH)):
            read = list(self._copying.threads.map(reading, batch))
            fates = self._fates([_once(haul, one) for one in read])
            for row, one, reason in zip(batch, read, fates, strict=True):
                if reason:
                    haul.left_out[reason] += 1
                elif isinstance(one, LabelledFile):
                    haul.wanted.setdefault(one.content_sha256, one.wanted)
                self._told(Taken(row.path, reason))
        return haul

    def _fates(self, read: Sequence[LabelledFile | Reason]) -> list[Reason | None]:
        """Copy the files of one batch and keep their labels; why each was left, or None."""
        files = {one.content_sha256: one for one in read if isinstance(one, LabelledFile)}
        held = self._held(list(files.values()))
        copies = self._copying.threads.map(partial(self._made, held=held), files.values())
        made = dict(zip(files, copies, strict=True))
        self._keep([one for one in read if isinstance(one, LabelledFile)], made)
        found = [made[one.content_sha256] if isinstance(one, LabelledFile) else one for one in read]
        return [one if isinstance(one, Reason) else None for one in found]

    def _held(self, files: Sequence[LabelledFile]) -> _Held:
        with self._copying.house.ledger.write() as conn:
            patients = {
                (one.issuer, one.patient_id): patient_rows.ensure(conn, one.patient_id, one.issuer) for one in files
            }
            gone = {p for p in patients.values() if consent_rows.current(conn, p) is Consent.WITHDRAWN}
            copies = copy_rows.known(conn, self._copying.spec.name, [one.content_sha256 for one in files])
            return _Held(patients, frozenset(gone), copies)

    def _made(self, one: LabelledFile, held: _Held) -> TrainingCopy | Reason:
        patient = held.patients[one.issuer, one.patient_id]
        known = held.copies.get(one.content_sha256)
        if patient in held.withdrawn or (known and known.patient in held.withdrawn):
            return Reason.NO_CONSENT
        if known is not None:
            return known
        return self._copying.copy(one.data, Origin(one.content_sha256, patient, one.facts))

    def _keep(self, files: Sequence[LabelledFile], made: Mapping[str, TrainingCopy | Reason]) -> None:
        copies = [copy for copy in made.values() if isinstance(copy, TrainingCopy)]
        with self._copying.house.ledger.write() as conn:
            added = sum(copy_rows.add(conn, copy) for copy in copies)
            here = [one for one in files if isinstance(made[one.content_sha256], TrainingCopy)]
            labelled = sum(self._label(conn, one) for one in here)
            if added or labelled:
                audit.append(conn, self._event(f"{added} training copies, {labelled} labels"))

    def _event(self, detail: str) -> AuditEvent:
        return AuditEvent(
            at=utc_now(),
            actor=self._actor,
            action="cohort.import",
            object_kind="model",
            object_id=self._copying.spec.name,
            detail=detail,
        )

    def _label(self, conn: Connection, one: LabelledFile) -> bool:
        # By content, and not by the id just made: another process may have been first.
        held = copy_rows.known(conn, self._copying.spec.name, [one.content_sha256])
        return copy_rows.label(conn, held[one.content_sha256].id, one.label, utc_now())


def _once(haul: Haul, one: LabelledFile | Reason) -> LabelledFile | Reason:
    """A reader's second word on the same image in one table counts for nothing: which one is meant is not known."""
    if isinstance(one, Reason):
        return one
    said = (one.content_sha256, one.label.reader)
    if said in haul.read:
        return Reason.LISTED_TWICE
    haul.read.add(said)
    return one
