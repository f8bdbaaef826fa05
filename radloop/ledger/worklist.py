"""What waits for a reader: the newest version of every study that is not signed, urgent first, then by waiting time.

A study's rank is the highest of what was ordered, what the findings of this version say, and what those of its earlier
versions said: nothing lowers it. Every open study is in the list, with an answer or without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)

from radloop.domain.enums import ResultStatus, StudyState, Urgency
from radloop.ledger.admitted import openings, study_headers
from radloop.ledger.learning import signoffs, verdicts
from radloop.ledger.tables import Utc, results, studies, study_versions
from radloop.ledger.worklist_filters import Filter, Place, conditions, has_result, place_of

__all__ = [
    "Cursor",
    "Entry",
    "Filter",
    "Page",
    "Place",
    "get",
    "modalities",
    "others_of_patient",
    "page",
    "rise",
    "stamp",
    "stamp_of",
    "versions_of",
]

_v = study_versions.c
_EARLIER: Final = study_versions.alias("earlier")
_LATER: Final = study_versions.alias("later")
# A literal, so that the index of open versions is used: no database sees through a parameter.
_SIGNED: Final = literal_column("'SIGNED'", String)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of the page before: the next page begins after it."""

    rank: int
    since: datetime
    version_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One study of the list. `ordered` is the priority of its order, `urgency` what decides its place.

    `reason` is why no model read it, or why it is tried again. `patient_name`, `birth_date` and `study_date` (eight
    digits), `sex` and `description` are '' before its images were looked at.
    """

    version_id: str
    study_id: str
    number: int
    place: Place
    reason: str
    urgency: Urgency
    ordered: Urgency
    since: datetime
    instances: int
    modalities: tuple[str, ...]
    patient_id: str
    accession_number: str
    patient_name: str
    birth_date: str
    sex: str
    study_date: str
    description: str

    @property
    def cursor(self) -> Cursor:
        """Where the page after this row begins."""
        return Cursor(self.urgency.rank, self.since, self.version_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of the list, and how many there are of each urgency, whatever urgency is wanted."""

    entries: tuple[Entry, ...]
    counts: dict[Urgency, int]


def page(conn: Connection, wanted: Filter, after: Cursor | None = None, limit: int = 100) -> Page:
    """The first `limit` entries, or those after a cursor; one walk over what is open, for them and for the counts."""
    listed = _listed(wanted).cte("listed")
    keys = select(listed.c.id, listed.c.rank, listed.c.since, literal(0).label("number"))
    keys = keys.order_by(listed.c.rank.desc(), listed.c.since, listed.c.id).limit(limit)
    if wanted.urgency is not None:
        keys = keys.where(listed.c.rank == wanted.urgency.rank)
    if after is not None:
        keys = keys.where(_beyond(listed.c, after))
    counted = select(null(), listed.c.rank, null(), func.count()).group_by(listed.c.rank)
    rows = conn.execute(union_all(select(keys.subquery("keys")), counted)).all()
    numbers = {row.rank: row.number for row in rows if row.id is None}
    return Page(
        entries=_entries_of(conn, {row.id: row for row in rows if row.id is not None}),
        counts={urgency: numbers.get(urgency.rank, 0) for urgency in reversed(Urgency)},
    )


def get(conn: Connection, version_id: str) -> Entry | None:
    """The entry of one version, whether it is in the list or not."""
    keys = select(_v.id, _rank().label("rank"), _since().label("since")).where(_v.id == version_id)
    return next(iter(_entries(conn, keys)), None)


def modalities(conn: Connection) -> tuple[str, ...]:
    """The modalities that open studies have."""
    rows = conn.scalars(select(cast(_v.modalities, String)).where(_v.state != _SIGNED).distinct())
    letters = (part for row in rows for part in row.strip("[]").split(","))
    return tuple(sorted({name for part in letters if (name := part.strip().strip('"'))}))


def stamp(conn: Connection) -> str:
    """A text that changes when the list does.

    What comes in, goes on or goes out moves one of these; two that change places within a second may not.
    """
    state = (_v.state, _v.urgency)
    rows = conn.execute(select(*state, func.count()).where(_v.state != _SIGNED).group_by(*state).order_by(*state))
    newest = (_v.received_at, openings.c.at, signoffs.c.at)
    last = (conn.scalar(select(column).order_by(column.desc()).limit(1)) for column in newest)
    return repr((*map(tuple, rows), *(at and at.timestamp() for at in last)))


def stamp_of(conn: Connection, version_id: str) -> str:
    """A text that changes with what others do to one version: images, answers, verdicts, sign-off, a newer one."""
    mine = results.c.version_id == version_id
    said = (
        select(func.max(_LATER.c.number)).where(_LATER.c.study_id == _v.study_id),
        select(func.count()).select_from(results).where(mine),
        select(func.count()).select_from(verdicts).where(verdicts.c.version_id == version_id),
        select(signoffs.c.reader).where(signoffs.c.version_id == version_id),
    )
    query = select(_v.state, _v.reason, _v.instances, *(one.scalar_subquery() for one in said))
    return repr(conn.execute(query.where(_v.id == version_id)).first())


def rise(conn: Connection, version_id: str, urgency: Urgency) -> None:
    """A result is on record: its study rises at once, whatever other models are still asked. It never falls."""
    lower = [one for one in Urgency if one.rank < urgency.rank]
    conn.execute(update(study_versions).where(_v.id == version_id, _v.urgency.in_(lower)).values(urgency=urgency))


