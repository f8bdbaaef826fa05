"""What a study's headers say of the patient and of the study, for the pages of readers: patient data."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from radloop.ledger.admitted import study_headers

AT_ONCE: Final = 500
"""Values per question: databases bound how many one may have."""
_h = study_headers.c


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHeader:
    """One study, as its newest images say it; '' where they say nothing.

    `patient_name` is for people ("CURIE, Marie"), the dates are of eight digits, `sex` is M, F or O.
    """

    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    description: str = ""


def keep(conn: Connection, study_id: str, header: StudyHeader) -> None:
    """Keep what the newest images say; what came before goes."""
    if conn.scalar(select(_h.study_id).where(_h.study_id == study_id)) is None:
        conn.execute(insert(study_headers).values(study_id=study_id, **asdict(header)))
    else:
        conn.execute(update(study_headers).where(_h.study_id == study_id).values(**asdict(header)))


def of_study(conn: Connection, study_id: str) -> StudyHeader | None:
    """The header of one study; None before its images were looked at."""
    return of_studies(conn, [study_id]).get(study_id)


def of_studies(conn: Connection, study_ids: Collection[str]) -> dict[str, StudyHeader]:
    """The headers of those studies that have one, by study id."""
    wanted, found = list(study_ids), {}
    for start in range(0, len(wanted), AT_ONCE):
        rows = conn.execute(select(study_headers).where(_h.study_id.in_(wanted[start : start + AT_ONCE])))
        found.update({row.study_id: _header(row) for row in rows})
    return found


def _header(row: Row[Any]) -> StudyHeader:
    return StudyHeader(
        patient_name=row.patient_name,
        birth_date=row.birth_date,
        sex=row.sex,
        study_date=row.study_date,
        description=row.description,
    )
