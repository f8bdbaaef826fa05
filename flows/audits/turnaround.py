"""How long a study takes from its first image to a reader's signature, by the urgency that the models gave it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np
from sqlalchemy import Connection

from flows.audits.accuracy import LEAST
from flows.audits.cases import Answer, Gathered
from radloop.domain.enums import ObjectKind, Urgency
from radloop.domain.records import Delivery
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger.copies import in_parts
from radloop.ledger.signed import Signed

FINAL_REPORT: Final = (ObjectKind.DIAGNOSTIC_REPORT, 1)
"""Kind and ordinal of what is only sent once a reader has signed (docs/objects.md): no delivery of the answer."""


@dataclass(frozen=True, slots=True)
class Times:
    """What is on record of one study. `delivered_at`: the first time that a peer accepted an object of the answer."""

    signed: Signed
    urgency: Urgency
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Seconds of one stage over studies of one urgency: median and 90th percentile, None: insufficient data.

    `behind`: studies left out since the later time lies before the earlier one: clocks that differ.
    """

    urgency: Urgency
    name: str
    median: float | None
    ninth: float | None
    n: int
    behind: int


Moment = Callable[[Times], datetime | None]
_RECEIVED: Final[Moment] = lambda times: times.signed.received_at  # noqa: E731
_ANSWERED: Final[Moment] = lambda times: times.signed.answered_at  # noqa: E731
_DELIVERED: Final[Moment] = lambda times: times.delivered_at  # noqa: E731
_SIGNED: Final[Moment] = lambda times: times.signed.signed_at  # noqa: E731
STAGES: Final[Mapping[str, tuple[Moment, Moment]]] = MappingProxyType(
    {
        "received to answered": (_RECEIVED, _ANSWERED),
        "answered to accepted": (_ANSWERED, _DELIVERED),
        "accepted to signed": (_DELIVERED, _SIGNED),
        "received to signed": (_RECEIVED, _SIGNED),
    }
)


def turnaround(conn: Connection, gathered: Gathered) -> tuple[Stage, ...]:
    """Every stage for every urgency, the most urgent first."""
    times = times_of(conn, gathered.answers)
    return tuple(
        _stage(urgency, name, [one for one in times if one.urgency is urgency])
        for urgency in sorted(Urgency, key=lambda one: -one.rank)
        for name in STAGES
    )


def times_of(conn: Connection, answers: Sequence[Answer]) -> tuple[Times, ...]:
    """One for each study that was answered; its urgency is the highest that any model gave it."""
    by_version: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_version[answer.signed.version_id].append(answer)
    accepted = _accepted(conn, {answer.result.id for answer in answers}, list(by_version))
    return tuple(
        Times(mine[0].signed, max((a.result.urgency for a in mine), key=lambda u: u.rank), accepted.get(version))
        for version, mine in by_version.items()
    )


def _accepted(conn: Connection, result_ids: set[str], version_ids: Sequence[str]) -> Mapping[str, datetime]:
    found: dict[str, datetime] = {}
    for some in in_parts(version_ids):
        for one in delivery_rows.of_versions(conn, some):
            if one.accepted_at and one.object.result_id in result_ids and not _after_signing(one):
                found[one.version_id] = min(found.get(one.version_id, one.accepted_at), one.accepted_at)
    return found


def _after_signing(delivery: Delivery) -> bool:
    return (delivery.object.kind, delivery.object.ordinal) == FINAL_REPORT


def _stage(urgency: Urgency, name: str, times: Iterable[Times]) -> Stage:
    begun, ended = STAGES[name]
    pairs = [(first, last) for one in times if (first := begun(one)) and (last := ended(one))]
    seconds = np.array([(last - first).total_seconds() for first, last in pairs], np.float64)
    forward = seconds[seconds >= 0]
    enough = len(forward) >= LEAST
    return Stage(
        urgency=urgency,
        name=name,
        median=float(np.median(forward)) if enough else None,
        ninth=float(np.percentile(forward, 90)) if enough else None,
        n=len(forward),
        behind=len(seconds) - len(forward),
    )
