"""How fast studies go through: seconds by stage, queues by peer, who took something last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from sqlalchemy import Connection, String, func, literal_column, select

from radloop.domain.enums import StudyState
from radloop.ledger.deliveries import OPEN_STATES
from radloop.ledger.tables import breakers, deliveries, study_versions

_v, _d = study_versions.c, deliveries.c
# A literal, so that the index of open versions is used: no database sees through a parameter.
_SIGNED: Final = literal_column("'SIGNED'", String)
MOST: Final = 20_000
"""The newest of a time that are looked at."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long a stage took: of how many, the median and the 95th percentile in seconds (None: of nothing)."""

    count: int
    median: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages of the studies that were received since a time."""

    since: datetime
    studies: int
    complete: Span
    answered: Span
    accepted: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTraffic:
    """What goes to one peer: what waits by state, what it took last and since a time, and how it failed since."""

    peer: str
    waiting: Mapping[str, int]
    accepted: int
    accepted_at: datetime | None
    failures: int
    open_until: datetime | None


def stages(conn: Connection, since: datetime) -> Stages:
    """From the first instance to the answer, by version; from the answer to the peer's yes, by delivery."""
    query = select(_v.received_at, _v.completed_at, _v.answered_at).where(_v.received_at >= since)
    found = conn.execute(query.order_by(_v.received_at.desc()).limit(MOST)).all()
    return Stages(
        since=since,
        studies=len(found),
        complete=_span((row.received_at, row.completed_at) for row in found),
        answered=_span((row.completed_at, row.answered_at) for row in found),
        accepted=_span(_answered_and_accepted(conn, since)),
    )


def open_studies(conn: Connection) -> dict[str, int]:
    """How many versions stand in each state before SIGNED; every one is named."""
    query = select(_v.state, func.count()).where(_v.state != _SIGNED).group_by(_v.state)
    found: dict[str, int] = dict(conn.execute(query).all())
    return {state.value: found.get(state.value, 0) for state in StudyState if state is not StudyState.SIGNED}


def traffic(conn: Connection, peers: Iterable[str], since: datetime) -> tuple[PeerTraffic, ...]:
    """These peers, and all others that something waits for, by name."""
    waiting: dict[str, dict[str, int]] = {}
    query = select(_d.peer, _d.state, func.count()).where(_d.state.in_(OPEN_STATES)).group_by(_d.peer, _d.state)
    for peer, state, number in conn.execute(query):
        waiting.setdefault(peer, {})[state] = number
    return tuple(_traffic(conn, peer, waiting.get(peer, {}), since) for peer in sorted({*peers, *waiting}))


def _traffic(conn: Connection, peer: str, waiting: Mapping[str, int], since: datetime) -> PeerTraffic:
    breaker = conn.execute(select(breakers).where(breakers.c.peer == peer)).one_or_none()
    late = select(func.count()).where(_d.peer == peer, _d.accepted_at >= since)
    return PeerTraffic(
        peer=peer,
        waiting={state.value: waiting.get(state, 0) for state in OPEN_STATES},
        accepted=conn.scalar(late) or 0,
        accepted_at=conn.scalar(select(func.max(_d.accepted_at)).where(_d.peer == peer)),
        failures=breaker.failures if breaker else 0,
        open_until=breaker.open_until if breaker else None,
    )


def _answered_and_accepted(conn: Connection, since: datetime) -> list[tuple[datetime | None, datetime | None]]:
    query = select(_v.answered_at, _d.accepted_at).join(study_versions, _d.version_id == _v.id)
    found = query.where(_v.received_at >= since).order_by(_v.received_at.desc()).limit(MOST)
    return [(answered, accepted) for answered, accepted in conn.execute(found)]


def _span(pairs: Iterable[tuple[datetime | None, datetime | None]]) -> Span:
    seconds = sorted((end - start).total_seconds() for start, end in pairs if start and end)
    return Span(len(seconds), quantile(seconds, 0.5), quantile(seconds, 0.95))


def quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that this share of all does not exceed (nearest rank); None of nothing."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
