"""Forgetting one part of one study version: noted, shredded, and noted as gone. `flows.retain` says of which.

The keys are noted before the first byte goes, so that a hold that comes later is told what it was too late for, and the
row says "gone" after the last. A kill in between has them deleted once more, which is fine.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import structlog

from flows.house import House
from radloop import audit
from radloop.domain.errors import Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import retained
from radloop.ledger.retained import Bound, Part

log = structlog.get_logger()

WORDS: Mapping[Part, str] = {Part.PICTURES: "images and pictures", Part.REPORTS: "what was sent"}


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted: stored objects, and their bytes as far as the ledger knows their sizes."""

    objects: int = 0
    size: int = 0

    def __add__(self, other: "Gone") -> "Gone":
        return Gone(self.objects + other.objects, self.size + other.size)


def forget(house: House, part: Part, bound: Bound, version_id: str, actor: str) -> Gone | None:
    """Delete one part of one version; None where something keeps it after all.

    Raises:
        Unavailable, StorageFull: the ledger's and the store's; what is noted as gone is gone, the rest is still due.
        Unavailable: a backup is being made, which needs what its copy of the ledger names.
    """
    with _deleting(house.settings.home):
        with house.ledger.write() as conn:
            keys = retained.begin(conn, part, bound, version_id, utc_now())
        if keys is None:
            return None
        for key in keys:
            house.store.delete(key)
        gone = weighed(keys)
        with house.ledger.write() as conn:
            if retained.end(conn, part, version_id, keys.keys(), utc_now()):
                audit.append(conn, _event(actor, part, version_id, gone))
    log.info("forgotten", version=version_id, part=part, objects=gone.objects)
    return gone


@contextmanager
def no_deletions(home: Path) -> Iterator[None]:
    """For the length of the block retention deletes nothing; what it deletes now is waited for."""
    with _gate(home) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _deleting(home: Path) -> Iterator[None]:
    with _gate(home) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("a backup is being made: deletions wait for its end") from None
        yield


def _gate(home: Path) -> TextIO:
    path = home / "run" / "deletions.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("w")


def weighed(keys: Mapping[str, int | None]) -> Gone:
    """How much these keys are."""
    return Gone(len(keys), sum(size or 0 for size in keys.values()))


def _event(actor: str, part: Part, version_id: str, gone: Gone) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=actor,
        action="forget",
        object_kind="study_version",
        object_id=version_id,
        detail=f"{WORDS[part]}: {gone.objects} stored objects, by the retention policy",
    )
