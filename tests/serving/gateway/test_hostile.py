"""Sockets that mean harm: a real peer must not notice them."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.gateway.listener import Connection, Limits, Listener, bind
from tests.clock import until
from tests.serving.gateway.door import Door, make_home, open_door, process_door
from tests.serving.gateway.sender import associated, instance, store
from tests.serving.gateway.test_association import connection_threads

ECHO_SECONDS = 1.0


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def a_pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def closed(sock: socket.socket, seconds: float = 10.0) -> bool:
    """Whether the other side ends the connection in time."""
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def echo_seconds(port: int) -> float:
    began = time.monotonic()
    with associated(port) as assoc:
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0x0000
        return time.monotonic() - began


@contextmanager
def flood(port: int, sockets: int) -> Iterator[None]:
    """`sockets` silent connections, and as many more as fit until the block ends."""
    held: list[socket.socket] = []
    stop = threading.Event()

    def pour() -> None:
        while not stop.is_set() and len(held) < 4 * sockets:
            with contextlib.suppress(OSError):
                held.append(connect(port))
            if len(held) > sockets:
                stop.wait(0.005)

    pourer = threading.Thread(target=pour, daemon=True)
    pourer.start()
    try:
        until(lambda: len(held) >= sockets, 30.0)
        yield
    finally:
        stop.set()
        pourer.join(10.0)
        for sock in held:
            sock.close()


def test_a_huge_pdu_claim_is_refused_and_allocates_nothing(tmp_path: Path) -> None:
    with process_door(make_home(tmp_path / "home")) as (door, process):
        before = psutil.Process(process.pid).memory_info().rss
        for kind in (0x01, 0x04, 0x07):
            for length in (1_500_000_000, 0xFFFFFFFF):
                with connect(door.dicom_port) as sock, contextlib.suppress(OSError):
                    sock.sendall(struct.pack(">BxL", kind, length))
                    for _ in range(64):
                        sock.sendall(bytes(1 << 20))
        assert psutil.Process(process.pid).memory_info().rss - before < 16 << 20
        assert echo_seconds(door.dicom_port) < 5.0


def test_a_p_data_beyond_the_cap_ends_the_association_of_a_known_peer(tmp_path: Path) -> None:
    with open_door(make_home(tmp_path / "home", "max_pdu = 16384")) as door, associated(door.dicom_port) as assoc:
        assoc.dul.socket.socket.sendall(struct.pack(">BxL", 4, 16385) + bytes(100))
        until(lambda: assoc.is_aborted)
        assert door.instances == ()


def test_a_socket_stalled_inside_a_pdu_is_closed_at_the_deadline(tmp_path: Path) -> None:
    with (
        open_door(make_home(tmp_path / "home", "pdu_deadline_seconds = 0.5")) as door,
        connect(door.dicom_port) as sock,
    ):
        began = time.monotonic()
        sock.sendall(struct.pack(">BxL", 1, 200) + bytes(20))
        assert closed(sock, 5.0)
        assert 0.4 < time.monotonic() - began < 4.0


def test_a_slow_drip_is_closed_at_the_deadline_however_steady(tmp_path: Path) -> None:
    with (
        open_door(make_home(tmp_path / "home", "pdu_deadline_seconds = 0.6")) as door,
        connect(door.dicom_port) as sock,
    ):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            sock.sendall(struct.pack(">BxL", 1, 200))
            while time.monotonic() - began < 8.0:
                sock.sendall(b"\0")
                time.sleep(0.1)
        assert time.monotonic() - began < 5.0


def test_a_known_peer_that_stalls_inside_a_pdu_is_closed_and_leaves_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "pdu_deadline_seconds = 0.5")
    with open_door(home) as door, associated(door.dicom_port) as assoc:
        assoc.dul.socket.socket.sendall(struct.pack(">BxL", 4, 5000) + bytes(20))
        until(lambda: assoc.is_aborted or not assoc.is_established)
        assert (door.instances, door.keys(), door.temporaries()) == ((), set(), [])


def test_a_silent_socket_is_closed_at_the_deadline(tmp_path: Path) -> None:
    with (
        open_door(make_home(tmp_path / "home", "pdu_deadline_seconds = 0.5")) as door,
        connect(door.dicom_port) as sock,
    ):
        assert closed(sock, 5.0)


@pytest.mark.campaign
def test_a_real_peer_gets_its_echo_during_a_flood_from_its_own_address(tmp_path: Path) -> None:
    with process_door(make_home(tmp_path / "home")) as (door, process), flood(door.dicom_port, 500):
        times = sorted(echo_seconds(door.dicom_port) for _ in range(7))
        assert times[3] < ECHO_SECONDS  # the median: this machine may be busy with other tests
        assert psutil.Process(process.pid).num_threads() < 100


def test_silent_sockets_of_one_address_are_capped_and_the_oldest_goes(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "max_pending_per_address = 3")
    with open_door(home) as door, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(door.dicom_port)) for _ in range(5)]
        assert closed(socks[0], 5.0)
        assert closed(socks[1], 5.0)
        # The oldest is let go before the newest has its thread.
        until(lambda: len([thread for thread in connection_threads() if thread.is_alive()]) >= 3)
        assert not closed(socks[4], 0.2)


def test_who_has_spoken_and_is_being_answered_stays_while_silent_sockets_push_each_other_out() -> None:
    answered, release = threading.Event(), threading.Event()

    def serve(connection: Connection) -> None:
        connection.wire.begin(memoryview(bytearray(1)), 10.0)
        connection.speaks = True
        answered.set()
        release.wait(10.0)

    listener = Listener(bind("127.0.0.1", 0, shared=False), serve, Limits(2, 2, 10.0))
    listener.start()
    with contextlib.ExitStack() as stack:
        stack.callback(listener.stop, 5.0)
        stack.callback(release.set)
        speaker = stack.enter_context(connect(listener.port))
        speaker.sendall(b"x")
        assert answered.wait(10.0)
        silent = [stack.enter_context(connect(listener.port)) for _ in range(3)]
        assert closed(silent[0], 5.0)
        assert closed(silent[1], 5.0)
        assert not closed(speaker, 0.2)


def test_associations_do_not_count_as_silent_sockets(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "max_pending_per_address = 1")
    with (
        open_door(home) as door,
        associated(door.dicom_port) as first,
        associated(door.dicom_port) as second,
        connect(door.dicom_port),
        connect(door.dicom_port),
    ):
        assert store(first, instance()) == 0x0000
        assert store(second, instance()) == 0x0000


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(min_size=1, max_size=400),
        st.builds(
            a_pdu,
            st.integers(0, 8),
            st.binary(max_size=300),
        ),
    )
)
def test_garbage_ends_its_own_connection_and_nothing_else(shared_door: Door, garbage: bytes) -> None:
    with connect(shared_door.dicom_port) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
        assert closed(sock)


@pytest.mark.parametrize(
    "fragment",
    [
        struct.pack(">LBB", 0, 1, 3),  # a PDV shorter than its own header
        struct.pack(">LBB", 1000, 1, 3) + bytes(10),  # longer than its PDU
        struct.pack(">LBB", 6, 1, 3) + b"\xff" * 4,  # no command set
        struct.pack(">LBB", 6, 1, 0) + b"\xff" * 4,  # data before any command
        struct.pack(">LBB", 6, 255, 3) + bytes(4),  # a context that was never agreed
        b"",
    ],
)
def test_a_known_peer_that_breaks_dimse_is_aborted_and_the_door_stays_open(door: Door, fragment: bytes) -> None:
    with associated(door.dicom_port) as assoc:
        assoc.dul.socket.socket.sendall(struct.pack(">BxL", 4, len(fragment)) + fragment)
        if fragment:
            until(lambda: assoc.is_aborted)
    assert echo_seconds(door.dicom_port) < 5.0
