"""Patients under our own ids: the one place where the hospital's number meets the surrogate."""

from typing import Final

from sqlalchemy import Connection, select

from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import new_id
from radloop.ledger.learning import patients
from radloop.ledger.once import add_once
from radloop.ledger.tables import studies

NOBODY: Final = "radloop:study"
"""Issuer of the stand-in for a study without a patient id: such studies are never taken for one patient's."""


def ensure(conn: Connection, patient_id: str, issuer: str) -> str:
    """The surrogate id of a patient, made where there is none.

    Raises:
        Rejected: there is no identifier.
    """
    if not patient_id:
        raise Rejected("a patient needs an identifier")
    found = find(conn, patient_id, issuer)
    if found is None:
        add_once(conn, patients, id=new_id("pa"), patient_id=patient_id, issuer=issuer)
        found = find(conn, patient_id, issuer)
    if found is None:
        raise NotFound("the patient was not kept")
    return found


def find(conn: Connection, patient_id: str, issuer: str) -> str | None:
    """The surrogate id of a patient, or None."""
    same = (patients.c.patient_id == patient_id, patients.c.issuer == issuer)
    return conn.scalar(select(patients.c.id).where(*same))


def exists(conn: Connection, patient: str) -> bool:
    """Whether this surrogate id is a patient's."""
    return conn.scalar(select(patients.c.id).where(patients.c.id == patient)) is not None


def of_study(conn: Connection, study_id: str) -> str:
    """The surrogate id of a study's patient, made where there is none.

    Raises:
        NotFound: there is no such study.
    """
    row = conn.execute(select(studies.c.patient_id, studies.c.issuer).where(studies.c.id == study_id)).first()
    if row is None:
        raise NotFound("there is no such study")
    return ensure(conn, row.patient_id, row.issuer) if row.patient_id else ensure(conn, study_id, NOBODY)


def issuers(conn: Connection, patient_id: str) -> tuple[str, ...]:
    """The issuers under which this number is known, of studies and of patients."""
    of_studies = select(studies.c.issuer).where(studies.c.patient_id == patient_id)
    of_patients = select(patients.c.issuer).where(patients.c.patient_id == patient_id, patients.c.issuer != NOBODY)
    return tuple(sorted(conn.scalars(of_studies.union(of_patients))))
