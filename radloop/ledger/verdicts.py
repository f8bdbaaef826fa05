"""What readers said of findings. A row is never changed: a reader who changes their mind adds another."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from radloop.domain.enums import Awareness, Laterality, Severity, VerdictKind, VerdictSource
from radloop.domain.records import Code, Verdict
from radloop.domain.verdicts import OVERRIDES
from radloop.ledger.learning import verdicts
from radloop.ledger.once import add_once
from radloop.ledger.tables import results

_v = verdicts.c


def add(conn: Connection, verdict: Verdict) -> bool:
    """Keep a verdict; False where this (source, source_id) was kept before, whatever it said."""
    return add_once(conn, verdicts, **asdict(verdict))


def by_source(conn: Connection, source: VerdictSource, source_id: str) -> Verdict | None:
    """The verdict that came in by this door under this id."""
    return next(iter(_verdicts(conn, select(verdicts).where(_v.source == source, _v.source_id == source_id))), None)


def of_result(conn: Connection, result_id: str) -> tuple[Verdict, ...]:
    """Every verdict on a result, in order of time."""
    return _verdicts(conn, select(verdicts).where(_v.result_id == result_id))


def of_version(conn: Connection, version_id: str) -> tuple[Verdict, ...]:
    """Every verdict on a study version, in order of time."""
    return _verdicts(conn, select(verdicts).where(_v.version_id == version_id))


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, list[Verdict]]:
    """Every verdict on these study versions, in order of time, by version id. Ask for some hundreds at a time."""
    grouped: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in _verdicts(conn, select(verdicts).where(_v.version_id.in_(version_ids))):
        grouped[verdict.version_id].append(verdict)
    return grouped


def since(conn: Connection, model: str, at: datetime | None) -> tuple[Verdict, ...]:
    """Every verdict later than `at` (None: ever) on results of any version of a model, in order of time."""
    return _verdicts(conn, _of_model(select(verdicts), model, at))


def overrides(conn: Connection, at: datetime | None = None, limit: int | None = None) -> tuple[Verdict, ...]:
    """The verdicts that disagree with a model, later than `at` where it is given, the newest first."""
    query = select(verdicts).where(_disagrees(), *([_v.at > at] if at else []))
    found = conn.execute(query.order_by(_v.at.desc(), _v.id).limit(limit))
    return tuple(_verdict(row) for row in found)


def overrides_since(conn: Connection, model: str, at: datetime | None) -> int:
    """How many verdicts later than `at` (None: ever) disagree with a version of a model."""
    query = _of_model(select(func.count()).select_from(verdicts), model, at).where(_disagrees())
    return conn.scalar(query) or 0


def _disagrees() -> ColumnElement[bool]:
    return _v.kind.in_(sorted(OVERRIDES))


def _of_model(query: Select[Any], model: str, at: datetime | None) -> Select[Any]:
    found = query.join(results, _v.result_id == results.c.id).where(results.c.model == model)
    return found if at is None else found.where(_v.at > at)


def _verdicts(conn: Connection, query: Select[Any]) -> tuple[Verdict, ...]:
    return tuple(_verdict(row) for row in conn.execute(query.order_by(_v.at, _v.id)))


def _verdict(row: Row[Any]) -> Verdict:
    return Verdict(
        id=row.id,
        result_id=row.result_id,
        version_id=row.version_id,
        target=row.target,
        kind=VerdictKind(row.kind),
        reader=row.reader,
        actor=row.actor,
        at=row.at,
        awareness=Awareness(row.awareness),
        source=VerdictSource(row.source),
        source_id=row.source_id,
        text=row.text,
        code=Code(**row.code) if row.code else None,
        severity=Severity(row.severity) if row.severity else None,
        laterality=Laterality(row.laterality) if row.laterality else None,
    )
