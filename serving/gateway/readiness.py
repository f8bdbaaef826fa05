"""Ready, or not: the announcement is there while work can be done, and gone while it cannot."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from radloop.domain.errors import Transient
from radloop.process import announce

log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """A name in `radloop status`, and its port."""

    name: str
    port: int


class Readiness:
    """Announces the doors, withdraws them when storage fails, and tries until it works again.

    Args:
        probe: writes something durable and removes it; raises `Transient` while that fails.
    """

    def __init__(self, home: Path, probe: Callable[[], None]) -> None:
        self._home = home
        self._probe = probe
        self._doors: Sequence[Door] = ()
        self._red = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="readiness", daemon=True)

    def ready(self, doors: Sequence[Door]) -> None:
        """Announce `doors`: from now on work is taken."""
        self._doors = doors
        self._announce()
        self._thread.start()

    def failed(self, error: Transient) -> None:
        """Storage or ledger failed: not ready, until a probe works."""
        if not self._red.is_set():
            log.error("not ready", reason=error.code)
            self._withdraw()
            self._red.set()

    def worked(self) -> None:
        """Something was stored: what failed before works again."""
        if self._red.is_set() and not self._stopped.is_set():
            self._recover()

    def stop(self) -> None:
        """Withdraw the doors for good."""
        self._stopped.set()
        self._red.set()
        self._withdraw()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self._red.wait()
            if not self._stopped.wait(PROBE_SECONDS):
                with suppress(Transient):
                    self._probe()
                    self._recover()

    def _recover(self) -> None:
        try:
            self._announce()
        except OSError:
            return  # no room for the announcement yet
        self._red.clear()
        log.info("ready again")

    def _announce(self) -> None:
        for door in self._doors:
            announce(self._home, door.name, door.port)

    def _withdraw(self) -> None:
        for door in self._doors:
            (self._home / "run" / f"{door.name}.json").unlink(missing_ok=True)
