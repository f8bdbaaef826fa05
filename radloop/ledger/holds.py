"""Legal holds: studies of which nothing may be deleted until somebody lifts the hold. Rows are never removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from radloop.domain.ids import new_id
from radloop.ledger.retained import legal_holds
from radloop.ledger.tables import studies, study_versions

_h = legal_holds.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold on one study, and who lifted it where somebody has. `why` is a person's own words: never logged."""

    id: str
    study_id: str
    why: str
    actor: str
    at: datetime
    lifted_why: str | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None


def add(conn: Connection, study_id: str, why: str, actor: str, at: datetime) -> Hold:
    """A new hold."""
    hold = Hold(id=new_id("lh"), study_id=study_id, why=why, actor=actor, at=at)
    conn.execute(insert(legal_holds).values(id=hold.id, study_id=study_id, why=why, actor=actor, at=at))
    return hold


def get(conn: Connection, hold_id: str) -> Hold | None:
    """One hold."""
    row = conn.execute(select(legal_holds).where(_h.id == hold_id)).first()
    return _hold(row) if row else None


def lift(conn: Connection, hold_id: str, why: str, actor: str, at: datetime) -> bool:
    """End a hold; False where it had ended."""
    stands = update(legal_holds).where(_h.id == hold_id, _h.lifted_at.is_(None))
    return conn.execute(stands.values(lifted_why=why, lifted_by=actor, lifted_at=at)).rowcount == 1


def known(conn: Connection) -> tuple[Hold, ...]:
    """Every hold, those that stand first, then the newest first."""
    query = select(legal_holds).order_by(_h.lifted_at.is_not(None), _h.at.desc(), _h.id)
    return tuple(_hold(row) for row in conn.execute(query))


def of_study(conn: Connection, study_id: str) -> tuple[Hold, ...]:
    """The holds that stand on a study."""
    query = select(legal_holds).where(_h.study_id == study_id, _h.lifted_at.is_(None)).order_by(_h.at, _h.id)
    return tuple(_hold(row) for row in conn.execute(query))


def study_of(conn: Connection, named: str) -> str | None:
    """The study whose id, or whose version's id, this is."""
    query = select(study_versions.c.study_id).where(
        or_(study_versions.c.id == named, study_versions.c.study_id == named)
    )
    return conn.scalar(query.limit(1))


def studies_under(conn: Connection, accession_number: str) -> Mapping[str, str]:
    """The studies of an accession number, each with one of its patient's numbers, so that two patients show."""
    query = select(studies.c.id, studies.c.issuer, studies.c.patient_id).where(
        studies.c.accession_number == accession_number
    )
    return {row.id: f"{row.issuer}\x1f{row.patient_id}" for row in conn.execute(query.order_by(studies.c.id))}


def _hold(row: Row[Any]) -> Hold:
    return Hold(**row._mapping)  # noqa: SLF001 - the public name of a row as a mapping
