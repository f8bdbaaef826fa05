"""How long a reader took for a study, where the RIS says so. Whose reading it was is left out: nobody is timed."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, String, Table, Text, exists, select

from radloop.domain.enums import ResultStatus, Standing
from radloop.ledger.once import add_once
from radloop.ledger.tables import Utc, id_column, metadata, reference, results, study_versions

reading_times = Table(
    "reading_times",
    metadata,
    id_column(),
    reference("version_id", "study_versions"),
    Column("began_at", Utc, nullable=False),
    Column("ended_at", Utc, nullable=False, index=True),
    Column("peer", Text, nullable=False),
    Column("source_id", String(128), nullable=False, unique=True),
    Column("at", Utc, nullable=False),
)

_t = reading_times.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTime:
    """One reading of a study version. `source_id` names the report that said so: saying it twice is saying it once."""

    id: str
    version_id: str
    began_at: datetime
    ended_at: datetime
    peer: str
    source_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One reading, and whether a champion had answered before it began."""

    version_id: str
    modalities: tuple[str, ...]
    seconds: float
    answered: bool


def add(conn: Connection, time: ReadingTime) -> bool:
    """Keep a reading time; False where this report's is kept already."""
    return add_once(conn, reading_times, **asdict(time))


def between(conn: Connection, start: datetime, end: datetime) -> tuple[Read, ...]:
    """The readings that ended from `start` on and before `end`, in order of time."""
    v, r = study_versions.c, results.c
    spoken = exists().where(
        r.version_id == _t.version_id,
        r.standing == Standing.CHAMPION,
        r.status == ResultStatus.OK,
        r.at <= _t.began_at,
    )
    query = (
        select(_t.version_id, _t.began_at, _t.ended_at, v.modalities, spoken.label("answered"))
        .join(study_versions, v.id == _t.version_id)
        .where(_t.ended_at >= start, _t.ended_at < end)
        .order_by(_t.ended_at, _t.id)
    )
    return tuple(
        Read(
            version_id=row.version_id,
            modalities=tuple(row.modalities),
            seconds=(row.ended_at - row.began_at).total_seconds(),
            answered=bool(row.answered),
        )
        for row in conn.execute(query)
    )
