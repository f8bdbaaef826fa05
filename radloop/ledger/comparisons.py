"""Answers that nobody was sent beside the champion's: which are still to be made, and what the pairs say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, func, select

from radloop.domain.enums import ResultStatus, Standing
from radloop.domain.records import ModelVersion
from radloop.ledger.tables import attempts, findings, results, study_versions

_silent, _spoken = results.alias("silent"), results.alias("spoken")
_beside = and_(
    _silent.c.version_id == _spoken.c.version_id,
    _silent.c.model == _spoken.c.model,
    _spoken.c.standing == Standing.CHAMPION,
    _spoken.c.status == ResultStatus.OK,
    _silent.c.standing != Standing.CHAMPION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One target of one study version: what the silent version said, and what the champion did.

    Probabilities and thresholds are 0..1; seconds are those of the whole answer, None where unknown.
    """

    version_id: str
    target: str
    silent: float
    silent_threshold: float
    champion: float
    champion_threshold: float
    silent_seconds: float | None
    champion_seconds: float | None


def due(
    conn: Connection, model: ModelVersion, since: datetime, limit: int | None = None, tries: int = 3
) -> tuple[str, ...]:
    """Study versions received since a time, the oldest first, that a champion answered and this version did not.

    One at which it has failed `tries` times is left alone.
    """
    versions, spoken = study_versions.c, results.c
    query = (
        select(versions.id)
        .join(results, spoken.version_id == versions.id)
        .where(
            versions.received_at >= since,
            versions.answered_at.is_not(None),
            spoken.model == model.name,
            spoken.standing == Standing.CHAMPION,
            spoken.status == ResultStatus.OK,
            spoken.digest != model.digest,
            ~_answered(model.digest),
            _failures(model.digest) < tries,
        )
        .order_by(versions.received_at, versions.id)
        .limit(limit)
    )
    return tuple(dict.fromkeys(conn.scalars(query)))


def count(conn: Connection, digest: str) -> int:
    """On how many study versions this version answered silently beside a champion."""
    query = select(func.count(_silent.c.version_id.distinct())).join(_spoken, _beside)
    return conn.scalar(query.where(_silent.c.digest == digest, _silent.c.status == ResultStatus.OK)) or 0


def statuses(conn: Connection, digest: str) -> dict[str, int]:
    """How often this version's silent answers beside a champion's came out how, by result status."""
    query = select(_silent.c.status, func.count()).join(_spoken, _beside).where(_silent.c.digest == digest)
    return {str(status): number for status, number in conn.execute(query.group_by(_silent.c.status))}


def pairs(conn: Connection, digest: str) -> tuple[Pair, ...]:
    """Every target that both this version (silently) and a champion scored, in order of time."""
    mine, theirs = findings.alias("mine"), findings.alias("theirs")
    query = (
        select(
            _silent.c.version_id,
            mine.c.target,
            mine.c.probability.label("silent"),
            mine.c.threshold.label("silent_threshold"),
            theirs.c.probability.label("champion"),
            theirs.c.threshold.label("champion_threshold"),
            _silent.c.run.label("silent_run"),
            _spoken.c.run.label("champion_run"),
        )
        .join(_spoken, _beside)
        .join(mine, mine.c.result_id == _silent.c.id)
        .join(theirs, and_(theirs.c.result_id == _spoken.c.id, theirs.c.target == mine.c.target))
        .where(_silent.c.digest == digest)
        .order_by(_silent.c.at, _silent.c.id, mine.c.ordinal)
    )
    return tuple(_pair(row) for row in conn.execute(query).mappings())


def _answered(digest: str) -> ColumnElement[bool]:
    return exists().where(_silent.c.version_id == study_versions.c.id, _silent.c.digest == digest)


def _failures(digest: str) -> Any:
    failed = (attempts.c.version_id == study_versions.c.id, attempts.c.digest == digest)
    return select(func.count()).select_from(attempts).where(*failed).scalar_subquery()


def _pair(row: RowMapping) -> Pair:
    words = ("version_id", "target", "silent", "silent_threshold", "champion", "champion_threshold")
    return Pair(
        **{word: row[word] for word in words},
        silent_seconds=_seconds(row["silent_run"]),
        champion_seconds=_seconds(row["champion_run"]),
    )


def _seconds(run: dict[str, float] | None) -> float | None:
    return float(run["seconds"]) if run else None
