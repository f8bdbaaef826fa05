"""When a study counts as whole, and the evidence for it.

The judge is pure; the watch keeps, for every version that receives, the count of instances and how long it has not
changed, by the monotonic clock: a wall clock that steps completes nothing early. A restart counts idle time afresh.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import Connection

from flows.house import House
from flows.senders import SenderCounts
from radloop.domain.enums import Signal
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence, StudyVersion
from radloop.ledger import orders as order_rows
from radloop.ledger import studies as study_rows
from radloop.settings import CompletenessSettings

log = structlog.get_logger()


def judge(version: StudyVersion, idle: float, expected: int | None, rules: CompletenessSettings) -> Evidence | None:
    """The evidence that this version is whole, or None where there is none yet.

    Args:
        version: as the ledger has it; `instances` counts those of the whole study.
        idle: seconds since the count last changed.
        expected: how many instances an order or the sender names, where one does.
        rules: the site's times and single-image modalities.
    """
    if idle < rules.settle_seconds:
        return None
    missing = None if expected is None else max(0, expected - version.instances)
    holds = {
        Signal.EXPECTED_COUNT: bool(expected) and missing == 0,
        Signal.SINGLE_IMAGE: single_image(version, rules),
        Signal.QUIET_PERIOD: idle >= rules.quiet_seconds,
    }
    signal = next((signal for signal in Signal if holds[signal]), None)
    return Evidence(signal=signal, expected=expected, missing=missing) if signal else None


def single_image(version: StudyVersion, rules: CompletenessSettings) -> bool:
    """Whether every modality seen so far is one whose image is a study's whole answer."""
    return bool(version.modalities) and set(version.modalities) <= set(rules.single_image_modalities)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A count, and the monotonic time at which it was first seen."""

    instances: int
    since: float


@dataclass(slots=True)
class Watch:
    """The memory of one runner: what it saw of each receiving version, and when."""

    sightings: Mapping[str, Sighting] = field(default_factory=dict)

    def look(self, receiving: Iterable[StudyVersion], now: float) -> dict[str, float]:
        """Take note of every receiving version; seconds of idleness by version id. Others are forgotten."""
        seen = {version.id: self._sighting(version, now) for version in receiving}
        self.sightings = seen
        return {version_id: now - sighting.since for version_id, sighting in seen.items()}

    def _sighting(self, version: StudyVersion, now: float) -> Sighting:
        before = self.sightings.get(version.id)
        unchanged = before is not None and before.instances == version.instances
        return before if before is not None and unchanged else Sighting(version.instances, now)


@dataclass(frozen=True, slots=True)
class Whole:
    """A version judged whole."""

    version: StudyVersion
    evidence: Evidence


class Completer:
    """The runner's step that judges what receives. It asks senders, but never waits for one."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._watch = Watch()
        self._senders = SenderCounts(house.settings)

    async def step(self, receiving: Sequence[StudyVersion]) -> int:
        """Judge every receiving version; how many became COMPLETE.

        Raises:
            Unavailable: the ledger's.
        """
        idle = self._watch.look(receiving, time.monotonic())
        settle = self._house.settings.completeness.settle_seconds
        settled = [version for version in receiving if idle[version.id] >= settle]
        if not settled:
            return 0
        ordered = await asyncio.to_thread(self._ordered, settled)
        whole = [one for version in settled if (one := self._judge(version, idle[version.id], ordered[version.id]))]
        return await asyncio.to_thread(self._mark, whole) if whole else 0

    async def stop(self) -> None:
        """Ask no more."""
        await self._senders.stop()

    def _ordered(self, settled: Sequence[StudyVersion]) -> dict[str, int | None]:
        """How many instances the order of each version names."""
        with self._house.ledger.read() as conn:
            orders = {version.id: order_rows.of_study(conn, version.study_id) for version in settled}
        return {version_id: order.expected_instances if order else None for version_id, order in orders.items()}

    def _judge(self, version: StudyVersion, idle: float, ordered: int | None) -> Whole | None:
        rules = self._house.settings.completeness
        if ordered is None and not single_image(version, rules):
            self._senders.ask(version)
        expected = ordered if ordered is not None else self._senders.known(version)
        evidence = judge(version, idle, expected, rules)
        return Whole(version, evidence) if evidence else None

    def _mark(self, whole: Sequence[Whole]) -> int:
        now = utc_now()
        with self._house.ledger.write() as conn:
            marked = [one for one in whole if _complete(conn, one, now)]
        for one in marked:
            self._senders.forget(one.version.id)
            log.info("study is whole", version=one.version.id, signal=one.evidence.signal)
        return len(marked)


def _complete(conn: Connection, one: Whole, now: datetime) -> bool:
    """False where another instance arrived since: then the next look judges again."""
    return study_rows.complete(conn, one.version.id, one.evidence, now, one.version.instances)
