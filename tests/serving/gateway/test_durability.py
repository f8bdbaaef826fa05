"""Durable before 0x0000: the order of system calls, and what faults and crashes leave behind."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from radloop.domain.errors import StorageFull
from radloop.domain.records import Blob
from radloop.ledger import Ledger
from radloop.process import announced
from radloop.settings import load_settings
from radloop.store import LocalStore
from serving.gateway.reconcile import sweep
from tests.clock import until
from tests.peers.strace import attached, strace
from tests.serving.gateway.door import PEERS, Door, closing_ledger, make_home, open_door, process_door
from tests.serving.gateway.sender import associated, instance, store
from tests.serving.gateway.test_dimse import pdus_of, store_request

C_STORE_RSP = r'sendto\(\d+, "\\4'  # a P-DATA-TF


def test_the_file_is_synced_renamed_and_its_folder_synced_and_the_ledger_committed_before_the_answer(
    tmp_path: Path,
) -> None:
    home, trace = make_home(tmp_path / "home"), tmp_path / "trace"
    calls = "fsync,fdatasync,rename,sendto,openat"
    with process_door(home) as (door, process), associated(door.dicom_port) as assoc:
        tracing = strace("-p", str(process.pid), "-y", "-s", "400", "-o", str(trace), "-e", f"trace={calls}")
        with attached(tracing, process.pid):
            assert store(assoc, instance()) == 0x0000
    lines = trace.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if "O_EXCL" in line and "/store/tmp/" in line)
    order = [
        r"fsync\(\d+<[^>]*/store/tmp/",
        r"rename\(\"[^\"]*/store/tmp/[^\"]*\", \"[^\"]*/store/objects/",
        r"fsync\(\d+<[^>]*/store/objects/..>",
        r"f(data)?sync\(\d+<[^>]*/ledger\.db-wal>",
        C_STORE_RSP.replace(r"\d+", r"\d+<[^>]*>"),
    ]
    at = [next(n for n in range(first, len(lines)) if re.search(step, lines[n])) for step in order]
    assert at == sorted(at), [lines[n] for n in at]


@pytest.mark.parametrize("call", ["fsync", "fdatasync", "write", "rename"])
def test_a_full_disk_is_answered_with_a700_and_leaves_nothing(tmp_path: Path, call: str) -> None:
    """Every such call of one request fails; afterwards the gateway is not ready, then is again by itself."""
    home = make_home(tmp_path / "home")
    with process_door(home) as (door, process), associated(door.dicom_port) as assoc:
        assert store(assoc, instance()) == 0x0000
        before = door.keys()
        injecting = strace(
            "-p", str(process.pid), "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=ENOSPC"
        )
        with attached(injecting, process.pid):
            statuses = {store(assoc, instance()) for _ in range(2)}
        assert statuses == {0xA700}
        assert door.keys() == before
        assert len(door.instances) == 1
        until(lambda: announced(home, "gateway") is not None, 15.0)
        assert store(assoc, instance()) == 0x0000
        assert len(door.instances) == 2


def test_readiness_turns_red_while_the_disk_is_full_and_green_by_itself(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, parts: object) -> Blob:
        raise StorageFull("no room")

    with associated(door.dicom_port) as assoc:
        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "put_parts", full)
            assert store(assoc, instance()) == 0xA700
            assert announced(door.home, "gateway") is None
        until(lambda: announced(door.home, "gateway") is not None)
        assert store(assoc, instance()) == 0x0000


def test_a_locked_ledger_is_waited_for_and_then_answered_with_a700(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", peers="[ledger]\nbusy_seconds = 0.3\n" + PEERS)
    with (
        open_door(home) as door,
        associated(door.dicom_port) as assoc,
        closing_ledger(Ledger(load_settings(home).ledger_url)) as other,
    ):
        with other.write():
            began = time.monotonic()
            assert store(assoc, instance()) == 0xA700
            assert 0.2 < time.monotonic() - began < 10.0
        assert (door.keys(), door.instances) == (set(), ())
        assert store(assoc, instance()) == 0x0000


def test_an_abort_within_a_data_set_leaves_nothing(door: Door) -> None:
    with associated(door.dicom_port) as assoc:
        assoc.dul.socket.socket.sendall(half_a_store_request())
        assoc.abort()
    time.sleep(0.2)
    assert (door.instances, door.keys(), door.temporaries(), door.set_aside) == ((), set(), [], ())


def test_a_connection_lost_within_a_data_set_leaves_nothing(door: Door) -> None:
    with associated(door.dicom_port) as assoc:
        assoc.dul.socket.socket.sendall(half_a_store_request())
        assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: not assoc.is_established)
    assert (door.instances, door.keys(), door.temporaries(), door.set_aside) == ((), set(), [], ())


def test_a_kill_between_the_store_and_the_ledger_is_reconciled_and_the_resend_is_stored_once(tmp_path: Path) -> None:
    home, sent = make_home(tmp_path / "home"), instance()
    # The first fdatasync is the ledger's: the bytes are in the store, and no row names them.
    injecting = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:signal=KILL:when=1")
    with process_door(home) as (door, process):
        with (
            attached(strace("-p", str(process.pid), "-o", "/dev/null", *injecting), process.pid),
            pytest.raises(AssertionError, match="no response"),
            associated(door.dicom_port) as assoc,
        ):
            store(assoc, sent)
        process.wait(20.0)
        assert len(door.keys()) == 1
    with process_door(home) as (door, _):
        orphans = door.keys()
        with associated(door.dicom_port) as assoc:
            assert store(assoc, sent) == 0x0000
        assert len(door.instances) == 1
        sweep(door.store, door.ledger, threading.Event(), orphan_seconds=0.0)
        assert door.keys() == {door.instances[0].blob.key}
        assert len(orphans) == 1


def test_the_sweep_waits_and_takes_nothing_that_is_named_or_named_meanwhile(door: Door) -> None:
    with associated(door.dicom_port) as assoc:
        assert store(assoc, instance()) == 0x0000
    orphan = door.store.put(b"nobody names this")
    assert sweep(door.store, door.ledger, threading.Event(), orphan_seconds=0.05) == 1
    assert door.keys() == {door.instances[0].blob.key}
    assert orphan.key != door.instances[0].blob.key
    stopped = threading.Event()
    stopped.set()
    door.store.put(b"too young")
    assert sweep(door.store, door.ledger, stopped) == 0
    assert len(door.keys()) == 2


@pytest.mark.parametrize("delay", [0.15, 0.4, 0.8])
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path, delay: float) -> None:
    home = make_home(tmp_path / "home")
    acknowledged: list[str] = []

    def send(port: int) -> None:
        with contextlib.suppress(AssertionError, RuntimeError), associated(port) as assoc:
            while True:
                sent = instance()
                if store(assoc, sent) == 0x0000:
                    acknowledged.append(sent.sop_uid)

    with process_door(home) as (door, process):
        senders = [threading.Thread(target=send, args=(door.dicom_port,), daemon=True) for _ in range(3)]
        for sender in senders:
            sender.start()
        until(lambda: acknowledged)
        time.sleep(delay)
        process.kill()
        for sender in senders:
            sender.join(30.0)
    with open_door(home) as door:
        on_record = {one.header.sop_uid: one for one in door.instances}
        assert acknowledged
        assert set(acknowledged) <= set(on_record)
        assert all(door.file(one.blob)[:4] == b"\0\0\0\0" for one in on_record.values())


def test_sigterm_ends_the_process_cleanly_and_withdraws_its_announcement(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with process_door(home) as (door, process), associated(door.dicom_port) as assoc:
        assert store(assoc, instance()) == 0x0000
        process.send_signal(signal.SIGTERM)
        assert process.wait(15.0) == 0
        assert announced(home, "gateway") is None
        until(lambda: not assoc.is_established)


def test_a_gateway_dies_with_its_parent(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    start = f"[sys.executable, '-m', 'serving.gateway', '--home', {str(home)!r}]"
    code = f"import subprocess, sys, time; subprocess.Popen({start}); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        until(lambda: announced(home, "gateway"), 30.0)
    finally:
        parent.kill()
        parent.wait(5.0)
    until(lambda: announced(home, "gateway") is None)


def test_two_processes_share_one_port_and_both_are_used(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "processes = 2")
    with (
        process_door(home, name="gateway") as (first, _),
        process_door(home, name="gateway-2", index=1) as (second, _),
    ):
        assert first.dicom_port == second.dicom_port
        assert (first.hl7_port > 0, second.hl7_port) == (True, 0)
        for _ in range(12):
            with associated(first.dicom_port) as assoc:
                assert store(assoc, instance()) == 0x0000
        assert len(first.instances) == 12


def half_a_store_request() -> bytes:
    """A whole command set, and the first fragment of a data set that does not end."""
    command, data = pdus_of(store_request("1.2.840.10008.5.1.4.1.1.7", "1.2.3", bytes(20_000)), 16_000)[:2]
    return command.replace(b"\x05\x03", b"\x03\x03", 1) + data.replace(b"\x05\x00", b"\x03\x00", 1)
