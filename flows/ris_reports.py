"""A final report of the RIS comes in as ORU^R01: what it says of the models' findings becomes verdicts, and signs.

Codes decide where there are any, else the site's phrases, else nobody: what is not said is never guessed. Verdicts,
then the sign-off, each its own transaction and idempotent; the gateway notes the message last and answers then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from flows.final_report import SILENT
from flows.house import House
from flows.phrases import Hearing, Question, hear
from flows.recognition import Unclear, event, leave, not_after, reader_of, sha256_of
from flows.signing_off import sign_off
from flows.verdicts import Entry, enter_within
from integrations.hl7 import Presence, Report, ReportStatus
from radloop import audit
from radloop.domain.enums import Awareness, ResultStatus, VerdictKind, VerdictSource
from radloop.domain.errors import DuplicateConflict, NotFound, Permanent, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Finding, Result, SignOff, StudyVersion
from radloop.ledger import reading_times, references
from radloop.ledger import results as result_rows
from radloop.ledger.reading_times import ReadingTime

log = structlog.get_logger()
ACTOR: Final = "gateway"

# What the report says of a finding, and whether the model called it.
KINDS: Final[Mapping[tuple[Presence, bool], VerdictKind]] = {
    (Presence.PRESENT, True): VerdictKind.CONFIRM,
    (Presence.ABSENT, True): VerdictKind.REJECT,
    (Presence.PRESENT, False): VerdictKind.ADD,
    (Presence.ABSENT, False): VerdictKind.CONFIRM,
}
HEARD: Final[Mapping[Hearing, Presence | Unclear]] = {
    Hearing.PRESENT: Presence.PRESENT,
    Hearing.ABSENT: Presence.ABSENT,
    Hearing.CONTRADICTORY: Unclear.CONTRADICTORY,
    Hearing.SILENT: Unclear.NO_STATEMENT,
    Hearing.TOO_SLOW: Unclear.TOO_SLOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One report as it came in. `key` names it for good, hashed: the same message again has the same."""

    report: Report
    key: str
    peer: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The study version, its reader, and the answers that a reader could have seen."""

    version: StudyVersion
    reader: str = field(repr=False)
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a report says of one finding of one result, or why that is not clear."""

    result: Result
    finding: Finding
    said: Presence | Unclear


def receive(house: House, received: Received) -> None:
    """Enter what a report says, and sign off; what cannot be matched is kept with its reason.

    Raises:
        Unavailable, StorageFull: the ledger's and the store's; receiving it again does no harm.
    """
    if received.report.status is ReportStatus.NOT_FINAL:
        _note(house, received, "report.ignored", "not final")
        return
    _keep_times(house, received)
    with house.ledger.read() as conn:
        matched = _match(conn, house, received.report)
    if isinstance(matched, Unclear):
        _leave_whole(house, received, matched)
        return
    decided = _decide(house, received.report, matched)
    with house.ledger.write() as conn:
        for decision in decided:
            _enter(conn, received, matched, decision)
    _sign(house, received, matched)


def key_of(peer: str, control_id: str, digest: str, number: int) -> str:
    """What names report `number` of a message: its sender, MSH-10, and the SHA-256 of all of it but its header."""
    return sha256_of(peer, control_id, digest, str(number))


def _keep_times(house: House, received: Received) -> None:
    """How long the reading took, also of a study that no model read: an audit compares the two."""
    began, ended = received.report.began, received.report.ended
    if began is None or ended is None or not began <= ended:
        return
    with house.ledger.write() as conn:
        study = _study(conn, received.report)
        version = None if isinstance(study, Unclear) else references.read_version(conn, study)
        if version is not None:
            time = ReadingTime(
                id=new_id("rt"),
                version_id=version.id,
                began_at=began.astimezone(UTC),
                ended_at=ended.astimezone(UTC),
                peer=received.peer,
                source_id=received.key,
                at=utc_now(),
            )
            if reading_times.add(conn, time):
                audit.append(conn, event(ACTOR, "reading.time", "study_version", version.id, f"from {received.peer}"))


def _match(conn: Connection, house: House, report: Report) -> Matched | Unclear:
    study = _study(conn, report)
    if isinstance(study, Unclear):
        return study
    version = references.read_version(conn, study)
    results = tuple(one for one in result_rows.of_version(conn, version.id) if _shown(one)) if version else ()
    if version is None or not results:
        return Unclear.NO_RESULT
    reader = reader_of(conn, house.settings.readers, report.interpreter.ids, report.interpreter.names)
    return Matched(version=version, reader=reader, results=results) if reader else Unclear.UNKNOWN_READER


