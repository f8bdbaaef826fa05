"""HL7 in: orders and patient updates, acknowledged once committed; everyone else is told so, or nothing."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from radloop.domain.enums import Urgency
from radloop.domain.errors import StorageFull, Unavailable
from radloop.ledger import Ledger, orders
from radloop.ledger.tables import hl7_messages
from radloop.ledger.tables import orders as order_rows
from serving.gateway import mllp
from tests.serving.gateway.door import PEERS, Door, make_home, open_door, process_door
from tests.serving.gateway.test_hostile import closed

ORDER = (
    "MSH|^~\\&|{sender}|RADLOOP|RAD|20240101||{kind}|{control}|P|2.5.1\r"
    "PID|1||P1^^^HOSP^MR||Phantom^One\r"
    "ORC|NW|PL1|FI1\r"
    "OBR|1|PL1|FI1|71020^CHEST^L||||||||||||||ACC1\r"
    "TQ1|1||||||||{priority}\r"
)


def order(control: str = "1", kind: str = "ORM^O01", priority: str = "S", sender: str = "RIS|HOSPITAL") -> bytes:
    return ORDER.format(control=control, kind=kind, priority=priority, sender=sender).encode()


@dataclass
class Ris:
    """A connection that sends messages and reads answers."""

    sock: socket.socket

    def say(self, message: bytes) -> list[str]:
        """The segments of the answer."""
        self.sock.sendall(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            more = self.sock.recv(65536)
            assert more, "closed"
            answer += more
        return answer.strip(b"\x0b\x1c\r").decode().split("\r")

    def code(self, message: bytes) -> str:
        """MSA-1, once MSA-2 is known to be the message's own."""
        msa = next(segment for segment in self.say(message) if segment.startswith("MSA")).split("|")
        assert msa[2] in (message.split(b"\r")[0].split(b"|")[9].decode(), "")
        return msa[1]


@contextmanager
def connected(door: Door) -> Iterator[Ris]:
    with socket.create_connection(("127.0.0.1", door.hl7_port), timeout=20) as sock:
        yield Ris(sock)


@pytest.fixture
def ris(door: Door) -> Iterator[Ris]:
    with connected(door) as connection:
        yield connection


def counted(door: Door) -> tuple[int, int]:
    """Orders and messages on record."""
    with door.ledger.read() as conn:
        return (
            conn.scalar(select(func.count()).select_from(order_rows)) or 0,
            conn.scalar(select(func.count()).select_from(hl7_messages)) or 0,
        )


@pytest.mark.parametrize("kind", ["ORM^O01", "OMI^O23"])
def test_an_order_is_on_record_when_it_is_accepted(door: Door, ris: Ris, kind: str) -> None:
    assert ris.code(order(kind=kind)) == "AA"
    with door.ledger.read() as conn:
        found = orders.find(conn, "ACC1", "P1")
    assert found is not None
    assert (found.priority, found.issuer, found.placer_number) == (Urgency.CRITICAL, "HOSP", "PL1")


def test_the_same_message_again_is_accepted_and_takes_effect_once(door: Door, ris: Ris) -> None:
    assert [ris.code(order()) for _ in range(3)] == ["AA"] * 3
    assert counted(door) == (1, 1)


def test_a_patient_update_is_accepted(door: Door, ris: Ris) -> None:
    assert ris.code(order().replace(b"^^^HOSP^MR", b"")) == "AA"
    assert ris.code(order("2", "ADT^A08")) == "AA"
    with door.ledger.read() as conn:
        found = orders.find(conn, "ACC1", "P1")
    assert found is not None
    assert found.issuer == "HOSP"


def test_another_sender_at_a_known_address_is_refused_and_audited(door: Door, ris: Ris) -> None:
    assert ris.code(order(sender="EVIL|HOSPITAL")) == "AR"
    assert counted(door) == (0, 0)
    assert door.audited("hl7.deny") == ["ris"]


def test_a_merge_and_an_unknown_message_are_refused(door: Door, ris: Ris) -> None:
    assert ris.code(order("2", "ADT^A40")) == "AR"
    assert ris.code(order("3", "SIU^S12")) == "AR"
    assert counted(door) == (0, 0)


def test_an_order_without_its_numbers_is_an_error_with_err_and_set_aside(door: Door, ris: Ris) -> None:
    answer = ris.say(b"\r".join(order().split(b"\r")[:2]) + b"\r")
    assert any(segment.startswith("MSA|AE|1") for segment in answer)
    assert any(segment.startswith("ERR") and "HL70357" in segment for segment in answer)
    (aside,) = door.set_aside
    assert (aside.peer, aside.blob is not None) == ("ris", True)
    assert ris.code(order("2")) == "AA"


def test_bytes_that_are_no_message_are_refused_and_set_aside_and_the_next_is_taken(door: Door, ris: Ris) -> None:
    assert any(segment.startswith("MSA|AR") for segment in ris.say(b"hello"))
    assert len(door.set_aside) == 1
    assert ris.code(order()) == "AA"


@pytest.mark.parametrize("error", [StorageFull("full"), Unavailable("locked")])
def test_an_order_that_cannot_be_committed_is_ae_and_is_taken_once_it_can(
    door: Door, ris: Ris, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(mllp.orders, "first_time", failing)
        assert ris.code(order()) == "AE"
    assert counted(door) == (0, 0)
    assert ris.code(order()) == "AA"


def test_a_stranger_is_not_answered_at_all(tmp_path: Path) -> None:
    peers = PEERS.replace('mllp = "127.0.0.1:2576"', 'mllp = "192.0.2.9:2576"')
    with open_door(make_home(tmp_path / "home", peers=peers)) as door, connected(door) as ris:
        with contextlib.suppress(OSError):
            ris.sock.sendall(b"\x0b" + order() + b"\x1c\r")
        assert closed(ris.sock)
        assert counted(door) == (0, 0)


def test_bytes_outside_a_frame_end_the_connection(door: Door, ris: Ris) -> None:
    ris.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert closed(ris.sock)
    assert len(door.set_aside) == 1


def test_a_frame_beyond_the_limit_ends_the_connection(door: Door, ris: Ris) -> None:
    with contextlib.suppress(OSError):
        ris.sock.sendall(b"\x0b" + b"A" * (mllp.LARGEST_MESSAGE + 200_000))
    assert closed(ris.sock)
    (aside,) = door.set_aside
    assert (aside.reason.split(":")[0], aside.blob) == ("too-large", None)


def test_a_frame_that_does_not_end_in_time_ends_the_connection(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "pdu_deadline_seconds = 0.6")
    with open_door(home) as door, connected(door) as ris:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            ris.sock.sendall(b"\x0b")
            while time.monotonic() - began < 8.0:
                ris.sock.sendall(b"A")
                time.sleep(0.1)
        assert time.monotonic() - began < 5.0


def test_a_silent_connection_is_closed_and_one_that_sends_now_and_then_is_kept(tmp_path: Path) -> None:
    with open_door(make_home(tmp_path / "home", "idle_seconds = 1.0")) as door, connected(door) as ris:
        for number in range(3):
            assert ris.code(order(str(number))) == "AA"
            time.sleep(0.4)
        assert closed(ris.sock, 5.0)


def test_an_accepted_order_survives_a_kill(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with process_door(home) as (door, process), connected(door) as ris:
        assert ris.code(order()) == "AA"
        process.kill()
        process.wait(5.0)
    with open_door(home) as door, connected(door) as ris:
        assert counted(door) == (1, 1)
        assert ris.code(order()) == "AA"
        assert counted(door) == (1, 1)
        assert isinstance(door.ledger, Ledger)
