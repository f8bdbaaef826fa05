"""Verdicts in: one use case behind every door (REST, DICOM SR, HL7, command line).

A verdict and its audit record are one transaction. The same verdict again, known by (source, source_id), changes
nothing; the same id with another content is refused. Nothing that was sent before is changed by a verdict.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from flows.house import House
from radloop import audit
from radloop.domain.enums import ActorKind, Awareness, Laterality, ResultStatus, Severity, VerdictKind, VerdictSource
from radloop.domain.errors import DuplicateConflict, NotFound, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent, Code, Finding, Result, Verdict
from radloop.domain.verdicts import is_override
from radloop.ledger import actors as actor_rows
from radloop.ledger import results as result_rows
from radloop.ledger import verdicts as verdict_rows

log = structlog.get_logger()

MACHINES: Final = frozenset(("runner", "worker", "gateway", "console"))
"""Processes of the house: they may speak for a reader, and need no row among the actors."""
LONGEST_TEXT: Final = 64 * 1024
LONGEST_SOURCE_ID: Final = 128
TARGET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
CODE_VALUE: Final = re.compile(r"[!-~]{1,64}")
SCHEME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MEANING: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}")
CLOCKS_DIFFER: Final = timedelta(days=1)
"""A time later than now by more than any time zone is a mistake."""
NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A verdict as it comes in, by whatever door.

    `reader` is the name of a known person, `actor` that of whoever enters it: the reader, another actor, or one of
    MACHINES. (`source`, `source_id`) names the verdict for good: derive it from what was received (a SOP Instance UID
    and the item's number, an MSH-10 and the OBX's), so that receiving it twice is entering it once. At most
    LONGEST_SOURCE_ID characters. `target` is the model's own name of the finding; '' with a `code` for an ADD of
    something that the model does not know. `text` is the reader's own words: patient data.
    """

    result_id: str
    target: str
    kind: VerdictKind
    reader: str
    actor: str
    at: datetime
    awareness: Awareness
    source: VerdictSource
    source_id: str
    text: str = ""
    code: Code | None = None
    severity: Severity | None = None
    laterality: Laterality | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """The verdict on record, whether this entry made it, and whether it disagrees with the model."""

    verdict: Verdict
    new: bool

    @property
    def override(self) -> bool:
        """Whether the reader disagreed: something to be thanked for."""
        return is_override(self.verdict)


def enter(house: House, entry: Entry) -> Verdict:
    """Record a verdict. The same again (by source and source_id) changes nothing and returns the first.

    Raises:
        NotFound: there is no such result.
        DuplicateConflict: this (source, source_id) said something else before.
        Rejected: a rule is broken, and the sentence says which: an unknown reader, a target that the result does not
            have, a modification that changes nothing.
        Unavailable, StorageFull: the ledger's.
    """
    return enter_once(house, entry).verdict


def enter_once(house: House, entry: Entry) -> Entered:
    """As `enter`, and says whether it was the first time."""
    with house.ledger.write() as conn:
        entered = enter_within(conn, entry)
    _tell(entered)
    return entered


def enter_within(conn: Connection, entry: Entry) -> Entered:
    """As `enter_once`, in an open transaction: several verdicts of one message are entered together or not at all."""
    _check_form(entry)
    result = result_rows.get(conn, entry.result_id)
    if result is None:
        raise NotFound("there is no such result")
    verdict = Verdict(id=new_id("ve"), version_id=result.version_id, **_fields(_in_utc(entry)))
    if verdict_rows.by_source(conn, entry.source, entry.source_id) is None:
        check_people(conn, entry.reader, entry.actor)
        _check_content(result, entry)
        if verdict_rows.add(conn, verdict):
            audit.append(conn, _event(verdict))
            return Entered(verdict, new=True)
    return Entered(_same(conn, verdict), new=False)


def _in_utc(entry: Entry) -> Entry:
    return replace(entry, at=entry.at.astimezone(UTC))


def _fields(entry: Entry) -> dict[str, Any]:
    """The entry's own fields; records inside it stay records."""
    return {field.name: getattr(entry, field.name) for field in fields(entry)}


def _same(conn: Connection, again: Verdict) -> Verdict:
    """The first one, where both say the same. When it was entered, and by whom, is not what was said."""
    known = verdict_rows.by_source(conn, again.source, again.source_id)
    if known is None or _said(known) != _said(again):
        raise DuplicateConflict("this id was used for another verdict")
    return known


