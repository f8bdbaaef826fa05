"""Sign-off: a reader closes a study version. The final report goes out, and the clock of retention starts.

The sign-off, the new state, the final reports, their deliveries and the audit are one transaction: killed before it,
nothing is signed; after it, everything is due.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final

import structlog
from sqlalchemy import Connection

from flows.encoding import Invalid, Made
from flows.final_report import encode_finals
from flows.house import House
from flows.verdicts import LONGEST_TEXT, check_people, storable
from radloop import audit
from radloop.domain.enums import StudyState
from radloop.domain.errors import DuplicateConflict, InvalidObject, NotFound, Rejected, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, SignOff, StudyVersion, Verdict
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import objects as object_rows
from radloop.ledger import quarantine as quarantine_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import studies as study_rows
from radloop.ledger import verdicts as verdict_rows

log = structlog.get_logger()

TRIES: Final = 3
"""A verdict that comes in while the final report is made has it made again."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The sign-off on record, and whether this call made it."""

    signoff: SignOff
    new: bool


def sign_off(house: House, signoff: SignOff) -> SignOff:
    """Close a study version, whether a model has answered or not. The same reader again changes nothing.

    `reader` must be a person that is an actor here; `actor` enters it. Verdicts are entered before: those on record
    now are what the final report goes by, and later ones change nothing that was sent.

    Raises:
        NotFound: there is no such study version, or its images are gone.
        DuplicateConflict: another reader has signed this version, or the same with other words.
        Rejected: images still come in, the people are not known, or the conclusion cannot be kept.
        Unavailable, StorageFull, IntegrityError: the ledger's and the store's.
    """
    return sign_off_once(house, signoff).signoff


def sign_off_once(house: House, signoff: SignOff) -> Closed:
    """As `sign_off`, and says whether it was the first time."""
    _check_form(signoff)
    signoff = replace(signoff, at=signoff.at.astimezone(UTC))
    for _ in range(TRIES):
        version, said, known = _look(house, signoff)
        if known is not None:
            return Closed(_same(known, signoff), new=False)
        made = encode_finals(house, version, signoff, said)
        if _commit(house, signoff, version, said, made):
            log.info("signed off", version=version.id, reports=sum(isinstance(one, Made) for one in made))
            return Closed(signoff, new=True)
    raise Unavailable("verdicts keep coming in for this study")


def _check_form(signoff: SignOff) -> None:
    if len(signoff.conclusion) > LONGEST_TEXT or not storable(signoff.conclusion):
        raise Rejected("the conclusion is too long, or holds characters that cannot be kept")
    if signoff.at.tzinfo is None:
        raise Rejected("the time has no offset")


def _look(house: House, signoff: SignOff) -> tuple[StudyVersion, tuple[Verdict, ...], SignOff | None]:
    with house.ledger.read() as conn:
        version = study_rows.get(conn, signoff.version_id)
        if version is None:
            raise NotFound("there is no such study version")
        check_people(conn, signoff.reader, signoff.actor)
        known = signoff_rows.of_version(conn, version.id)
        if known is None and version.state is StudyState.RECEIVING:
            raise Rejected("images of this study version are still coming in")
        return version, verdict_rows.of_version(conn, version.id), known


def _same(known: SignOff, again: SignOff) -> SignOff:
    """The first one, where both say the same. When, by whom and by which door it was entered is not what was said."""
    if replace(again, at=known.at, actor=known.actor, source=known.source) != known:
        raise DuplicateConflict("this study version is signed off already")
    return known


def _commit(
    house: House,
    signoff: SignOff,
    version: StudyVersion,
    said: Collection[Verdict],
    made: Collection[Made | Invalid],
) -> bool:
    """All of it, or nothing and False: a verdict or another sign-off came in meanwhile."""
    with house.ledger.write() as conn:
        if len(verdict_rows.of_version(conn, version.id)) != len(said) or not study_rows.sign(conn, version.id):
            return False
        signoff_rows.add(conn, signoff)
        for one in made:
            if isinstance(one, Made):
                _queue(conn, version, one)
            else:
                _quarantine(conn, signoff, one)
        audit.append(conn, _event(signoff, "sign-off", version.id, f"{signoff.reader} ({signoff.source})"))
        return True


def _queue(conn: Connection, version: StudyVersion, made: Made) -> None:
    if object_rows.add(conn, made.object):
        for peer in made.peers:
            delivery_rows.queue(conn, made.object, version.id, peer, version.urgency)


def _quarantine(conn: Connection, signoff: SignOff, invalid: Invalid) -> None:
    row_id = quarantine_rows.add(conn, InvalidObject.code, "", invalid.blob, invalid.words)
    audit.append(conn, _event(signoff, "quarantine", signoff.version_id, f"{invalid.kind} as {row_id}"))


def _event(signoff: SignOff, action: str, version_id: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=signoff.actor,
        action=action,
        object_kind="study_version",
        object_id=version_id,
        detail=detail,
    )
