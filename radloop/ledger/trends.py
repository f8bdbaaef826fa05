"""How each scanner's answers moved, day by day. Queries only; no patient data."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, case, func, select

from radloop.domain.enums import ResultStatus, Standing
from radloop.ledger.tables import acquisitions, findings, results
from radloop.ledger.windows import device_of

_a, _f, _r = acquisitions.c, findings.c, results.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day (UTC) of one scanner: `n` answers, their mean probability and the share called, both 0..1."""

    day: date
    n: int
    mean: float
    called: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One scanner at one site, its days in order; the busiest scanner comes first."""

    site: str
    device: str
    days: tuple[Day, ...]

    @property
    def n(self) -> int:
        """Answers on all days."""
        return sum(one.n for one in self.days)


def targets(conn: Connection, since: datetime) -> tuple[tuple[str, str], ...]:
    """Every (model, target) that a champion answered since then."""
    query = select(_r.model, _f.target).join(findings, _f.result_id == _r.id).where(*_answered(since)).distinct()
    return tuple((row.model, row.target) for row in conn.execute(query.order_by(_r.model, _f.target)))


def by_scanner(conn: Connection, model: str, target: str, since: datetime) -> tuple[Trend, ...]:
    """The trend of every scanner for one target of one model."""
    # A study counts once for each scanner that made images of it, however many slices those are.
    made = select(_a.version_id, _a.site, _a.manufacturer, _a.model_name, _a.station).distinct().subquery()
    day = func.date(_r.at).label("day")
    called = case((_f.probability >= _f.threshold, 1.0), else_=0.0)
    where = (*_answered(since), _r.model == model, _f.target == target)
    keys = (made.c.site, made.c.manufacturer, made.c.model_name, made.c.station, day)
    numbers = (func.count().label("n"), func.avg(_f.probability).label("mean"), func.avg(called).label("called"))
    query = (
        select(*keys, *numbers)
        .select_from(results)
        .join(findings, _f.result_id == _r.id)
        .join(made, made.c.version_id == _r.version_id)
        .where(*where)
        .group_by(*keys)
        .order_by(day)
    )
    return _trends(conn.execute(query))


def _answered(since: datetime) -> tuple[Any, ...]:
    return (_r.at >= since, _r.standing == Standing.CHAMPION, _r.status == ResultStatus.OK)


def _trends(rows: Any) -> tuple[Trend, ...]:
    days: dict[tuple[str, str], list[Day]] = defaultdict(list)
    for row in rows:
        # SQLite tells a day as text, PostgreSQL as a date.
        day = date.fromisoformat(str(row.day))
        device = device_of(row.manufacturer, row.model_name, row.station)
        days[row.site, device].append(Day(day=day, n=row.n, mean=float(row.mean), called=float(row.called)))
    found = (Trend(site=site, device=device, days=tuple(of)) for (site, device), of in days.items())
    return tuple(sorted(found, key=lambda trend: (-trend.n, trend.site, trend.device)))
