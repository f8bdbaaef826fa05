"""Whether answers are used: shown, opened, agreed with, of use, by model and week. Nothing of any one reader."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, func, select

from radloop.domain.enums import ResultStatus, Standing, VerdictKind
from radloop.domain.verdicts import OVERRIDES
from radloop.ledger.admitted import openings, votes
from radloop.ledger.learning import verdicts
from radloop.ledger.tables import results, study_versions

_r, _v, _o = results.c, study_versions.c, openings.c
SILENT: Final = (Standing.CHALLENGER, Standing.SHADOW)
"""What these versions say is shown to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of one model in the week that begins on `week`, a Monday at the site; in all of them (None).

    Args:
        shown: answers that readers could see.
        opened: of those, whose study somebody opened, before or after the answer.
        waits: seconds from the answer to the first opening, where the answer was there first; in order.
        confirmed, overridden: verdicts on these answers, each reader's last word on each finding.
        useful, useless: votes.
    """

    model: str
    week: date | None
    shown: int
    opened: int
    waits: tuple[float, ...]
    confirmed: int
    overridden: int
    useful: int
    useless: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer, and what came of it."""

    model: str
    week: date
    wait: float | None
    opened: bool
    confirmed: int
    overridden: int
    useful: int
    useless: int


def by_week(conn: Connection, since: datetime, zone: ZoneInfo) -> tuple[Counts, ...]:
    """Every week with an answer to a study that was received since then, by model, the newest week first."""
    grouped: dict[tuple[str, date], list[_Answer]] = defaultdict(list)
    for answer in _answers(conn, since, zone):
        grouped[answer.model, answer.week].append(answer)
    keys = sorted(sorted(grouped, key=lambda key: key[1], reverse=True), key=lambda key: key[0])
    return tuple(_counts(model, week, grouped[model, week]) for model, week in keys)


def together(found: Iterable[Counts]) -> tuple[Counts, ...]:
    """The weeks of each model added up, by model."""
    grouped: dict[str, list[Counts]] = defaultdict(list)
    for one in found:
        grouped[one.model].append(one)
    names = ("shown", "opened", "confirmed", "overridden", "useful", "useless")
    return tuple(
        Counts(
            model=model,
            week=None,
            waits=tuple(sorted(wait for one in grouped[model] for wait in one.waits)),
            **{name: sum(getattr(one, name) for one in grouped[model]) for name in names},
        )
        for model in sorted(grouped)
    )


def week_of(at: datetime, zone: ZoneInfo) -> date:
    """The Monday of its week, at the site."""
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def _counts(model: str, week: date, answers: Iterable[_Answer]) -> Counts:
    every = list(answers)
    return Counts(
        model=model,
        week=week,
        shown=len(every),
        opened=sum(one.opened for one in every),
        waits=tuple(sorted(one.wait for one in every if one.wait is not None)),
        confirmed=sum(one.confirmed for one in every),
        overridden=sum(one.overridden for one in every),
        useful=sum(one.useful for one in every),
        useless=sum(one.useless for one in every),
    )


def _answers(conn: Connection, since: datetime, zone: ZoneInfo) -> Iterable[_Answer]:
    said, voted = _verdicts(conn, since), _votes(conn, since)
    first = select(func.min(_o.at)).where(_o.version_id == _r.version_id).scalar_subquery()
    for row in conn.execute(_of(since, _r.id, _r.model, _r.at, first.label("opened_at"))):
        wait = (row.opened_at - row.at).total_seconds() if row.opened_at else None
        confirmed, overridden = said.get(row.id, (0, 0))
        useful, useless = voted.get(row.id, (0, 0))
        yield _Answer(
            model=row.model,
            week=week_of(row.at, zone),
            wait=wait if wait is not None and wait >= 0 else None,
            opened=wait is not None,
            confirmed=confirmed,
            overridden=overridden,
            useful=useful,
            useless=useless,
        )


def _verdicts(conn: Connection, since: datetime) -> Mapping[str, tuple[int, int]]:
    """(confirmed, overridden) by result: the last word of each reader on each target."""
    d = verdicts.c
    query = _of(since, d.id, d.result_id, d.reader, d.target, d.kind).join(verdicts, d.result_id == _r.id)
    last: dict[tuple[str, str, str], str] = {}
    for row in conn.execute(query.order_by(d.at, d.id)):
        # What names no target of the model's is a word of its own.
        last[row.result_id, row.reader, row.target or row.id] = row.kind
    return _pairs((result, VerdictKind(kind) not in OVERRIDES) for (result, _, _), kind in last.items())


def _votes(conn: Connection, since: datetime) -> Mapping[str, tuple[int, int]]:
    """(useful, useless) by result."""
    query = _of(since, votes.c.result_id, votes.c.useful).join(votes, votes.c.result_id == _r.id)
    return _pairs((row.result_id, row.useful) for row in conn.execute(query))


def _pairs(words: Iterable[tuple[str, bool]]) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for result, yes in words:
        before = found.get(result, (0, 0))
        found[result] = (before[0] + yes, before[1] + (not yes))
    return found


def _of(since: datetime, *columns: Any) -> Select[Any]:
    """These columns, of the answers that readers could see."""
    joined = select(*columns).select_from(results).join(study_versions, _r.version_id == _v.id)
    return joined.where(_v.received_at >= since, _r.status == ResultStatus.OK, _r.standing.not_in(SILENT))
