"""Legal holds: of a held study nothing is deleted by policy, however old, until the hold is lifted.

A hold keeps evidence: images, pictures and what was sent. It keeps no training copy: a patient who takes their consent
back stops the learning at once, and the original under hold is all that a court needs.
"""

from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from flows.house import House
from flows.verdicts import storable
from radloop import audit
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import holds as hold_rows
from radloop.ledger import retained as retained_rows
from radloop.ledger.holds import Hold

__all__ = ["Hold", "Placed", "accession", "holds", "lift", "place"]

log = structlog.get_logger()

LONGEST_WHY: Final = 2000


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold, and how many of the study's stored objects retention had deleted, or was deleting, before it came."""

    hold: Hold
    gone: int


def place(house: House, study_id: str, actor: str, why: str) -> Placed:
    """Hold a study, by its id or that of one of its versions. The same word of the same actor again is the first one.

    Raises:
        NotFound: there is no such study.
        Rejected: there is no reason, or none that can be kept.
    """
    _check(why)
    with house.ledger.write() as conn:
        study = _locked(conn, study_id)
        same = [one for one in hold_rows.of_study(conn, study) if (one.actor, one.why) == (actor, why)]
        hold = same[0] if same else _placed(conn, study, actor, why)
        placed = Placed(hold, retained_rows.begun(conn, study))
    log.info("held", hold=hold.id, study=study, gone=placed.gone)
    return placed


def lift(house: House, hold_id: str, actor: str, why: str) -> Hold:
    """End a hold; other holds on the same study stand. Lifting what was lifted changes nothing.

    Raises:
        NotFound: there is no such hold.
        Rejected: there is no reason, or none that can be kept.
    """
    _check(why)
    with house.ledger.write() as conn:
        if hold_rows.lift(conn, hold_id, why, actor, utc_now()):
            audit.append(conn, _event(actor, "unhold", hold_id, ""))
        hold = hold_rows.get(conn, hold_id)
    if hold is None:
        raise NotFound("there is no such hold")
    return hold


def holds(conn: Connection) -> tuple[Hold, ...]:
    """Every hold, those that stand first."""
    return hold_rows.known(conn)


def accession(house: House, number: str) -> tuple[str, ...]:
    """The ids of the studies under an accession number. The number is a patient's: it goes no further than here.

    Raises:
        NotFound: no study has it.
        Rejected: studies of several patients have it: name one by its id.
    """
    with house.ledger.read() as conn:
        found = hold_rows.studies_under(conn, number) if number else {}
    if not found:
        raise NotFound("no study has this accession number")
    if len(set(found.values())) > 1:
        raise Rejected(f"studies of several patients have this accession number: {', '.join(found)}")
    return tuple(found)


def _check(why: str) -> None:
    if not why.strip() or len(why) > LONGEST_WHY or not storable(why):
        raise Rejected("a hold needs a reason, of at most 2000 characters that can be kept")


def _locked(conn: Connection, named: str) -> str:
    """The study, which no retention begins to delete until this transaction ends."""
    study = hold_rows.study_of(conn, named)
    if study is None:
        raise NotFound("there is no such study")
    retained_rows.lock_study(conn, study)
    return study


def _placed(conn: Connection, study_id: str, actor: str, why: str) -> Hold:
    hold = hold_rows.add(conn, study_id, why, actor, utc_now())
    audit.append(conn, _event(actor, "hold", hold.id, study_id))
    return hold


def _event(actor: str, action: str, hold_id: str, detail: str) -> AuditEvent:
    return AuditEvent(at=utc_now(), actor=actor, action=action, object_kind="hold", object_id=hold_id, detail=detail)
