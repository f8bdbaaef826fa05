"""What documents from outside share: whose word it is, and what is kept of those that could not be matched."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy import Connection

from radloop import audit
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import actors as actor_rows
from radloop.ledger import unmatched as unmatched_rows
from radloop.ledger.unmatched import Unmatched, derive_id
from radloop.settings import Reader

log = structlog.get_logger()


class Unclear(StrEnum):
    """Why nothing, or a part of nothing, was entered. Kept in `unmatched_reports.reason`."""

    UNREADABLE = "unreadable"
    """It is an assessment, or claims to be, and breaks the template."""
    NOT_OURS = "not-our-result"
    """It refers to no report of ours."""
    OTHER_STUDY = "other-study"
    """It stands in another study, or is of another patient, than the result that it refers to."""
    UNKNOWN_READER = "unknown-reader"
    """No reader of the settings that is an actor here, or more than one, fits who is named."""
    UNKNOWN_FINDING = "unknown-finding"
    """No finding of the result, or more than one, fits."""
    REFUSED = "refused"
    """A rule of verdicts stands against it; the audit's detail says which."""
    NO_STUDY = "no-study"
    """No study of this patient has the number."""
    SEVERAL_STUDIES = "several-studies"
    """More than one has."""
    NO_RESULT = "no-result"
    """No model has read the study (yet)."""
    NO_STATEMENT = "no-statement"
    """Neither a code nor a phrase says anything of the finding."""
    CONTRADICTORY = "contradictory"
    """Codes, or phrases, say both that it is there and that it is not."""
    NOT_SIGNED = "not-signed"
    """The verdicts were entered, but the version could not be closed: it is not answered, or its images are gone."""
    TOO_SLOW = "too-slow"
    """The site's patterns did not come to an end in time."""


def sha256_of(*parts: str) -> str:
    """Hex; what identifiers from outside become before they stand anywhere but in the store."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def reader_of(
    conn: Connection, readers: Mapping[str, Reader], ids: Collection[str], names: Collection[str]
) -> str | None:
    """The one reader who is meant, by the site's table, and is a person of the ledger; None where that is not clear.

    An identifier that is known decides. A name counts only for readers of whom the site lists no identifiers, or where
    the document gives none.
    """
    by_id = {name for name, reader in readers.items() if set(reader.ids) & set(ids)}
    wanted = {same_name(name) for name in names} - {""}
    by_name = {
        name
        for name, reader in readers.items()
        if not (ids and reader.ids) and wanted & {same_name(one) for one in reader.names}
    }
    found = by_id or by_name
    actor = actor_rows.by_name(conn, next(iter(found))) if len(found) == 1 else None
    return actor.name if actor is not None and actor.kind is ActorKind.PERSON else None


def same_name(name: str) -> str:
    """Family and given name of a DICOM or HL7 name, so that two of one person are equal."""
    parts = [" ".join(part.split()).casefold() for part in name.split("=", maxsplit=1)[0].split("^")]
    return "^".join((*parts, "", "")[:2] if any(parts) else ()).rstrip("^")


def leave(conn: Connection, reason: Unclear, *key: str, version_id: str | None, peer: str, actor: str) -> None:
    """Keep, once, that something of what `peer` sent was not matched. `key` names it: it is hashed."""
    row = Unmatched(id=derive_id(*key, reason), version_id=version_id, peer=peer, reason=reason, at=utc_now())
    if unmatched_rows.add(conn, row):
        audit.append(conn, event(actor, "reading.unmatched", "unmatched_report", row.id, f"{reason} from {peer}"))
        log.info("not matched", row=row.id, reason=reason, peer=peer)


def event(actor: str, action: str, object_kind: str, object_id: str, detail: str) -> AuditEvent:
    """An audit row of now; no identifier from outside may stand in it."""
    return AuditEvent(
        at=utc_now(), actor=actor, action=action, object_kind=object_kind, object_id=object_id, detail=detail
    )


def not_after(at: datetime | None, received: datetime) -> datetime:
    """When it was said: not after it was received, whatever the sender's clock shows."""
    return min(at, received) if at is not None else received