def _listed(wanted: Filter) -> Select[Any]:
    """(id, rank, since) of what is wanted, of every urgency."""
    later = exists().where(_LATER.c.study_id == _v.study_id, _LATER.c.number > _v.number)
    query = select(_v.id, _rank().label("rank"), _since().label("since")).where(~later)
    if wanted.signed_since is None:
        query = query.where(_v.state != _SIGNED)
    else:
        recent = select(signoffs.c.version_id).where(signoffs.c.at >= wanted.signed_since)
        query = query.where(_v.id.in_(recent), _v.state == _SIGNED)
    return query.where(*conditions(wanted))


def _rank() -> ColumnElement[int]:
    """The highest of order, findings, and what earlier versions came to."""
    earlier = (
        select(func.max(_higher(_EARLIER.c)))
        .where(_EARLIER.c.study_id == _v.study_id, _EARLIER.c.number <= _v.number)
        .scalar_subquery()
    )
    return case((_v.number > 1, earlier), else_=_higher(_v))


def _higher(columns: Any) -> ColumnElement[int]:
    found = case((columns.urgency == "CRITICAL", 2), (columns.urgency == "URGENT", 1), else_=0)
    return case((columns.priority_rank > found, columns.priority_rank), else_=found)


def _since() -> ColumnElement[datetime]:
    """Since when it waits: since the first images that no reader has closed."""
    first = (
        select(func.min(_EARLIER.c.received_at))
        .where(_EARLIER.c.study_id == _v.study_id, _EARLIER.c.state != _SIGNED, _EARLIER.c.number <= _v.number)
        .scalar_subquery()
    )
    return type_coerce(case((and_(_v.number > 1, _v.state != _SIGNED), first), else_=_v.received_at), Utc)


def _beyond(inner: Any, after: Cursor) -> ColumnElement[bool]:
    rank, since = inner.rank == after.rank, inner.since == after.since
    return or_(
        inner.rank < after.rank,
        and_(rank, inner.since > after.since),
        and_(rank, since, inner.id > after.version_id),
    )


def _entries(conn: Connection, keys: Select[Any]) -> tuple[Entry, ...]:
    return _entries_of(conn, {row.id: row for row in conn.execute(keys)})


def _entries_of(conn: Connection, keys: Mapping[str, Row[Any]]) -> tuple[Entry, ...]:
    """The entries of (rank, since) by version id, in the order of the list."""
    read = has_result(results.c.status == ResultStatus.OK)
    query = (
        select(study_versions, read.label("read"), *_SHOWN)
        .join(studies, _v.study_id == studies.c.id)
        .outerjoin(study_headers, study_headers.c.study_id == studies.c.id)
        .where(_v.id.in_(keys))
    )
    found = [_entry(row, keys[row.id]) for row in conn.execute(query)]
    return tuple(sorted(found, key=lambda one: (-one.urgency.rank, one.since, one.version_id)))


_SHOWN: Final[tuple[ColumnElement[Any], ...]] = (
    studies.c.patient_id,
    studies.c.accession_number,
    study_headers.c.patient_name,
    study_headers.c.birth_date,
    study_headers.c.sex,
    study_headers.c.study_date,
    study_headers.c.description,
)


def _entry(row: Row[Any], key: Row[Any]) -> Entry:
    return Entry(
        version_id=row.id,
        study_id=row.study_id,
        number=row.number,
        place=place_of(StudyState(row.state), row.reason, read=row.read),
        reason=row.reason or "",
        urgency=tuple(Urgency)[key.rank],
        ordered=tuple(Urgency)[min(row.priority_rank, 2)],
        since=key.since,
        instances=row.instances,
        modalities=tuple(map(str, row.modalities)),
        patient_id=row.patient_id,
        accession_number=row.accession_number,
        patient_name=row.patient_name or "",
        birth_date=row.birth_date or "",
        sex=row.sex or "",
        study_date=row.study_date or "",
        description=row.description or "",
    )


def versions_of(conn: Connection, study_id: str) -> Sequence[Entry]:
    """Every version of a study, the newest first."""
    keys = select(_v.id, _rank().label("rank"), _since().label("since")).where(_v.study_id == study_id)
    return sorted(_entries(conn, keys), key=lambda one: -one.number)


def others_of_patient(conn: Connection, study_id: str, limit: int) -> Sequence[Entry]:
    """Other studies of the same patient (id and issuer), each in its newest version, the newest first."""
    this = select(studies.c.patient_id, studies.c.issuer).where(studies.c.id == study_id).subquery()
    same = and_(studies.c.patient_id == this.c.patient_id, studies.c.issuer == this.c.issuer)
    wanted = select(studies.c.id).join(this, same).where(studies.c.id != study_id, studies.c.patient_id != "")
    later = exists().where(_LATER.c.study_id == _v.study_id, _LATER.c.number > _v.number)
    keys = (
        select(_v.id, _rank().label("rank"), type_coerce(_v.received_at, Utc).label("since"))
        .where(_v.study_id.in_(wanted), ~later)
        .order_by(_v.received_at.desc())
        .limit(limit)
    )
    found = _entries(conn, keys)
    return sorted(found, key=lambda one: one.since, reverse=True)