def _study(conn: Connection, report: Report) -> str | Unclear:
    """The study of the first number that names one of this patient."""
    for number in report.numbers:
        found = references.studies_of(conn, number, report.patient_id)
        if found:
            return found[0] if len(found) == 1 else Unclear.SEVERAL_STUDIES
    return Unclear.NO_STUDY


def _shown(result: Result) -> bool:
    return result.status is ResultStatus.OK and result.model.standing not in SILENT


def _decide(house: House, report: Report, matched: Matched) -> list[Decision]:
    """What the report says of every finding: by its codes, and of those without one by the site's phrases."""
    coded = [Decision(r, f, _by_codes(report, f)) for r in matched.results for f in r.findings]
    heard = iter(_by_phrases(house, report, [one for one in coded if one.said is Unclear.NO_STATEMENT]))
    return [replace(one, said=next(heard)) if one.said is Unclear.NO_STATEMENT else one for one in coded]


def _by_codes(report: Report, finding: Finding) -> Presence | Unclear:
    said = report.says(finding.code)
    if len(said) > 1:
        return Unclear.CONTRADICTORY
    return next(iter(said), Unclear.NO_STATEMENT)


def _by_phrases(house: House, report: Report, silent: Sequence[Decision]) -> list[Presence | Unclear]:
    questions = [_question(house, one) for one in silent]
    return [HEARD[hearing] for hearing in hear(report.text, questions)]


def _question(house: House, decision: Decision) -> Question:
    """All phrases of the site for this model's target."""
    names = (decision.result.model.name, decision.finding.target)
    mine = [phrase for phrase in house.settings.phrases if (phrase.model, phrase.finding) == names]
    return Question(
        absent=tuple(pattern for phrase in mine for pattern in phrase.absent),
        present=tuple(pattern for phrase in mine for pattern in phrase.present),
    )


def _enter(conn: Connection, received: Received, matched: Matched, decision: Decision) -> None:
    if isinstance(decision.said, Unclear):
        _leave(conn, received, matched.version.id, decision, decision.said)
        return
    try:
        enter_within(conn, _entry(received, matched, decision.result, decision.finding, decision.said))
    except (Rejected, NotFound) as error:
        log.warning("verdict refused", result=decision.result.id, reason=str(error))
        _leave(conn, received, matched.version.id, decision, Unclear.REFUSED)


def _entry(received: Received, matched: Matched, result: Result, finding: Finding, presence: Presence) -> Entry:
    return Entry(
        result_id=result.id,
        target=finding.target,
        kind=KINDS[presence, finding.positive],
        reader=matched.reader,
        actor=ACTOR,
        at=not_after(received.report.at, received.at),
        # The RIS got our result with the order: its reader could have seen it, where nothing else is said.
        awareness=received.report.awareness or Awareness.SAW_AI,
        source=VerdictSource.HL7_ORU,
        source_id=sha256_of(received.key, result.id, finding.target),
    )


def _sign(house: House, received: Received, matched: Matched) -> None:
    """Close the version; a report that comes after it was closed leaves it as it was signed."""
    signoff = SignOff(
        version_id=matched.version.id,
        reader=matched.reader,
        actor=ACTOR,
        at=not_after(received.report.at, received.at),
        source=VerdictSource.HL7_ORU,
        conclusion=received.report.conclusion,
    )
    try:
        sign_off(house, signoff)
    except DuplicateConflict:
        _note(house, received, "report.after-sign-off", f"{matched.version.id} stays as it was signed")
    except (Rejected, Permanent) as error:
        log.warning("not signed off", version=matched.version.id, code=error.code)
        _leave_whole(house, received, Unclear.NOT_SIGNED, matched.version.id)


def _leave(conn: Connection, received: Received, version_id: str, decision: Decision, reason: Unclear) -> None:
    key = (VerdictSource.HL7_ORU, received.key, decision.result.id, decision.finding.target)
    leave(conn, reason, *key, version_id=version_id, peer=received.peer, actor=ACTOR)


def _leave_whole(house: House, received: Received, reason: Unclear, version_id: str | None = None) -> None:
    with house.ledger.write() as conn:
        key = (VerdictSource.HL7_ORU, received.key)
        leave(conn, reason, *key, version_id=version_id, peer=received.peer, actor=ACTOR)


def _note(house: House, received: Received, action: str, detail: str) -> None:
    with house.ledger.write() as conn:
        audit.append(conn, event(ACTOR, action, "peer", received.peer, detail))
