"""Reading without the AI first: what a reader holds of each target before its answer is shown, and the showing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from flows.final_report import shown
from flows.house import House
from flows.verdicts import Entry, enter_within
from radloop import audit
from radloop.domain.enums import Awareness, VerdictKind, VerdictSource
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, Finding, Verdict
from radloop.ledger import openings as opening_rows
from radloop.ledger import results as result_rows


class Judgement(StrEnum):
    """What a reader holds of one target."""

    PRESENT = "PRESENT"
    """It is there."""
    ABSENT = "ABSENT"
    """It is not there."""
    UNSURE = "UNSURE"
    """Neither: no verdict comes of it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One target of one result, and what the reader holds of it."""

    result_id: str
    target: str
    judgement: Judgement


def read_blind(house: House, version_id: str, reader: str, said: Sequence[Judged]) -> tuple[Verdict, ...]:
    """Enter what a reader said before the AI was shown, and show it from now on: all of it, or nothing.

    Raises:
        NotFound: a result that is none of this version's, or was never shown to anybody.
        Rejected: the AI was shown to this reader before, or a verdict's own rules are broken.
        Unavailable, StorageFull: the ledger's.
    """
    now = utc_now()
    with house.ledger.write() as conn:
        opening = opening_rows.find(conn, version_id, reader)
        if opening is None or not opening_rows.show_ai(conn, version_id, reader, now):
            raise Rejected("the AI has been shown to you before: enter your verdicts beside its findings")
        decided = [one for one in said if one.judgement is not Judgement.UNSURE]
        entered = tuple(_enter(conn, version_id, reader, one, now) for one in decided)
        audit.append(conn, _event(reader, version_id, f"after {len(entered)} verdicts of {len(said)} targets"))
    return entered


def show_ai(house: House, version_id: str, reader: str) -> bool:
    """Show the AI's answer without a verdict; False where it was shown before. The blindness for this study is over.

    Raises:
        NotFound: the reader has not opened this version.
    """
    with house.ledger.write() as conn:
        if opening_rows.find(conn, version_id, reader) is None:
            raise NotFound("you have not opened this study version")
        if not opening_rows.show_ai(conn, version_id, reader, utc_now()):
            return False
        audit.append(conn, _event(reader, version_id, "without a verdict before"))
        return True


def kind_of(judgement: Judgement, finding: Finding) -> VerdictKind:
    """What a judgement says of the model's call."""
    if judgement is Judgement.PRESENT:
        return VerdictKind.CONFIRM if finding.positive else VerdictKind.ADD
    return VerdictKind.REJECT if finding.positive else VerdictKind.CONFIRM


def _enter(conn: Connection, version_id: str, reader: str, said: Judged, at: datetime) -> Verdict:
    result = result_rows.get(conn, said.result_id)
    findings = result.findings if result and result.version_id == version_id and shown(result) else ()
    finding = next((one for one in findings if one.target == said.target), None)
    if finding is None:
        raise NotFound("there is no such finding of this study version")
    named = "\x1f".join(("blind", reader, said.result_id, said.target))
    entry = Entry(
        result_id=said.result_id,
        target=said.target,
        kind=kind_of(said.judgement, finding),
        reader=reader,
        actor=reader,
        at=at,
        awareness=Awareness.BLINDED,
        source=VerdictSource.REST,
        source_id=hashlib.sha256(named.encode()).hexdigest(),
    )
    return enter_within(conn, entry).verdict


def _event(reader: str, version_id: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=reader,
        action="ai.shown",
        object_kind="study_version",
        object_id=version_id,
        detail=detail,
    )
