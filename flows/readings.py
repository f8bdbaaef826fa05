"""A reader's assessment comes in by C-STORE as an instance of the study: its findings become verdicts.

Idempotent: the verdict's id is made of the document's SOP Instance UID (hashed) and the number of the finding in it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection

from flows.house import House
from flows.recognition import Unclear, event, leave, not_after, reader_of, sha256_of
from flows.verdicts import Entry, enter_within
from integrations.objects.sr.assessment import Assessed, Assessment, read_assessment, tracking_uids
from integrations.objects.sr.assessment_codes import DOCUMENTS
from radloop import audit
from radloop.domain.enums import Awareness, VerdictKind, VerdictSource
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.records import Code, Finding, Instance, Result, StoredObject, StudyVersion, Verdict
from radloop.ledger import instances as instance_rows
from radloop.ledger import references
from radloop.ledger import results as result_rows
from radloop.ledger import studies as study_rows

log = structlog.get_logger()
ACTOR: Final = "runner"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One finding that an assessment may speak of: the result, and the tracking UID that our SR gave the finding."""

    result: Result
    finding: Finding
    tracking_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """A report of ours that is referred to, its result, and the study version that this answered."""

    report: StoredObject
    result: Result
    version: StudyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What an assessment refers to: our results, their findings, and the study that they are of."""

    results: tuple[Result, ...]
    subjects: tuple[Subject, ...]
    version: StudyVersion


async def take_readings(house: House, version: StudyVersion) -> None:
    """Enter what the assessments among the version's own instances say.

    Raises:
        Unavailable, StorageFull: the ledger's and the store's; doing it again does no harm.
    """
    await asyncio.to_thread(_take_readings, house, version)


def from_instance(house: House, instance: Instance) -> tuple[Verdict, ...]:
    """Enter what a structured report says of results of ours; nothing where it is no assessment.

    What cannot be read or matched is kept as such, with its reason, and the rest is entered.

    Raises:
        Unavailable, StorageFull, IntegrityError: the ledger's and the store's.
    """
    data = house.store.get(instance.blob.key)
    try:
        assessment = read_assessment(data, ZoneInfo(house.settings.site.timezone))
    except Rejected as error:
        log.warning("assessment cannot be read", instance=instance.id, code=error.code)
        _leave_whole(house, instance, Unclear.UNREADABLE)
        return ()
    if assessment is None:
        return ()
    if not assessment.complete:
        _note_draft(house, instance)
        return ()
    return _match(house, instance, assessment)


def _take_readings(house: House, version: StudyVersion) -> None:
    with house.ledger.read() as conn:
        found = instance_rows.of_version(conn, version.id)
    for instance in found:
        if instance.version_id == version.id and instance.header.sop_class_uid in DOCUMENTS:
            from_instance(house, instance)


def _match(house: House, instance: Instance, assessment: Assessment) -> tuple[Verdict, ...]:
    matter = _matter(house, assessment)
    if isinstance(matter, Unclear):
        _leave_whole(house, instance, matter)
        return ()
    with house.ledger.write() as conn:
        made = [_enter(conn, house, instance, matter, one) for one in assessment.findings]
    entered = tuple(one for one in made if one is not None)
    log.info("assessment read", instance=instance.id, verdicts=len(entered), findings=len(made))
    return entered


def _matter(house: House, assessment: Assessment) -> Matter | Unclear:
    with house.ledger.read() as conn:
        answered = [
            one for report in references.reports_of(conn, assessment.references) if (one := _answered(conn, report))
        ]
        if not answered:
            return Unclear.NOT_OURS
        # A finding keeps its tracking UID over the versions of its study: the newest one that is named is meant.
        version = max((one.version for one in answered), key=lambda version: version.number)
        patient_id = references.patient_of(conn, version.study_id)
    if {one.version.study_uid for one in answered} != {assessment.study_uid}:
        return Unclear.OTHER_STUDY
    if patient_id and assessment.patient_id and patient_id != assessment.patient_id:
        return Unclear.OTHER_STUDY
    meant = [one for one in answered if one.version.id == version.id]
    return Matter(
        results=tuple(one.result for one in meant),
        subjects=tuple(subject for one in meant for subject in _subjects(house, one)),
        version=version,
    )


def _answered(conn: Connection, report: StoredObject) -> Answered | None:
    result = result_rows.get(conn, report.result_id)
    version = study_rows.get(conn, result.version_id) if result else None
    return Answered(report, result, version) if result and version else None


def _subjects(house: House, answered: Answered) -> Iterator[Subject]:
    """The findings of a result with the tracking UIDs of the report that was sent; '' where its bytes are gone."""
    result = answered.result
    try:
        uids: Sequence[str] = tracking_uids(house.store.get(answered.report.blob.key))
    except NotFound:
        uids = ()
    known = uids if len(uids) == len(result.findings) else [""] * len(result.findings)
    for finding, uid in zip(result.findings, known, strict=True):
        yield Subject(result=result, finding=finding, tracking_uid=uid)


def _enter(conn: Connection, house: House, instance: Instance, matter: Matter, said: Assessed) -> Verdict | None:
    """One assessed finding: a verdict, or a row that says why not."""
    entry = _entry(conn, house, instance, matter, said)
    if isinstance(entry, Unclear):
        _leave(conn, instance, matter.version.id, said, entry)
        return None
    try:
        return enter_within(conn, entry).verdict
    except Rejected as error:
        log.warning("verdict refused", instance=instance.id, reason=str(error))
        _leave(conn, instance, matter.version.id, said, Unclear.REFUSED)
        return None


def _entry(conn: Connection, house: House, instance: Instance, matter: Matter, said: Assessed) -> Entry | Unclear:
    reader = reader_of(conn, house.settings.readers, said.observer.ids, said.observer.names)
    if reader is None:
        return Unclear.UNKNOWN_READER
    subject = _subject(matter, said)
    result = subject.result if subject else _only(matter.results)
    if result is None or (subject is None and said.kind is not VerdictKind.ADD):
        return Unclear.UNKNOWN_FINDING
    changes = said.kind in (VerdictKind.MODIFY, VerdictKind.ADD)
    return Entry(
        result_id=result.id,
        target=subject.finding.target if subject else "",
        kind=said.kind,
        reader=reader,
        actor=ACTOR,
        at=not_after(said.at, instance.received_at),
        # A sender that refers to our report has it at hand: whoever assessed has seen it, where nothing else is said.
        awareness=said.awareness or Awareness.SAW_AI,
        source=VerdictSource.DICOM_SR,
        source_id=f"{sha256_of(instance.header.sop_uid)}-{said.ordinal}",
        text=said.text,
        code=_other_code(said.code, subject) if changes else None,
        severity=said.severity if changes else None,
        laterality=said.laterality if changes else None,
    )


def _subject(matter: Matter, said: Assessed) -> Subject | None:
    """The finding that is meant: by tracking UID where one is given, else by its code, else the only one there is.

    What is added has a tracking UID of its own, if any, and is ours only where the model knows its code.
    """
    if said.tracking_uid and said.kind is not VerdictKind.ADD:
        return _only(one for one in matter.subjects if one.tracking_uid == said.tracking_uid)
    if said.code is not None and said.kind is not VerdictKind.MODIFY:
        return _only(one for one in matter.subjects if _same(one.finding.code, said.code))
    return _only(matter.subjects) if said.kind is not VerdictKind.ADD else None


def _only(found: Iterable[T]) -> T | None:
    listed = list(found)
    return listed[0] if len(listed) == 1 else None


def _same(one: Code, other: Code) -> bool:
    return (one.value, one.scheme) == (other.value, other.scheme)


def _other_code(code: Code | None, subject: Subject | None) -> Code | None:
    """The reader's code where it is not the model's own."""
    return None if code is None or (subject and _same(code, subject.finding.code)) else code


def _leave(conn: Connection, instance: Instance, version_id: str | None, said: Assessed, reason: Unclear) -> None:
    key = (VerdictSource.DICOM_SR, instance.id, str(said.ordinal))
    leave(conn, reason, *key, version_id=version_id, peer=instance.peer, actor=ACTOR)


def _leave_whole(house: House, instance: Instance, reason: Unclear) -> None:
    with house.ledger.write() as conn:
        key = (VerdictSource.DICOM_SR, instance.id)
        leave(conn, reason, *key, version_id=instance.version_id, peer=instance.peer, actor=ACTOR)


def _note_draft(house: House, instance: Instance) -> None:
    """An assessment that is not complete (PS3.3 C.17.2, PARTIAL): another document will say what counts."""
    with house.ledger.write() as conn:
        audit.append(conn, event(ACTOR, "reading.draft", "instance", instance.id, f"from {instance.peer}"))
