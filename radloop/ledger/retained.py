"""What retention deleted or may delete: legal holds, policies that somebody looked at, and blobs that are gone.

A study is closed by its sign-off; from then on its parts go by their own time. Queries say what is due, and what keeps
it. Deleting takes three steps: `begin` notes the keys that are about to go, the store shreds them, `end` notes that
they are gone. A hold takes the lock that `begin` takes: it is seen there, or told what was on its way already.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Select,
    String,
    Table,
    Text,
    and_,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)

from radloop.domain.enums import DeliveryState, Standing, StudyState
from radloop.ledger.audit_reports import audit_reports
from radloop.ledger.copies import in_parts
from radloop.ledger.learning import signoffs
from radloop.ledger.tables import (
    Utc,
    deliveries,
    findings,
    id_column,
    instances,
    metadata,
    objects,
    reference,
    results,
    studies,
    study_versions,
)

legal_holds = Table(
    "legal_holds",
    metadata,
    id_column(),
    reference("study_id", "studies"),
    # In a person's own words: they stay here, and are in no audit and no log.
    Column("why", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("lifted_why", Text),
    Column("lifted_by", Text),
    Column("lifted_at", Utc),
)

retention_previews = Table(
    "retention_previews",
    metadata,
    id_column(),
    # SHA-256 of the policy, which is canonical JSON.
    Column("digest", String(64), nullable=False),
    Column("policy", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
)

deletions = Table(
    "deletions",
    metadata,
    Column("blob_key", String(64), primary_key=True),
    Column("part", String(16), nullable=False),
    Column("version_id", String(32), ForeignKey("study_versions.id"), index=True),
    # NULL where no row says how large it was.
    Column("size", BigInteger),
    Column("begun_at", Utc, nullable=False),
    Column("gone_at", Utc, index=True),
)


class Part(StrEnum):
    """What of a study goes together."""

    PICTURES = "PICTURES"
    """Images as they were received, and the pictures and heatmaps made of them."""
    REPORTS = "REPORTS"
    """What was sent: SR, SC, SEG, ORU, DiagnosticReport."""


_s, _v, _d, _h, _p = signoffs.c, study_versions.c, deletions.c, legal_holds.c, retention_previews.c
_ANSWERED: Final = (StudyState.ANSWERED, StudyState.SIGNED)
_ON_ITS_WAY: Final = (DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.PARKED)
_DONE_IN: Final = {Part.PICTURES: _s.forgotten_at, Part.REPORTS: _s.reports_gone_at}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part of a signed study version whose time is over, and what keeps it all the same, in words."""

    version_id: str
    part: Part
    signed_at: datetime
    kept_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """`signed_by`: what was signed later is not due. `audited`: whether an audit report must have covered it."""

    signed_by: datetime
    audited: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Somebody looked at what a policy would delete."""

    digest: str
    actor: str
    at: datetime


def candidates(conn: Connection, part: Part, bound: Bound) -> tuple[Candidate, ...]:
    """Everything whose time is over and is still there, the longest signed first, with what keeps it."""
    reasons = _reasons(part, bound)
    flags = [condition.label(f"kept_{number}") for number, condition in enumerate(reasons.values())]
    rows = conn.execute(_due(part, bound, *flags))
    return tuple(
        Candidate(row[0], part, row[1], tuple(why for why, kept in zip(reasons, row[2:], strict=True) if kept))
        for row in rows
    )


def due(conn: Connection, part: Part, bound: Bound, limit: int) -> tuple[str, ...]:
    """The version ids of those candidates that nothing keeps."""
    free = _due(part, bound).where(~or_(*_reasons(part, bound).values()))
    return tuple(conn.scalars(free.limit(limit)))


def blobs(conn: Connection, part: Part, version_id: str) -> Mapping[str, int | None]:
    """The keys of a version's part that are not noted as gone, and their sizes in bytes where a row has them.

    What an earlier version left that nobody signed goes with the version that was signed after it.
    """
    found: dict[str, int | None] = {}
    for query in _NAMED[part](version_id):
        found.update({key: size for key, size in conn.execute(query) if key})
    return {key: found[key] for key in sorted(found.keys() - _noted(conn, found))}


def begin(conn: Connection, part: Part, bound: Bound, version_id: str, at: datetime) -> Mapping[str, int | None] | None:
    """Note what is about to be deleted; None where something keeps it now, or it is gone."""
    study_id = conn.scalar(select(_v.study_id).where(_v.id == version_id))
    lock_study(conn, str(study_id))
    free = _due(part, bound).where(~or_(*_reasons(part, bound).values()), _s.version_id == version_id)
    if conn.execute(free).first() is None:
        return None
    going = blobs(conn, part, version_id)
    intend(conn, part, version_id, going, at)
    return going


def end(conn: Connection, part: Part, version_id: str, keys: Collection[str], at: datetime) -> bool:
    """Note that a version's part is gone; False where that was noted before."""
    note(conn, keys, at)
    done = _DONE_IN[part]
    once = update(signoffs).where(_s.version_id == version_id, done.is_(None))
    return conn.execute(once.values({done.name: at})).rowcount == 1


