"""Claims on study versions: taking, keeping and giving them back, and what follows when reading one goes wrong."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from flows import policies, triage
from flows.house import House
from flows.works import safe
from radloop.domain.errors import StorageFull, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import StudyVersion
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import studies as study_rows

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Setback:
    """What is shown for a study that could not be read, and when the next attempt is due."""

    kind: type[BaseException]
    reason: str
    seconds: float


# The first row that fits holds. A study is never dropped: it waits where everyone sees it.
SETBACKS: Final = (
    Setback(StorageFull, "storage is full", 5.0),
    Setback(Unavailable, "the ledger or the store is away", 1.0),
    Setback(BaseException, "a step of the reading failed", policies.BROKEN_STUDY_SECONDS),
)


def lease_end(house: House, now: datetime) -> datetime:
    """When a lease that is taken now ends unless it is renewed."""
    return now + timedelta(seconds=house.settings.runner.lease_seconds)


def claim(house: House, limit: int, only: Collection[str] | None = None) -> tuple[StudyVersion, ...]:
    """Take up to `limit` due versions, urgent first; `only` these where given.

    Raises:
        Unavailable: the ledger's.
    """
    now = utc_now()
    with house.ledger.write() as conn:
        return study_rows.claim(conn, house.owner, now, lease_end(house, now), limit, only)


async def read_claimed(house: House, version: StudyVersion) -> str:
    """Read a claimed version, and say how it ended; where it fails it goes back, with the reason shown.

    Raises:
        RadloopError: what went wrong, in words that may be shown anywhere.
    """
    begun = time.monotonic()
    (outcome,) = await asyncio.gather(triage.read_study(house, version), return_exceptions=True)
    if not isinstance(outcome, BaseException):
        return f"{outcome} after {time.monotonic() - begun:.2f} s"
    setback = next(one for one in SETBACKS if isinstance(outcome, one.kind))
    log.error("reading failed", version=version.id, reason=setback.reason, error=_named(outcome))
    give_back = partial(asyncio.to_thread, _postpone, house, version, setback)
    await policies.patiently(policies.LEDGER, "giving a study back", give_back)
    raise safe(outcome) from None


def _named(error: BaseException) -> str:
    """The type, and the line of ours where it happened; never its words, which may quote a header."""
    at, where = error.__traceback__, ""
    while at is not None:
        where = f"{at.tb_frame.f_globals.get('__name__')}:{at.tb_lineno}"
        at = at.tb_next
    return f"{type(error).__name__} at {where}"


def _postpone(house: House, version: StudyVersion, setback: Setback) -> None:
    again = utc_now() + timedelta(seconds=setback.seconds)
    with house.ledger.write() as conn:
        study_rows.postpone(conn, version.id, house.owner, setback.reason, again)


def renew(house: House, version_ids: Collection[str], delivery_ids: Collection[str]) -> None:
    """Keep what this runner holds."""
    until = lease_end(house, utc_now())
    with house.ledger.write() as conn:
        study_rows.renew(conn, house.owner, version_ids, until)
        delivery_rows.renew(conn, house.owner, delivery_ids, until)


def release(house: House) -> int:
    """Give back every claim of this host and home: only the one living runner may say so. How many there were.

    Raises:
        Unavailable: the ledger's.
    """
    with house.ledger.write() as conn:
        return study_rows.release(conn, house.owner_prefix) + delivery_rows.release(conn, house.owner_prefix)
