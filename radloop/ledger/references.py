"""What other systems call our rows by: SOP Instance UIDs, accession numbers, patients. Nothing is changed here."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, or_, select

from radloop.domain.enums import ObjectKind, Standing
from radloop.domain.records import StoredObject, StudyVersion
from radloop.ledger import studies as study_rows
from radloop.ledger.objects import from_row
from radloop.ledger.tables import hl7_messages, objects, orders, results, studies, study_versions

SILENT: Final = (Standing.CHALLENGER, Standing.SHADOW)
"""What these said was never shown to a reader."""
AT_ONCE: Final = 500
"""Values per question: databases bound how many one may have."""


def reports_of(conn: Connection, sop_uids: Collection[str]) -> tuple[StoredObject, ...]:
    """Those of our own SRs that these UIDs name."""
    wanted, found = sorted(set(sop_uids)), []
    for start in range(0, len(wanted), AT_ONCE):
        named = objects.c.identifier.in_(wanted[start : start + AT_ONCE])
        query = select(objects).where(named, objects.c.kind == ObjectKind.SR).order_by(objects.c.id)
        found += [from_row(row) for row in conn.execute(query)]
    return tuple(found)


def studies_of(conn: Connection, number: str, patient_id: str) -> tuple[str, ...]:
    """The ids of a patient's studies that a number names: an accession, or a number of the order of one."""
    if not (number and patient_id):
        return ()
    ordered = select(orders.c.accession_number).where(
        orders.c.patient_id == patient_id,
        orders.c.accession_number != "",
        or_(orders.c.placer_number == number, orders.c.filler_number == number),
    )
    named = or_(studies.c.accession_number == number, studies.c.accession_number.in_(ordered))
    query = select(studies.c.id).where(studies.c.patient_id == patient_id, named).order_by(studies.c.id)
    return tuple(conn.scalars(query))


def message_taken(conn: Connection, peer: str, control_id: str, sha256: str) -> bool:
    """Whether this message is on record with this content: `orders.first_time` noted it with its effect."""
    same = (hl7_messages.c.peer == peer, hl7_messages.c.control_id == control_id, hl7_messages.c.sha256 == sha256)
    return conn.scalar(select(hl7_messages.c.id).where(*same)) is not None


def patient_of(conn: Connection, study_id: str) -> str:
    """The patient's id as the study has it."""
    return conn.scalar(select(studies.c.patient_id).where(studies.c.id == study_id)) or ""


def read_version(conn: Connection, study_id: str) -> StudyVersion | None:
    """The newest version of a study that a model has answered aloud; where none has, the newest one."""
    mine = select(study_versions.c.id).where(study_versions.c.study_id == study_id)
    aloud = select(results.c.version_id).where(results.c.standing.not_in(SILENT))
    answered = mine.where(study_versions.c.id.in_(aloud))
    newest = study_versions.c.number.desc()
    found = conn.scalar(answered.order_by(newest).limit(1)) or conn.scalar(mine.order_by(newest).limit(1))
    return study_rows.get(conn, found) if found else None


def version_before(conn: Connection, version: StudyVersion) -> StudyVersion | None:
    """The version of the same study that this one follows."""
    query = select(study_versions.c.id).where(
        study_versions.c.study_id == version.study_id, study_versions.c.number == version.number - 1
    )
    found = conn.scalar(query)
    return study_rows.get(conn, found) if found else None