def _said(verdict: Verdict) -> Verdict:
    return replace(verdict, id="", actor="", at=NEVER)


def _check_form(entry: Entry) -> None:
    """What no ledger could keep, whatever the result is.

    Raises:
        Rejected: in a sentence.
    """
    broken = next((words for is_broken, words in FORM if is_broken(entry)), None)
    if broken is not None:
        raise Rejected(broken)


def check_people(conn: Connection, reader: str, actor: str) -> None:
    """The reader is a person that is known here, and so is whoever speaks.

    Raises:
        Rejected: one of them is not.
    """
    known = actor_rows.by_name(conn, reader)
    if known is None or known.kind is not ActorKind.PERSON:
        raise Rejected("the reader is no person that is an actor here")
    if actor not in MACHINES and actor_rows.by_name(conn, actor) is None:
        raise Rejected("whoever enters this is no actor here")


def _check_content(result: Result, entry: Entry) -> None:
    finding = next((one for one in result.findings if one.target == entry.target), None)
    broken = next((words for is_broken, words in RULES if is_broken(result, finding, entry)), None)
    if broken is not None:
        raise Rejected(broken)


def _changes(finding: Finding | None, entry: Entry) -> bool:
    """Whether code, severity or laterality is given and is another than the model's."""
    said = (entry.code, entry.severity, entry.laterality)
    before = (finding.code, finding.severity, finding.laterality) if finding else (None, None, None)
    return any(mine is not None and mine != models for mine, models in zip(said, before, strict=True))


def _usable(code: Code) -> bool:
    """Whether objects can carry it: as DICOM, HL7 and FHIR have codes."""
    return bool(CODE_VALUE.fullmatch(code.value) and SCHEME.fullmatch(code.scheme) and MEANING.fullmatch(code.meaning))


def storable(text: str) -> bool:
    """Whether every database keeps it: no NUL, no lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _texts(entry: Entry) -> tuple[str, ...]:
    code = (entry.code.value, entry.code.scheme, entry.code.meaning) if entry.code else ()
    return (entry.result_id, entry.text, entry.source_id, entry.reader, entry.actor, *code)


# What can be said of an entry before anything is looked up.
FORM: Final[tuple[tuple[Callable[[Entry], bool], str], ...]] = (
    (lambda e: not all(map(storable, _texts(e))), "a text holds characters that cannot be kept"),
    (lambda e: not 0 < len(e.source_id) <= LONGEST_SOURCE_ID, "the verdict's id must have 1 to 128 characters"),
    (lambda e: len(e.text) > LONGEST_TEXT, "the text is too long"),
    (lambda e: bool(e.target) and not TARGET.fullmatch(e.target), "the target is not the name of one"),
    (lambda e: e.code is not None and not _usable(e.code), "a code needs a value, a scheme and a meaning"),
    (lambda e: e.at.tzinfo is None, "the time has no offset"),
    (lambda e: e.at.tzinfo is not None and e.at > utc_now() + CLOCKS_DIFFER, "the time is in the future"),
)
Rule = Callable[[Result, Finding | None, Entry], bool]
# The first rule that is broken is the answer.
RULES: Final[tuple[tuple[Rule, str], ...]] = (
    (
        lambda r, _, e: r.status is not ResultStatus.OK and e.kind is not VerdictKind.ADD,
        "the model did not read this study: only an addition can be entered",
    ),
    (lambda _r, _, e: not e.target and e.kind is not VerdictKind.ADD, "a verdict needs the finding that it is about"),
    (lambda _r, _, e: not e.target and e.code is None, "an addition without a target needs a code"),
    (lambda r, f, e: bool(e.target and r.findings) and f is None, "the result has no such finding"),
    (
        lambda _, f, e: e.kind is VerdictKind.MODIFY and not _changes(f, e),
        "a modification needs another code, severity or laterality",
    ),
    (
        lambda _, f, e: e.kind is VerdictKind.ADD and f is not None and f.positive and not _changes(f, e),
        "the model called this finding: confirm, reject or modify it",
    ),
)


def _tell(entered: Entered) -> None:
    if entered.new and entered.override:
        verdict = entered.verdict
        log.info("override", verdict=verdict.id, result=verdict.result_id, kind=verdict.kind)


def _event(verdict: Verdict) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=verdict.actor,
        action="verdict",
        object_kind="verdict",
        object_id=verdict.id,
        detail=f"{verdict.kind} on {verdict.result_id} by {verdict.reader} ({verdict.source})",
    )