def lock_study(conn: Connection, study_id: str) -> None:
    """Lock a study until this transaction ends: who holds it and who deletes it take turns."""
    conn.execute(select(studies.c.id).where(studies.c.id == study_id).with_for_update())


def intend(conn: Connection, part: Part, version_id: str, keys: Mapping[str, int | None], at: datetime) -> None:
    """Note keys that are about to be deleted, once. From here on nobody may count on their bytes."""
    known = {key for some in in_parts(keys) for key in conn.scalars(select(_d.blob_key).where(_d.blob_key.in_(some)))}
    rows = [
        {"blob_key": key, "part": part.value, "version_id": version_id, "size": size, "begun_at": at}
        for key, size in keys.items()
        if key not in known
    ]
    if rows:
        conn.execute(insert(deletions), rows)


def note(conn: Connection, keys: Collection[str], at: datetime) -> None:
    """Note that these are gone."""
    for some in in_parts(keys):
        conn.execute(update(deletions).where(_d.blob_key.in_(some), _d.gone_at.is_(None)).values(gone_at=at))


def begun(conn: Connection, study_id: str) -> int:
    """How many blobs of a study are gone or on their way."""
    of_study = select(_d.blob_key).join(study_versions, _v.id == _d.version_id).where(_v.study_id == study_id)
    return len(conn.scalars(of_study).all())


def seen(conn: Connection, digest: str) -> bool:
    """Whether the policy that somebody looked at last is this one."""
    newest = select(_p.digest).order_by(_p.at.desc(), _p.id.desc()).limit(1)
    return conn.scalar(newest) == digest


def add_preview(conn: Connection, preview_id: str, preview: Preview, policy: str) -> None:
    """Keep that somebody looked."""
    row = {"id": preview_id, "digest": preview.digest, "policy": policy, "actor": preview.actor, "at": preview.at}
    conn.execute(insert(retention_previews).values(row))


def _due(part: Part, bound: Bound, *more: ColumnElement[bool]) -> Select[Any]:
    return (
        select(_s.version_id, _s.at, *more)
        .join(study_versions, _v.id == _s.version_id)
        .where(_s.at <= bound.signed_by, _DONE_IN[part].is_(None))
        .order_by(_s.at, _s.version_id)
    )


def _reasons(part: Part, bound: Bound) -> Mapping[str, ColumnElement[bool]]:
    """What keeps a part whose time is over: words and condition."""
    waits = {"a later version is open": _a_later_one_is_open(bound)} if part is Part.PICTURES else {}
    sent = {"not all of it was delivered": _something_is_on_its_way()} if part is Part.REPORTS else {}
    audit = {"no audit report covers it yet": _unaudited()} if bound.audited else {}
    return {"legal hold": held(_v.study_id), **waits, **sent, **audit}


