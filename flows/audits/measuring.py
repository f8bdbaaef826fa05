"""Everything that one audit measured, in one record; and the same as JSON, which is kept beside the report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from flows.audits.accuracy import Accuracy, Group, Verified, accuracies, of_group, roc_points, verifications
from flows.audits.cases import Gathered, gather
from flows.audits.disagreement import Kinds, Missed, kinds, missed
from flows.audits.facts import judged, with_facts
from flows.audits.period import Period
from flows.audits.reading import ReadTimes, reading
from flows.audits.turnaround import Stage, turnaround
from flows.house import House
from radloop.domain.records import ModelVersion

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many study versions were signed, how many of them a champion answered, and how many answers were judged."""

    signed: int
    answered: int
    silent: int
    judged: int
    readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit. `model` is '' where it is of all. `rocs`: by group of all cases, points (M, 2) where there are any."""

    period: Period
    model: str
    site: str
    versions: tuple[ModelVersion, ...]
    counts: Counts
    accuracies: tuple[Accuracy, ...]
    verifications: tuple[Verified, ...]
    kinds: tuple[Kinds, ...]
    stages: tuple[Stage, ...]
    readings: tuple[ReadTimes, ...]
    missed: tuple[Missed, ...]
    rocs: Mapping[Group, tuple[tuple[float, float], ...]]

    @property
    def overall(self) -> tuple[Accuracy, ...]:
        """The rows that are of no subgroup."""
        return tuple(row for row in self.accuracies if row.group.overall)


def measure(house: House, period: Period, model: str = "") -> Audit:
    """Measure a period, of one model or all; nothing is changed.

    Raises:
        Transient: ledger or store are away.
    """
    with house.ledger.read() as conn:
        gathered = gather(conn, period, model)
        stages, readings = turnaround(conn, gathered), reading(conn, period)
    gathered = with_facts(house, gathered, judged(gathered))
    rows = accuracies(gathered)
    return Audit(
        period=period,
        model=model,
        site=house.settings.site.name,
        versions=gathered.versions,
        counts=counts(gathered),
        accuracies=rows,
        verifications=verifications(gathered),
        kinds=kinds(gathered),
        stages=stages,
        readings=readings,
        missed=missed(house, gathered),
        rocs=_rocs(gathered, rows),
    )


def counts(gathered: Gathered) -> Counts:
    """How much there is to measure at all."""
    return Counts(
        signed=len(gathered.signed),
        answered=len({answer.signed.version_id for answer in gathered.answers}),
        silent=gathered.silent,
        judged=len(judged(gathered)),
        readers=len({one.signer for one in gathered.signed}),
    )


def to_json(audit: Audit, at: datetime) -> bytes:
    """The measured numbers as JSON, keys sorted, times in ISO 8601; curves are left to the figures."""
    data = {
        "format": FORMAT,
        "made_at": at,
        "period": asdict(audit.period),
        "model": audit.model or None,
        "site": audit.site,
        "versions": [asdict(one) for one in audit.versions],
        "counts": asdict(audit.counts),
        "accuracy": [asdict(one) for one in audit.accuracies],
        "verification": [asdict(one) for one in audit.verifications],
        "verdicts": [{**asdict(one), "counts": dict(one.counts)} for one in audit.kinds],
        "turnaround_seconds": [asdict(one) for one in audit.stages],
        "reading_time": [asdict(one) for one in audit.readings],
        "missed": [{**asdict(one), "critical": one.critical} for one in audit.missed],
    }
    return (json.dumps(data, default=plain, indent=1, sort_keys=True) + "\n").encode()


def plain(value: object) -> object:
    """What JSON has no word for.

    Raises:
        TypeError: neither a time nor a word of ours.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def _rocs(gathered: Gathered, rows: tuple[Accuracy, ...]) -> Mapping[Group, tuple[tuple[float, float], ...]]:
    overall = [row.group for row in rows if row.group.overall]
    found = ((group, roc_points(of_group(gathered, group), group.reading)) for group in overall)
    return {group: tuple((float(x), float(y)) for x, y in points) for group, points in found if points is not None}
