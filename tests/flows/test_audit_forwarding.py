"""Forwarding the audit record: everything, in order, through outages of the server and of ourselves."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import audit_forwarding, policies
from flows.audit_forwarding import forward_due
from flows.house import House
from flows.oversight import Oversight
from radloop import audit
from radloop.audit.atna import witnessed
from radloop.domain.errors import Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import audit_forwarded
from radloop.store import Keyring
from tests.clock import until
from tests.flows import place
from tests.peers.certificates import Certificates, certificates
from tests.peers.rsyslog import Rsyslog, rsyslog
from tests.peers.sockets import hostile, silent

SYSLOG = """
[audit.syslog]
address = "127.0.0.1:{port}"
ca = "{theirs.ca}"
certificate = "{theirs.certificate}"
key = "{theirs.key}"
timeout_seconds = {seconds}
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(tmp_path: Path, theirs: Certificates) -> Rsyslog:
    return rsyslog(tmp_path / "log", theirs)


def home(folder: Path, theirs: Certificates, port: int, seconds: float = 5.0) -> House:
    more = SYSLOG.format(port=port, theirs=theirs, seconds=seconds)
    return place.make_home(folder, more=more)


@pytest.fixture
def house(tmp_path: Path, theirs: Certificates, server: Rsyslog) -> Iterator[House]:
    opened = home(tmp_path / "home", theirs, server.port)
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


def seal(house: House, count: int) -> None:
    """So many more records."""
    sealer = audit.Sealer(house.ledger, Keyring.load(house.settings.keys_path).audit_key, house.settings.audit_anchor)
    sealer.begin()
    with house.ledger.write() as conn:
        event = AuditEvent(at=utc_now(), actor="it", action="login", object_kind="session", object_id="se_1")
        audit.append(conn, *[event] * count)
    while sealer.seal():
        pass


def numbers(server: Rsyslog) -> list[int]:
    return [number for line in server.lines() for number in witnessed([line.encode()])]


def position(house: House) -> int:
    syslog = house.settings.audit.syslog
    assert syslog is not None
    with house.ledger.read() as conn:
        return audit_forwarded.position(conn, syslog.address)


def test_every_sealed_record_arrives_once_in_order_and_proves_the_ledger(
    house: House, server: Rsyslog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_forwarding, "BATCH", 20)
    seal(house, 50)
    with server.running():
        assert [forward_due(house) for _ in range(4)] == [20, 20, 10, 0]
        seal(house, 3)
        assert forward_due(house) == 3
        until(lambda: len(server.lines()) == 53, 30)
    assert numbers(server) == list(range(1, 54))
    key, anchor = Keyring.load(house.settings.keys_path).audit_key, house.settings.audit_anchor
    kept = witnessed(server.kept.read_bytes().splitlines())
    assert len(kept) == 53
    assert audit.verify(house.ledger, key, anchor, kept).sound


def test_while_the_server_is_away_nothing_is_lost_and_then_it_goes_on_where_it_was(
    house: House, server: Rsyslog
) -> None:
    seal(house, 5)
    with server.running():
        forward_due(house)
    seal(house, 5)
    for _ in range(3):
        with pytest.raises(Unavailable):
            forward_due(house)
    assert position(house) == 5
    with server.running():
        assert forward_due(house) == 5
        until(lambda: len(server.lines()) == 10, 30)
    assert numbers(server) == list(range(1, 11))


def test_a_batch_that_we_could_not_note_as_sent_is_the_only_one_sent_twice(
    house: House, server: Rsyslog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_forwarding, "BATCH", 4)
    seal(house, 8)

    def killed(*_: object) -> None:
        raise Unavailable("killed here")

    with server.running():
        forward_due(house)
        with monkeypatch.context() as broken, pytest.raises(Unavailable):
            broken.setattr(audit_forwarded, "advance", killed)
            forward_due(house)
        while forward_due(house):
            pass
        until(lambda: len(server.lines()) == 12, 30)
    assert numbers(server) == [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8]


def test_without_a_server_nothing_is_forwarded(tmp_path: Path) -> None:
    plain = place.make_home(tmp_path / "plain")
    assert forward_due(plain) == 0
    asyncio.run(asyncio.wait_for(Oversight(plain, busy=lambda: False).forward(), 5.0))
    asyncio.run(plain.http.aclose())
    plain.ledger.close()


def test_the_runner_s_round_survives_an_outage_and_catches_up(
    house: House, server: Rsyslog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_forwarding, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(policies, "AUDIT_SERVER", policies.Backoff(first=0.1, longest=0.2))

    async def run() -> None:
        forwarding = asyncio.create_task(Oversight(house, busy=lambda: False).forward())
        await asyncio.to_thread(seal, house, 7)
        await asyncio.sleep(0.5)
        assert position(house) == 0
        with server.running():
            await asyncio.to_thread(until, lambda: position(house) == 7)
            assert not forwarding.done()
            await asyncio.to_thread(until, lambda: len(server.lines()) == 7)
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)

    asyncio.run(run())
    assert numbers(server) == list(range(1, 8))


def test_a_server_that_hangs_holds_up_neither_the_loop_nor_our_end(tmp_path: Path, theirs: Certificates) -> None:
    with hostile(silent) as port:
        stuck = home(tmp_path / "stuck", theirs, port, seconds=3.0)
        seal(stuck, 1)

        async def run() -> float:
            forwarding = asyncio.create_task(Oversight(stuck, busy=lambda: False).forward())
            await asyncio.sleep(0.3)
            begun = time.monotonic()
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)
            return time.monotonic() - begun

        begun = time.monotonic()
        assert asyncio.run(run()) < 0.5
        # The loop's own threads are waited for at its end; ours is not one of them.
        assert time.monotonic() - begun < 2.0
        asyncio.run(stuck.http.aclose())
        stuck.ledger.close()
