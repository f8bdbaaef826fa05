"""How long the disk lasts: what comes in a day by the ledger, what retention frees, and how much room there is."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Connection, func, select

from flows.house import House
from flows.retain import policy_of
from radloop.domain.errors import StorageFull
from radloop.domain.ids import utc_now
from radloop.ledger import retained
from radloop.ledger.learning import training_copies
from radloop.ledger.tables import instances, objects

AHEAD: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
# What has a size and a time in the ledger. Pictures and heatmaps have neither: they are some per cent of their images.
_COMES_IN: Final[Mapping[str, tuple[Column[Any], Column[Any]]]] = {
    "images": (instances.c.blob_size, instances.c.received_at),
    "reports": (objects.c.blob_size, objects.c.at),
    "training copies": (training_copies.c.blob_size, training_copies.c.at),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageForecast:
    """All sizes in bytes.

    `per_day`: what came in a day, by kind, over the last `days`. `free` and `total`: of the store's disk. `freed_ahead`:
    what retention deletes in the next 30 days of what is there now, `held_back` what it would if nothing kept it (holds,
    audits, deliveries). `obeyed`: whether somebody has seen a dry run of the policy: else nothing is freed. `days_left`:
    until the disk is full at this pace; None where it does not fill.
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
    disk = _disk(house)
    obeyed = _obeyed(house)
    with house.ledger.read() as conn:
        span = _span(conn, now, timedelta(days=days))
        per_day = {name: _came(conn, *columns, now - span) * (DAY / span) for name, columns in _COMES_IN.items()}
        freed, held_back = _freed(conn, house, now)
    pace = sum(per_day.values()) - (freed * (DAY / AHEAD) if obeyed else 0.0)
    return StorageForecast(
        at=now,
        days=span / DAY,
        per_day=per_day,
        free=disk.free,
        total=disk.total,
        freed_ahead=freed,
        held_back=held_back,
        obeyed=obeyed,
        days_left=disk.free / pace if pace > 0 else None,
    )


def _obeyed(house: House) -> bool:
    with house.ledger.read() as conn:
        return retained.seen(conn, policy_of(house.settings.retention).digest)


def _disk(house: House) -> Any:
    try:
        return shutil.disk_usage(house.settings.store_path)
    except OSError as error:
        raise StorageFull("the store's disk cannot be asked") from error


def _span(conn: Connection, now: datetime, wanted: timedelta) -> timedelta:
    """At least a day, so that the first hour of a site is no forecast of its years."""
    first = conn.scalar(select(instances.c.received_at).order_by(instances.c.received_at).limit(1))
    return max(DAY, min(wanted, now - first)) if first else max(DAY, wanted)


def _came(conn: Connection, size: Column[Any], at: Column[Any], since: datetime) -> int:
    return int(conn.scalar(select(func.coalesce(func.sum(size), 0)).where(at >= since)) or 0)


def _freed(conn: Connection, house: House, now: datetime) -> tuple[int, int]:
    """What the policy deletes until then of what is there now, and what only something that keeps it holds back."""
    counted: set[str] = set()
    freed = held_back = 0
    for part, bound in policy_of(house.settings.retention).bounds(now + AHEAD).items():
        for one in retained.candidates(conn, part, bound):
            size = _fresh(retained.blobs(conn, part, one.version_id), counted)
            freed, held_back = (freed, held_back + size) if one.kept_by else (freed + size, held_back)
    return freed, held_back


def _fresh(keys: Mapping[str, int | None], counted: set[str]) -> int:
    """The size of those that were not counted with another version of the same study."""
    size = sum(keys[key] or 0 for key in keys.keys() - counted)
    counted.update(keys)
    return size
