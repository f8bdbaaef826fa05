"""What a crash left between the store and the ledger, found and removed after the next start.

Bytes that no ledger row names are orphans only once they have stayed so for a while: a writer may be between its put
and its commit. The while is waited for, on a monotonic clock, and never read off a file, so that a clock that steps
by a day deletes nothing early.
"""

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import structlog

from radloop.domain.errors import Transient
from radloop.ledger import Ledger, blobs
from radloop.store import LocalStore

log = structlog.get_logger(__name__)

ORPHAN_SECONDS: Final = 600.0
_AT_ONCE: Final = 400


def unnamed(ledger: Ledger, keys: Iterable[str]) -> Iterator[str]:
    """Those of `keys` that no ledger row names."""
    rest = iter(keys)
    while some := set(islice(rest, _AT_ONCE)):
        with ledger.read() as conn:
            named = blobs.referenced(conn, some)
        yield from some - named


def sweep(store: LocalStore, ledger: Ledger, stop: threading.Event, orphan_seconds: float = ORPHAN_SECONDS) -> int:
    """Remove dead writers' temporaries and, after `orphan_seconds`, bytes that nothing names; says how many of those.

    Returns early, with 0, when `stop` is set.

    Raises:
        Unavailable, StorageFull: ledger or store failed; nothing is lost, the next start tries again.
    """
    temporaries = store.sweep_temporaries()
    suspects = set(unnamed(ledger, store.keys()))
    if stop.wait(orphan_seconds):
        return 0
    orphans = set(unnamed(ledger, suspects))
    for key in orphans:
        store.delete(key)
    log.info("reconciled", temporaries=temporaries, orphans=len(orphans))
    return len(orphans)


class Sweeper:
    """Runs one sweep beside the work."""

    def __init__(self, store: LocalStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Give up; the next start begins again."""
        self._stop.set()

    def _run(self) -> None:
        try:
            sweep(self._store, self._ledger, self._stop)
        except Transient as error:
            log.warning("not reconciled", reason=error.code)
