"""The runner: one process that judges studies whole, has them read, and has the answers delivered.

    python -m flows.runner --home HOME

Work that is due is derived from the ledger and claimed with a short lease. A runner that was killed is replaced within
seconds: the lock on the home folder proves that the old one is gone, so its claims are given back at once.
"""

import argparse
import asyncio
import fcntl
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import claims, commit, deliver, policies
from flows.completeness import Completer
from flows.discarding import keep_discarding
from flows.house import House, living_in, open_house
from flows.mirror import Mirror, Shown
from flows.oversight import Oversight
from flows.retain import keep_retaining
from flows.warming import warm_up
from radloop import logs
from radloop.audit import Sealer
from radloop.domain.errors import RadloopError, StorageFull, Transient
from radloop.domain.ids import utc_now
from radloop.domain.records import Delivery, StudyVersion
from radloop.ledger import commitments as commitment_rows
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import studies as study_rows
from radloop.process import announce, die_with_parent
from radloop.settings import load_settings
from radloop.store import Keyring

log = structlog.get_logger()

GRACE_SECONDS: Final = 5.0
"""How long work under way may still take after SIGTERM; what is left is given back."""
BATCHES_AT_ONCE: Final = 2
"""While the models read one batch, the objects of another are made."""
SEAL_SECONDS: Final = 1.0
THREADS: Final = 24
"""For the ledger, the store and encoders; each peer gets two more, since a dead one holds its own for a while."""


@dataclass(frozen=True, slots=True)
class Due:
    """What one look at the ledger found."""

    receiving: tuple[StudyVersion, ...]
    studies: bool
    peers: tuple[str, ...]
    to_ask: tuple[str, ...]
    """Peers to be asked for storage commitment."""


