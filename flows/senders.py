"""Asking the sender how many instances a study has, off the loop and sparingly."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from flows import policies
from integrations import dimse
from radloop.domain.enums import PeerRole
from radloop.domain.errors import RadloopError
from radloop.domain.records import StudyVersion
from radloop.settings import Peer, Settings

log = structlog.get_logger()

ANSWER_SECONDS = 5.0
"""The longest that one question may hold a thread per step; a settled study that cannot wait completes by quiet."""


@dataclass(slots=True)
class SenderCounts:
    """What senders said. A version is asked about once per count of instances seen, one question per peer at a time."""

    settings: Settings
    _answers: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)

    def known(self, version: StudyVersion) -> int | None:
        """The newest count that the sender named for this version."""
        return self._answers.get(version.id, (0, None))[1]

    def ask(self, version: StudyVersion) -> None:
        """Start asking, unless the answer for this count of instances is known or the sender must not be asked now."""
        peer = self._askable(version)
        asked = self._answers.get(version.id)
        if peer is None or (asked is not None and asked[0] == version.instances):
            return
        self._asking[peer.name] = asyncio.create_task(self._ask(peer, version))

    def forget(self, version_id: str) -> None:
        """The version is complete."""
        self._answers.pop(version_id, None)

    async def stop(self) -> None:
        """Cancel what is under way; the threads end by their own deadlines."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _askable(self, version: StudyVersion) -> Peer | None:
        peer = self.settings.peers.get(version.peer)
        if peer is None or not peer.port or PeerRole.SOURCE not in peer.roles:
            return None
        busy = peer.name in self._asking and not self._asking[peer.name].done()
        early = time.monotonic() < self._not_before.get(peer.name, 0.0)
        return None if busy or early or not self.settings.completeness.ask_sender else peer

    async def _ask(self, peer: Peer, version: StudyVersion) -> None:
        hurried = peer.model_copy(
            update={
                "connect_seconds": min(peer.connect_seconds, ANSWER_SECONDS),
                "answer_seconds": min(peer.answer_seconds, ANSWER_SECONDS),
            }
        )
        ae_title = self.settings.gateway.ae_title
        try:
            count = await asyncio.to_thread(dimse.count_instances, hurried, version.study_uid, ae_title)
        except RadloopError as error:
            self._failed(peer.name, error)
            return
        self._failures.pop(peer.name, None)
        self._answers[version.id] = (version.instances, count)

    def _failed(self, peer: str, error: RadloopError) -> None:
        failures = self._failures.get(peer, 0) + 1
        self._failures[peer] = failures
        self._not_before[peer] = time.monotonic() + policies.SENDER.cap(failures)
        log.info("sender gave no count", peer=peer, code=error.code, failures=failures)
