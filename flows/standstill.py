"""What is looked at to tell whether anything is stuck: the ledger, the processes, our servers, the disk."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flows import servers
from radloop.domain.errors import Transient
from radloop.domain.ids import utc_now
from radloop.ledger import Ledger, stalled
from radloop.ledger.stalled import NOTHING, Breaker, Stalled
from radloop.settings import Settings

ANSWERED_WITHIN: Final = timedelta(minutes=2)
"""A study that is whole for longer and has no answer is late."""
CLAIMED_WITHIN: Final = timedelta(minutes=1)
"""What is due for longer, or whose claim ended that long ago, nobody has taken up."""
SEALED_WITHIN: Final = timedelta(minutes=2)
STILL: Final = timedelta(minutes=10)
"""The least that a study may receive nothing and still be waited for; ten quiet periods where that is more."""
HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as whoever keeps it says: its state in a word, whether it works, how often it died in a row."""

    name: str
    state: str
    ready: bool
    essential: bool
    failures: int = 0

    @property
    def begins(self) -> bool:
        """Whether it runs and has only not said yet that it is ready."""
        return self.state == "STARTING" and not self.failures


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of the store, in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the ledger says does not move.

    Args:
        set_aside: how many went into quarantine in the last hour.
        set_aside_usually: how many do in an hour, as the week before it was.
    """

    unanswered: Stalled = NOTHING
    receiving: Stalled = NOTHING
    abandoned: Stalled = NOTHING
    parked: Stalled = NOTHING
    overdue: Stalled = NOTHING
    breakers: tuple[Breaker, ...] = ()
    set_aside: int = 0
    set_aside_usually: float = 0.0
    unsealed: Stalled = NOTHING
    untold: Stalled = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one look showed. `record` is None where the ledger is away; `away` names servers that do not answer."""

    at: datetime
    record: Record | None
    processes: tuple[Process, ...]
    away: tuple[str, ...]
    disk: Disk | None


def look(settings: Settings, ledger: Ledger, processes: Iterable[Process]) -> Seen:
    """Look once; what is away is part of what is seen."""
    now = utc_now()
    return Seen(
        at=now,
        record=_record(settings, ledger, now),
        processes=tuple(processes),
        away=tuple(name for name in servers.wanted(settings) if not servers.answers(settings, name, PATIENCE_SECONDS)),
        disk=disk_of(settings),
    )


def disk_of(settings: Settings) -> Disk | None:
    """The disk of the store; None where the store is not there yet."""
    folder = settings.store_path if settings.store_path.exists() else settings.home
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(total=usage.total, free=usage.free)


def _record(settings: Settings, ledger: Ledger, now: datetime) -> Record | None:
    still = max(STILL, timedelta(seconds=10 * settings.completeness.quiet_seconds))
    try:
        with ledger.read() as conn:
            return Record(
                unanswered=stalled.unanswered(conn, now - ANSWERED_WITHIN),
                receiving=stalled.receiving(conn, now - still),
                abandoned=stalled.abandoned(conn, now - CLAIMED_WITHIN),
                parked=stalled.parked(conn),
                overdue=stalled.overdue(conn, now, now - CLAIMED_WITHIN),
                breakers=stalled.breakers_open(conn),
                set_aside=stalled.set_aside(conn, now - HOUR, now),
                set_aside_usually=stalled.set_aside(conn, now - WEEK, now - HOUR) * HOUR / (WEEK - HOUR),
                unsealed=stalled.unsealed(conn, now - SEALED_WITHIN),
                untold=stalled.untold(conn, now - WEEK / 7),
            )
    except Transient:
        return None