def held(study_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether somebody holds this study."""
    return exists().where(_h.study_id == study_id, _h.lifted_at.is_(None))


def _a_later_one_is_open(bound: Bound) -> ColumnElement[bool]:
    """A later version is made of the same images: one that a model read, or has yet to, and is not due itself."""
    later, its = study_versions.alias("later"), signoffs.alias("its")
    waits = (
        select(literal(1))
        .select_from(later.outerjoin(its, its.c.version_id == later.c.id))
        .where(
            later.c.study_id == _v.study_id,
            later.c.number > _v.number,
            or_(its.c.at.is_(None), its.c.at > bound.signed_by),
            or_(later.c.state.not_in(_ANSWERED), exists().where(results.c.version_id == later.c.id)),
        )
        .correlate(study_versions)
    )
    return exists(waits)


def _something_is_on_its_way() -> ColumnElement[bool]:
    mine, c = _mine("sent"), deliveries.c
    open_ones = or_(c.state.in_(_ON_ITS_WAY), c.commit_at.is_not(None))
    waits = select(literal(1)).select_from(deliveries.join(mine, mine.c.id == c.version_id))
    return exists(waits.where(_goes_with(mine), open_ones).correlate(study_versions))


def _unaudited() -> ColumnElement[bool]:
    """A model's answer was signed after the last report on that model, or on all of them, ended or was made."""
    a, r = audit_reports.c, results.c
    covered = exists().where(
        or_(a.model == r.model, a.model == ""), a.period_end > _s.at, a.at > _s.at
    )  # fmt: skip
    return exists().where(r.version_id == _v.id, r.standing != Standing.SHADOW, ~covered)


def _mine(name: str) -> Any:
    return study_versions.alias(name)


def _goes_with(mine: Any) -> ColumnElement[bool]:
    """A version of the same study: the one that was signed, or an earlier one that nobody signed."""
    unsigned = ~exists().where(_s_of(mine))
    return and_(mine.c.study_id == _v.study_id, or_(mine.c.id == _v.id, and_(mine.c.number < _v.number, unsigned)))


def _s_of(mine: Any) -> ColumnElement[bool]:
    other = signoffs.alias("signed")
    same: ColumnElement[bool] = other.c.version_id == mine.c.id
    return same


def _pictures(version_id: str) -> tuple[Select[Any], ...]:
    mine = _mine("mine")
    up_to = and_(mine.c.study_id == _v.study_id, mine.c.number <= _v.number)
    images = (
        select(instances.c.blob_key, instances.c.blob_size)
        .join(mine, mine.c.id == instances.c.version_id)
        .join(study_versions, up_to)
        .where(_v.id == version_id)
    )
    made = [
        select(column, literal(None).label("size"))
        .join(results, results.c.id == findings.c.result_id)
        .join(mine, mine.c.id == results.c.version_id)
        .join(study_versions, _goes_with(mine))
        .where(_v.id == version_id, column.is_not(None))
        for column in (findings.c.picture_key, findings.c.heatmap_key)
    ]
    return (images, *made)


def _reports(version_id: str) -> tuple[Select[Any], ...]:
    mine = _mine("mine")
    return (
        select(objects.c.blob_key, objects.c.blob_size)
        .join(results, results.c.id == objects.c.result_id)
        .join(mine, mine.c.id == results.c.version_id)
        .join(study_versions, _goes_with(mine))
        .where(_v.id == version_id),
    )


_NAMED: Final = {Part.PICTURES: _pictures, Part.REPORTS: _reports}


def _noted(conn: Connection, keys: Collection[str]) -> set[str]:
    """Those of `keys` that are gone."""
    gone = select(_d.blob_key).where(_d.gone_at.is_not(None))
    return {key for some in in_parts(keys) for key in conn.scalars(gone.where(_d.blob_key.in_(some)))}
