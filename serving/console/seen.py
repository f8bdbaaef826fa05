"""Views of patient data in the audit: who saw what, by our own ids, committed before it is shown."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from flows.house import House
from radloop import audit
from radloop.domain.access import Who
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent

AGAIN_SECONDS: Final = 15 * 60.0
"""The same thing for the same session within this time is one view of it."""
MOST_REMEMBERED: Final = 20_000


def view(who: Who, what: str, object_kind: str, object_id: str, detail: str = "") -> AuditEvent:
    """The audit row of one view: `view.<what>`."""
    return AuditEvent(
        at=utc_now(),
        actor=who.actor.name,
        action=f"view.{what}",
        object_kind=object_kind,
        object_id=object_id,
        detail=detail,
        role=",".join(sorted(who.roles)),
        address=who.address,
    )


def record(house: House, events: Iterable[AuditEvent]) -> None:
    """Commit views together."""
    views = tuple(events)
    if views:
        with house.ledger.write() as conn:
            audit.append(conn, *views)


class Views:
    """Views of one thing after the other: a row for each that is opened, many of a fast scroll in one commit.

    Whoever comes while another commits waits, and commits for all who wait by then: nothing is shown before its row is
    durable, and no row is lost with the process.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._waiting: list[AuditEvent] = []
        self._begun: set[tuple[str, str]] = set()
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def record(self, who: Who, what: str, object_kind: str, object_id: str) -> None:
        """Note that something is shown.

        Raises:
            Unavailable, StorageFull: it could not be noted, so it must not be shown.
        """
        key = (_session(who), object_id)
        with self._lock:
            if self._is_known(key):
                return
            if key not in self._begun:
                self._begun.add(key)
                self._waiting.append(view(who, what, object_kind, object_id))
        with self._turn:
            self._commit()
        self.remember(who, object_id)

    def remember(self, who: Who, object_id: str) -> None:
        """It is on record that this was shown to them."""
        key = (_session(who), object_id)
        with self._lock:
            self._begun.discard(key)
            self._seen[key] = time.monotonic()
            while len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)

    def _is_known(self, key: tuple[str, str]) -> bool:
        at = self._seen.get(key)
        return at is not None and time.monotonic() - at < AGAIN_SECONDS

    def _commit(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            record(self._house, batch)
        except BaseException:
            # Those whose rows these are come next, and try themselves.
            with self._lock:
                self._waiting = batch + self._waiting
            raise


def _session(who: Who) -> str:
    return who.session or who.actor.id