class Runner:
    """The loops of one runner. `run` returns after `stop`, with nothing claimed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._mirror = Mirror(house)
        self._completer = Completer(house)
        self._oversight = Oversight(house, busy=lambda: bool(self._reading))
        self._reading: dict[str, asyncio.Task[str]] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._asking: dict[str, asyncio.Task[int]] = {}
        self._asked_peers = commit.asked_peers(house)
        self._claimed: dict[str, tuple[Delivery, ...]] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        release = partial(asyncio.to_thread, claims.release, self._house)
        await policies.patiently(policies.LEDGER, "taking over", release)
        mirror = asyncio.create_task(self._mirror.run())
        mirror.add_done_callback(_mirror_ended)
        watches = self._oversight
        oversight = (watches.watch(), watches.follow(), watches.tell(), watches.forward())
        aside = (
            self._keep_claims(),
            self._seal(),
            *oversight,
            keep_retaining(self._house),
            keep_discarding(self._house),
        )
        sides = [asyncio.create_task(side) for side in aside]
        warming = asyncio.create_task(self._warm_up())
        try:
            while not self._stopping:
                await self._ended_badly(sides)
                await policies.patiently(policies.LEDGER, "looking for work", self._tick)
                await self._rest()
        finally:
            await self._finish()
            for side in (mirror, warming, *sides):
                side.cancel()
            await asyncio.gather(mirror, warming, *sides, return_exceptions=True)
            await policies.patiently(
                policies.LEDGER, "giving back", partial(asyncio.to_thread, claims.release, self._house)
            )

    async def _warm_up(self) -> None:
        """Studies are taken from the first moment; we say that we are ready once they are read at full speed."""
        (made,) = await asyncio.gather(asyncio.to_thread(warm_up, self._house.settings.site), return_exceptions=True)
        if isinstance(made, BaseException):
            log.error("warming up failed", error=type(made).__name__)
        announce(self._house.settings.home, "runner", None)
        log.info("ready")

    async def _ended_badly(self, sides: Sequence["asyncio.Task[None]"]) -> None:
        """Raise what ended a side task: the supervisor starts a fresh runner."""
        for side in sides:
            if side.done():
                await side

    async def _rest(self) -> None:
        """Until something happened in here, or it is time to look again."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._house.settings.runner.poll_seconds)
        self._wake.clear()

    async def _tick(self) -> None:
        due = await asyncio.to_thread(self._look)
        completed = await self._completer.step(due.receiving)
        if due.studies or completed:
            await self._take_studies()
        for peer in due.peers:
            if peer not in self._sending:
                self._start_sending(peer)
        for peer in due.to_ask:
            if peer not in self._asking:
                self._start_asking(peer)

    def _look(self) -> Due:
        with self._house.ledger.read() as conn:
            return Due(
                receiving=study_rows.receiving(conn),
                studies=study_rows.due(conn, utc_now()),
                peers=delivery_rows.due_peers(conn, utc_now()),
                to_ask=self._to_ask(conn),
            )

    def _to_ask(self, conn: Connection) -> tuple[str, ...]:
        """No question to the ledger where no peer is asked for commitment."""
        return commitment_rows.due_peers(conn, self._asked_peers, utc_now()) if self._asked_peers else ()

    async def _take_studies(self) -> None:
        batch = self._house.settings.runner.batch
        room = BATCHES_AT_ONCE * batch - len(self._reading)
        if room <= 0 or self._stopping:
            return
        for version in await asyncio.to_thread(claims.claim, self._house, min(room, batch)):
            self._start_reading(version)

    def _start_reading(self, version: StudyVersion) -> None:
        work = asyncio.create_task(claims.read_claimed(self._house, version), name=version.id)
        self._reading[version.id] = work
        work.add_done_callback(self._study_is_read)
        self._mirror.show(Shown((version.id,), work))

    def _study_is_read(self, work: "asyncio.Task[str]") -> None:
        version_id = work.get_name()
        self._reading.pop(version_id, None)
        if not work.cancelled() and work.exception() is None:
            log.info("study left triage", version=version_id, outcome=work.result())
        self._wake.set()

    def _start_sending(self, peer: str) -> None:
        work = asyncio.create_task(self._send_all(peer), name=peer)
        self._sending[peer] = work
        work.add_done_callback(self._peer_is_served)

    def _peer_is_served(self, work: "asyncio.Task[None]") -> None:
        self._sending.pop(work.get_name(), None)
        _log_failure("sending ended", work)
        self._wake.set()

    def _start_asking(self, peer: str) -> None:
        work = asyncio.create_task(asyncio.to_thread(commit.ask_due, self._house, peer), name=peer)
        self._asking[peer] = work
        work.add_done_callback(self._peer_is_asked)

    def _peer_is_asked(self, work: "asyncio.Task[int]") -> None:
        self._asking.pop(work.get_name(), None)
        _log_failure("asking for commitment ended", work)

    async def _send_all(self, peer: str) -> None:
        """Send what is due for a peer until nothing is."""
        while not self._stopping and (claimed := await asyncio.to_thread(deliver.claim, self._house, peer)):
            self._claimed[peer] = claimed
            work = asyncio.create_task(_sent(deliver.deliver_claimed(self._house, peer, claimed)))
            self._mirror.show(Shown(tuple(one.id for one in claimed), work, peer))
            try:
                await work
            finally:
                self._claimed.pop(peer, None)

    async def _keep_claims(self) -> None:
        """Renew the leases of what is under way, well before they end."""
        while True:
            await asyncio.sleep(self._house.settings.runner.lease_seconds / 4)
            deliveries = [one.id for claimed in self._claimed.values() for one in claimed]
            if self._reading or deliveries:
                with suppress(Transient):
                    await asyncio.to_thread(claims.renew, self._house, list(self._reading), deliveries)

    async def _seal(self) -> None:
        """Chain and sign the audit a moment after it was written."""
        settings = self._house.settings
        sealer = Sealer(self._house.ledger, Keyring.load(settings.keys_path).audit_key, settings.audit_anchor)
        await policies.patiently(policies.LEDGER, "the audit", partial(asyncio.to_thread, sealer.begin))
        while True:
            sealed = await policies.patiently(policies.LEDGER, "sealing", partial(asyncio.to_thread, _sealed, sealer))
            await asyncio.sleep(SEAL_SECONDS if not sealed else 0.0)

    async def _finish(self) -> None:
        """Let work under way end; cancel what takes too long."""
        work: list[asyncio.Task[str] | asyncio.Task[None] | asyncio.Task[int]]
        work = [*self._reading.values(), *self._sending.values(), *self._asking.values()]
        if work:
            _, late = await asyncio.wait(work, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._completer.stop()


def _mirror_ended(mirror: "asyncio.Task[None]") -> None:
    """Whatever befalls Prefect, studies are read: the runner outlives its mirror."""
    if not mirror.cancelled() and (error := mirror.exception()) is not None:
        log.error("prefect sees nothing more until the next start", error=type(error).__name__)


def _log_failure(what: str, work: "asyncio.Task[None] | asyncio.Task[int]") -> None:
    """Say what ended the work with a peer, its name, where it did not end by itself."""
    if not work.cancelled() and (error := work.exception()) is not None:
        code = error.code if isinstance(error, RadloopError) else type(error).__name__
        log.error(what, peer=work.get_name(), error=code)


def _sealed(sealer: Sealer) -> int:
    try:
        return sealer.seal()
    except OSError as error:  # the anchor's folder is full: the next round writes it
        raise StorageFull("the audit's anchor cannot be written") from error


async def _sent(sending: Awaitable[Counter[str]]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted((await sending).items()))


@contextmanager
def only_runner(home: Path) -> Iterator[None]:
    """Hold the lock that one runner per home holds; the kernel drops it when the process ends.

    Raises:
        BlockingIOError: another runner lives.
    """
    path = home / "run" / "runner.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


async def serve(house: House) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS + 2 * len(house.settings.peers), "runner"))
    runner = Runner(house)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runner.stop)
    await runner.run()
    await house.http.aclose()


def main(arguments: Sequence[str] | None = None) -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m flows.runner", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args(arguments).home.absolute()
    die_with_parent()
    logs.configure("runner")
    try:
        with only_runner(home), living_in(open_house(load_settings(home))) as house:
            asyncio.run(serve(house))
    except BlockingIOError:
        log.error("another runner lives in this home")  # noqa: TRY400 - no trace is wanted
        raise SystemExit(1) from None
    log.info("stopped")
    # A thread may still wait for a peer that says nothing: its delivery was given back, so do not wait with it.
    os._exit(0)


if __name__ == "__main__":
    main()
