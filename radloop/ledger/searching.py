"""Finding results by what people know of them: accession, a UID, a model, a reader, a time. Queries only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from radloop.domain.enums import ResultStatus, Standing
from radloop.ledger.learning import signoffs, verdicts
from radloop.ledger.tables import instances, objects, results, studies, study_versions

_r = results.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is known of a result; '' and None: anything. `accession` and `name` (an id or a UID) are patient data."""

    accession: str = ""
    name: str = ""
    model: str = ""
    version: str = ""
    reader: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """By what is searched, without the words: what the audit may know."""
        return tuple(field for field in self.__dataclass_fields__ if getattr(self, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One result among those found."""

    result_id: str
    version_id: str
    model: str
    model_version: str
    standing: Standing
    status: ResultStatus
    at: datetime


def results_like(
    conn: Connection, sought: Sought, before: tuple[datetime, str] | None, limit: int
) -> tuple[Found, ...]:
    """The results that fit, the newest first; `before`: those after the last one of the page before."""
    query = (
        select(_r.id, _r.version_id, _r.model, _r.model_version, _r.standing, _r.status, _r.at)
        .join(study_versions, _r.version_id == study_versions.c.id)
        .join(studies, study_versions.c.study_id == studies.c.id)
        .where(*_conditions(sought))
    )
    if before is not None:
        query = query.where(or_(_r.at < before[0], and_(_r.at == before[0], _r.id < before[1])))
    rows = conn.execute(query.order_by(_r.at.desc(), _r.id.desc()).limit(limit))
    return tuple(_found(row) for row in rows)


def _conditions(sought: Sought) -> Iterator[Any]:
    if sought.accession:
        yield studies.c.accession_number == sought.accession
    if sought.name:
        yield _named(sought.name)
    if sought.model:
        yield _r.model == sought.model
    if sought.version:
        yield or_(_r.model_version == sought.version, _r.digest.startswith(sought.version, autoescape=True))
    if sought.reader:
        yield _read_by(sought.reader)
    if sought.since:
        yield _r.at >= sought.since
    if sought.until:
        yield _r.at < sought.until


def _named(name: str) -> Any:
    """An id of ours, or a UID or identifier of a study, an instance or an object."""
    received = select(instances.c.version_id).where(or_(instances.c.sop_uid == name, instances.c.series_uid == name))
    made = select(objects.c.result_id).where(or_(objects.c.identifier == name, objects.c.id == name))
    return or_(
        _r.id == name,
        _r.version_id == name,
        studies.c.id == name,
        studies.c.study_uid == name,
        _r.version_id.in_(received),
        _r.id.in_(made),
    )


def _read_by(reader: str) -> Any:
    said = select(verdicts.c.result_id).where(verdicts.c.reader == reader)
    signed = select(signoffs.c.version_id).where(signoffs.c.reader == reader)
    return or_(_r.id.in_(said), _r.version_id.in_(signed))


def _found(row: Any) -> Found:
    return Found(
        result_id=row.id,
        version_id=row.version_id,
        model=row.model,
        model_version=row.model_version,
        standing=Standing(row.standing),
        status=ResultStatus(row.status),
        at=row.at,
    )
