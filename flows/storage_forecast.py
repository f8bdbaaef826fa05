"""How long the disk lasts: what comes in a day by the ledger, what retention frees, and how much room there is."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from flows.house import House
from flows.retain import is_seen, policy_of
from radloop.domain.errors import StorageFull
from radloop.domain.ids import utc_now
from radloop.ledger import retained
from radloop.ledger.copies import in_parts
from radloop.ledger.learning import training_copies
from radloop.ledger.retained import Part
from radloop.ledger.tables import instances, objects, results, study_versions

AHEAD: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
_v = study_versions.c
# Bytes by kind, of the studies that arrived since. Pictures and heatmaps have no size in the ledger: they are some per
# cent of their images.
_IMAGES: Final = select(func.sum(instances.c.blob_size)).join(study_versions, _v.id == instances.c.version_id)
_REPORTS: Final = (
    select(func.sum(objects.c.blob_size))
    .join(results, results.c.id == objects.c.result_id)
    .join(study_versions, _v.id == results.c.version_id)
)
_COPIES: Final = select(func.sum(training_copies.c.blob_size))
_SIZE_OF: Final = {Part.PICTURES: _IMAGES, Part.REPORTS: _REPORTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageForecast:
    """All sizes in bytes.

    `per_day`: what came in a day, by kind, over the last `days`. `free` and `total`: of the store's disk.
    `freed_ahead`: what retention deletes in the next 30 days of what is there now; `held_back`: what it would delete if
    nothing kept it (holds, audits, deliveries). `obeyed`: whether somebody has seen a dry run of the policy, else
    nothing is freed. `days_left`: until the disk is full at this pace; None where it does not fill.
    """

    at: datetime
    days: float
    per_day: Mapping[str, float]
    free: int
    total: int
    freed_ahead: int
    held_back: int
    obeyed: bool
    days_left: float | None


def forecast(house: House, days: float = 14.0) -> StorageForecast:
    """Look back over `days` (fewer where the ledger is younger), and ahead.

    Raises:
        Unavailable: the ledger's.
        StorageFull: the store's disk cannot be asked.
    """
    now = utc_now()
    total, free = _disk(house)
    obeyed = is_seen(house)
    with house.ledger.read() as conn:
        span = _span(conn, now, timedelta(days=days))
        per_day = {name: size * (DAY / span) for name, size in _came(conn, now - span).items()}
        freed, held_back = _freed(conn, house, now)
    pace = sum(per_day.values()) - (freed * (DAY / AHEAD) if obeyed else 0.0)
    return StorageForecast(
        at=now,
        days=span / DAY,
        per_day=per_day,
        free=free,
        total=total,
        freed_ahead=freed,
        held_back=held_back,
        obeyed=obeyed,
        days_left=free / pace if pace > 0 else None,
    )


def _disk(house: House) -> tuple[int, int]:
    """Total and free bytes of the store's disk."""
    try:
        usage = shutil.disk_usage(house.settings.store_path)
    except OSError as error:
        raise StorageFull("the store's disk cannot be asked") from error
    return usage.total, usage.free


def _span(conn: Connection, now: datetime, wanted: timedelta) -> timedelta:
    """At least a day, so that the first hour of a site is no forecast of its years."""
    first = conn.scalar(select(func.min(_v.received_at)))
    return max(DAY, min(wanted, now - first)) if first else max(DAY, wanted)


def _came(conn: Connection, since: datetime) -> Mapping[str, int]:
    arrived = _v.received_at >= since
    return {
        "images": conn.scalar(_IMAGES.where(arrived)) or 0,
        "reports": conn.scalar(_REPORTS.where(arrived)) or 0,
        "training copies": conn.scalar(_COPIES.where(training_copies.c.at >= since)) or 0,
    }


def _freed(conn: Connection, house: House, now: datetime) -> tuple[int, int]:
    """What the policy deletes until then of what is there now, and what only something that keeps it holds back."""
    freed = held_back = 0
    for part, bound in policy_of(house.settings.retention).bounds(now + AHEAD).items():
        found = retained.candidates(conn, part, bound)
        freed += _size(conn, part, [one.version_id for one in found if not one.kept_by])
        held_back += _size(conn, part, [one.version_id for one in found if one.kept_by])
    return freed, held_back


def _size(conn: Connection, part: Part, version_ids: Sequence[str]) -> int:
    return sum(conn.scalar(_SIZE_OF[part].where(_v.id.in_(some))) or 0 for some in in_parts(version_ids))
