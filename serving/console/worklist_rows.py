"""The rows of the worklist: what a reader sees of each study, and why it stands where it does."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Connection

from flows.final_report import shown
from radloop.domain.enums import Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import Finding, Result
from radloop.ledger import openings as opening_rows
from radloop.ledger import references
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger.openings import Opening
from radloop.ledger.worklist import Entry, Place
from serving.console.ages import age_of
from serving.console.reading_room import Presence

FEWEST: Final = 1
"""Findings that a row shows where none is called: the most probable one."""


class FindingLine(BaseModel):
    """One finding as the list shows it."""

    model: str
    finding: str
    meaning: str
    probability: float
    threshold: float
    called: bool
    urgency: Urgency


class Row(BaseModel):
    """One study of the list. `why` says in words what its urgency comes from; `since` is when it began to wait."""

    version_id: str
    number: int
    urgency: Urgency
    why: tuple[str, ...]
    since: datetime
    patient_name: str
    patient_id: str
    age: str
    sex: str
    accession_number: str
    modalities: tuple[str, ...]
    description: str
    place: Place
    reason: str
    findings: tuple[FindingLine, ...]
    further: int
    blinded: bool
    open_now: tuple[str, ...]
    opened_by: tuple[str, ...]
    signed_by: str
    signed_at: datetime | None


def rows_of(conn: Connection, entries: Sequence[Entry], presence: Presence, *, blinded: bool) -> tuple[Row, ...]:
    """The rows of these entries, in their order; `blinded` keeps from readers what they are to say first themselves."""
    ids = [entry.version_id for entry in entries]
    found = _answers(conn, entries)
    opened = opening_rows.of_versions(conn, ids)
    signed = signoff_rows.of_versions(conn, ids)
    today = utc_now().date()
    rows = (_row(one, found.get(one.version_id, ()), today, blinded=blinded) for one in entries)
    return tuple(
        row.model_copy(
            update={
                "open_now": presence.of(row.version_id),
                "opened_by": _names(opened.get(row.version_id, ())),
                **({"signed_by": end.reader, "signed_at": end.at} if (end := signed.get(row.version_id)) else {}),
            }
        )
        for row in rows
    )


def _answers(conn: Connection, entries: Iterable[Entry]) -> Mapping[str, Sequence[Result]]:
    """What was said aloud of each; of a newer version that nobody answered yet, what was said of the one before."""
    entries = list(entries)
    found = result_rows.of_versions(conn, [entry.version_id for entry in entries])
    answers = {key: [one for one in results if shown(one)] for key, results in found.items()}
    for entry in entries:
        if entry.number > 1 and not answers.get(entry.version_id):
            before = references.read_version(conn, entry.study_id)
            if before is not None:
                answers[entry.version_id] = [one for one in result_rows.of_version(conn, before.id) if shown(one)]
    return answers


def _row(entry: Entry, results: Sequence[Result], today: date, *, blinded: bool) -> Row:
    findings = sorted(((one, result) for result in results for one in result.findings), key=_weight, reverse=True)
    called = sum(one.positive for one, _ in findings)
    lines = [_line(one, result) for one, result in findings[: max(called, FEWEST)]]
    hidden = blinded and entry.place is not Place.SIGNED
    return Row(
        version_id=entry.version_id,
        number=entry.number,
        urgency=entry.urgency,
        why=tuple(_why(entry, findings, blinded=hidden)),
        since=entry.since,
        patient_name=entry.patient_name,
        patient_id=entry.patient_id,
        age=age_of(entry.birth_date, today),
        sex=entry.sex,
        accession_number=entry.accession_number,
        modalities=entry.modalities,
        description=entry.description,
        place=entry.place,
        reason=entry.reason,
        findings=() if hidden else tuple(lines),
        further=0 if hidden else len(findings) - len(lines),
        blinded=hidden and bool(findings),
        open_now=(),
        opened_by=(),
        signed_by="",
        signed_at=None,
    )


def _weight(pair: tuple[Finding, Result]) -> tuple[int, bool, float]:
    finding, _ = pair
    return finding.urgency.rank, finding.positive, finding.probability


def _line(finding: Finding, result: Result) -> FindingLine:
    return FindingLine(
        model=result.model.name,
        finding=finding.target,
        meaning=finding.code.meaning,
        probability=finding.probability,
        threshold=finding.threshold,
        called=finding.positive,
        urgency=finding.urgency,
    )


def _why(entry: Entry, findings: Iterable[tuple[Finding, Result]], *, blinded: bool) -> Iterable[str]:
    """What raises the study to where it stands; nothing for a routine one."""
    rank = entry.urgency.rank
    if not rank:
        return
    urgent = [pair for pair in findings if pair[0].urgency.rank >= rank]
    if blinded and urgent:
        # Blinded readers are told that it is urgent, and not why, until they ask.
        yield f"{'a critical' if rank > 1 else 'an urgent'} AI finding"
    elif urgent:
        yield from (f"{one.code.meaning} {one.probability:.2f} ({result.model.name})" for one, result in urgent)
    if entry.ordered.rank >= rank:
        yield f"ordered as {entry.ordered.value.lower()}"
    if not urgent and entry.ordered.rank < rank:
        yield "by an earlier version of the study"


def _names(found: Iterable[Opening]) -> tuple[str, ...]:
    return tuple(one.actor for one in found)
