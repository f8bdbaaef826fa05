"""How a champion does on live traffic: answers, failed attempts and waits, each with its site and scanner."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from radloop.domain.enums import Standing
from radloop.ledger.tables import acquisitions, attempts, results, study_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study version came from: the peer that sent it, and the scanner by maker and model ('' where unknown)."""

    site: str
    scanner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One study version that a champion answered: the result, and seconds from judged whole to answered."""

    version_id: str
    result_id: str
    seconds: float | None


def spoken(conn: Connection, digest: str, since: datetime) -> tuple[Spoken, ...]:
    """What a version said as champion since a time, in order of time."""
    query = (
        select(results.c.version_id, results.c.id, study_versions.c.completed_at, study_versions.c.answered_at)
        .join(study_versions, study_versions.c.id == results.c.version_id)
        .where(results.c.digest == digest, results.c.standing == Standing.CHAMPION, results.c.at >= since)
        .order_by(results.c.at, results.c.id)
    )
    return tuple(
        Spoken(version_id=row.version_id, result_id=row.id, seconds=_seconds(row.completed_at, row.answered_at))
        for row in conn.execute(query)
    )


def failed(conn: Connection, digest: str, since: datetime) -> dict[str, tuple[str, ...]]:
    """What kept a version from a result since a time, in the words of the attempts, by study version."""
    query = select(attempts.c.version_id, attempts.c.error).where(attempts.c.digest == digest, attempts.c.at >= since)
    found: dict[str, tuple[str, ...]] = {}
    for version_id, error in conn.execute(query.order_by(attempts.c.at)):
        found[version_id] = (*found.get(version_id, ()), error)
    return found


def places(conn: Connection, version_ids: Iterable[str]) -> dict[str, Place]:
    """Where study versions came from; of several scanners the first by name."""
    a, v = acquisitions.c, study_versions.c
    query = (
        select(v.id, v.peer, func.min(a.manufacturer + " " + a.model_name).label("scanner"))
        .outerjoin(acquisitions, a.version_id == v.id)
        .where(v.id.in_(list(version_ids)))
        .group_by(v.id, v.peer)
    )
    return {row.id: Place(site=row.peer, scanner=(row.scanner or "").strip()) for row in conn.execute(query)}


def _seconds(begun: datetime | None, ended: datetime | None) -> float | None:
    return (ended - begun).total_seconds() if begun and ended else None
