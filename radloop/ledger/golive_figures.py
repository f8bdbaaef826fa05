"""Figures of going live: by modality and hour, how many studies, how fast, how many errors, how urgent, how agreed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from radloop.domain.enums import ResultStatus, Standing, Urgency
from radloop.domain.verdicts import OVERRIDES
from radloop.ledger.learning import verdicts
from radloop.ledger.tables import attempts, findings, models, results, study_versions

_v, _r = study_versions.c, results.c
FAST, SLOW = 15.0, 60.0
"""Seconds from whole to answered that people are promised."""
NO_IMAGES: Final = frozenset(("SR", "PR", "KO", "DOC", "REG", "SEG", "AU"))
URGENT: Final = (Urgency.URGENT, Urgency.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one modality in one hour, or in all of them (`hour` None).

    Args:
        studies: study versions received.
        answered: of those, answered; within 15 s and within 60 s of being whole.
        errors: tries at an answer that failed, and answers that say that the model could not read.
        urgent: studies with an urgent finding of the version that answers, said aloud or in silence.
        verdicts: what readers said, and how much of it agrees.
    """

    modality: str
    hour: datetime | None
    studies: int
    answered: int
    within_fast: int
    within_slow: int
    errors: int
    urgent: int
    verdicts: int
    agreed: int


@dataclass(frozen=True, slots=True)
class _Study:
    modality: str
    hour: datetime
    seconds: float | None
    errors: int
    urgent: bool
    verdicts: int
    agreed: int


def by_hour(conn: Connection, since: datetime) -> tuple[Figures, ...]:
    """Every hour in which studies came in, by modality, the newest hour first."""
    grouped: dict[tuple[str, datetime], list[_Study]] = defaultdict(list)
    for study in _studies(conn, since):
        grouped[study.modality, study.hour].append(study)
    keys = sorted(grouped, key=lambda key: key[1], reverse=True)
    return tuple(_figures(modality, hour, grouped[modality, hour]) for modality, hour in keys)


def together(found: Iterable[Figures]) -> tuple[Figures, ...]:
    """The hours of each modality added up, by modality."""
    grouped: dict[str, list[Figures]] = defaultdict(list)
    for one in found:
        grouped[one.modality].append(one)
    names = ("studies", "answered", "within_fast", "within_slow", "errors", "urgent", "verdicts", "agreed")
    return tuple(
        Figures(modality=key, hour=None, **{name: sum(getattr(one, name) for one in grouped[key]) for name in names})
        for key in sorted(grouped)
    )


def _figures(modality: str, hour: datetime, studies: Collection[_Study]) -> Figures:
    seconds = [one.seconds for one in studies if one.seconds is not None]
    return Figures(
        modality=modality,
        hour=hour,
        studies=len(studies),
        answered=len(seconds),
        within_fast=sum(one <= FAST for one in seconds),
        within_slow=sum(one <= SLOW for one in seconds),
        errors=sum(one.errors for one in studies),
        urgent=sum(one.urgent for one in studies),
        verdicts=sum(one.verdicts for one in studies),
        agreed=sum(one.agreed for one in studies),
    )


def _studies(conn: Connection, since: datetime) -> Iterable[_Study]:
    """A study of several modalities counts for each."""
    failed, unread = _counts(conn, _failed(since)), _counts(conn, _unread(since))
    urgent, said, agreed = (_counts(conn, one) for one in (_urgent(since), _said(since), _agreed(since)))
    columns = (_v.id, _v.modalities, _v.received_at, _v.completed_at, _v.answered_at)
    for row in conn.execute(select(*columns).where(_v.received_at >= since)):
        took = (row.answered_at - row.completed_at).total_seconds() if row.answered_at and row.completed_at else None
        for modality in {str(one).strip().upper() for one in row.modalities} - NO_IMAGES:
            yield _Study(
                modality=modality,
                hour=row.received_at.replace(minute=0, second=0, microsecond=0),
                seconds=took,
                errors=failed.get(row.id, 0) + unread.get(row.id, 0),
                urgent=row.id in urgent,
                verdicts=said.get(row.id, 0),
                agreed=agreed.get(row.id, 0),
            )


def _counts(conn: Connection, query: Select[Any]) -> Mapping[str, int]:
    found: dict[str, int] = dict(conn.execute(query).all())
    return found


def _of(table: Any, since: datetime) -> Select[Any]:
    """Rows of a table by study version, of those received since then."""
    of = table.c.version_id
    return select(of, func.count()).join(study_versions, of == _v.id).where(_v.received_at >= since).group_by(of)


def _failed(since: datetime) -> Select[Any]:
    return _of(attempts, since)


def _unread(since: datetime) -> Select[Any]:
    return _of(results, since).where(_r.status == ResultStatus.UNAVAILABLE, _r.digest.in_(_answering()))


def _urgent(since: datetime) -> Select[Any]:
    found = _of(results, since).join(findings, findings.c.result_id == _r.id)
    return found.where(findings.c.urgency.in_(URGENT), _r.digest.in_(_answering()))


def _said(since: datetime) -> Select[Any]:
    return _of(verdicts, since)


def _agreed(since: datetime) -> Select[Any]:
    return _of(verdicts, since).where(verdicts.c.kind.not_in(sorted(OVERRIDES)))


def _answering() -> Select[Any]:
    """The versions that answer now: silent or not, their figures are what going live is decided by."""
    return select(models.c.digest).where(models.c.standing == Standing.CHAMPION)
