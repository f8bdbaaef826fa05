"""The audit messages on the wire, to a real rsyslog and to servers that break the rules."""

import re
import socket
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from defusedxml import ElementTree

from integrations.syslog import framed, send
from radloop.audit.atna import Source, witnessed
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.ledger.audit_log import Entry
from radloop.settings import Syslog
from tests.clock import until
from tests.peers.certificates import Certificates, certificates
from tests.peers.rsyslog import rsyslog
from tests.peers.sockets import refusing
from tests.radloop.audit.schema import faults

SOURCE = Source(host="gate1.hospital.example", site="Trial site")
ENTRY = Entry(
    id="au_1",
    number=7,
    link=bytes(range(32)),
    at=datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC),
    actor="dr.müller",
    role="READER,APPROVER",
    address="10.0.0.7",
    action="view.study",
    object_kind="study_version",
    object_id="sv_1",
    detail='said "<no>" & went\n',
)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def settings(theirs: Certificates, port: int, **changes: object) -> Syslog:
    given = {"ca": theirs.ca, "certificate": theirs.certificate, "key": theirs.key, "timeout_seconds": 5.0, **changes}
    return Syslog(address=f"127.0.0.1:{port}", **given)  # type: ignore[arg-type]


def entries(count: int) -> list[Entry]:
    return [replace(ENTRY, id=f"au_{n}", number=n, link=bytes([n % 256]) * 32) for n in range(1, count + 1)]


def await_lines(read: Callable[[], list[str]], count: int) -> list[str]:
    until(lambda: len(read()) >= count, 20)
    return read()


def test_a_frame_is_what_the_standards_say() -> None:
    frame = framed(ENTRY, SOURCE)
    length, said = frame.split(b" ", 1)
    assert int(length) == len(said)
    header, body = said.split(b"\xef\xbb\xbf")
    pattern = rb"<85>1 2026-05-04T03:02:01.123456\+00:00 gate1.hospital.example radloop \d+ IHE\+RFC-3881 - "
    assert re.fullmatch(pattern, header)
    assert body.isascii()
    assert faults(body) == []
    root = ElementTree.fromstring(body)
    assert root.find("ActiveParticipant").attrib == {
        "UserID": "dr.müller",
        "UserIsRequestor": "true",
        "NetworkAccessPointID": "10.0.0.7",
        "NetworkAccessPointTypeCode": "2",
    }
    details = {one.get("type"): b64decode(one.get("value")) for one in root.iter("ParticipantObjectDetail")}
    assert details == {
        "number": b"7",
        "link": bytes(range(32)),
        "record": b"au_1",
        "detail": b'said "<no>" & went\n',
    }


def test_a_long_text_is_cut_and_the_frame_stays_below_what_receivers_take() -> None:
    assert len(framed(replace(ENTRY, detail="x" * 100_000), SOURCE)) < 8192


def test_a_real_server_keeps_all_of_them_in_order_and_what_it_keeps_proves_them(
    tmp_path: Path, theirs: Certificates
) -> None:
    server, sent = rsyslog(tmp_path / "log", theirs), entries(1200)
    with server.running():
        for batch in (sent[:500], sent[500:1000], sent[1000:]):
            send(settings(theirs, server.port), [framed(entry, SOURCE) for entry in batch])
        lines = await_lines(server.lines, 1200)
    found = [int(number) for line in lines for number in witnessed([line.encode()])]
    assert found == list(range(1, 1201))
    assert witnessed(server.kept.read_bytes().splitlines()) == {one.number: one.link for one in sent}
    assert lines[0].startswith("2026-05-04T03:02:01.123456+00:00 radloop IHE+RFC-3881 5 ")
    assert faults(lines[0][lines[0].index("<AuditMessage") :].encode()) == []


def test_a_real_server_that_comes_back_gets_the_batch_again(tmp_path: Path, theirs: Certificates) -> None:
    server, batch = rsyslog(tmp_path / "log", theirs), [framed(entry, SOURCE) for entry in entries(3)]
    with server.running():
        send(settings(theirs, server.port), batch)
    with pytest.raises(Unavailable):
        send(settings(theirs, server.port), batch)
    with server.running():
        send(settings(theirs, server.port), batch)
        assert len(await_lines(server.lines, 6)) == 6


def test_a_server_that_asks_for_a_certificate_takes_nothing_without_one(tmp_path: Path, theirs: Certificates) -> None:
    server = rsyslog(tmp_path / "log", theirs)
    bare = settings(theirs, server.port, certificate=None, key=None)
    with server.running():
        for count in (1, 400):
            # In TLS 1.3 it says so only when we have begun to send; its reset may overtake its words.
            with pytest.raises((RefusedByPeer, Unavailable)):
                send(bare, [framed(entry, SOURCE) for entry in entries(count)])
    assert server.lines() == []


def test_a_server_that_cannot_show_the_right_certificate_gets_nothing(tmp_path: Path, theirs: Certificates) -> None:
    (tmp_path / "other").mkdir()
    other = certificates(tmp_path / "other")
    server = rsyslog(tmp_path / "log", theirs)
    with server.running(), pytest.raises(RefusedByPeer):
        send(settings(theirs, server.port, ca=other.ca), [framed(ENTRY, SOURCE)])
    assert server.lines() == []


def test_files_that_are_no_certificates_are_for_a_person(tmp_path: Path, theirs: Certificates) -> None:
    (tmp_path / "no.pem").write_text("no")
    with pytest.raises(Permanent, match="TLS files"):
        send(settings(theirs, 1, certificate=tmp_path / "no.pem"), [])


def test_nobody_there_is_away() -> None:
    with refusing() as port, pytest.raises(Unavailable):
        send(Syslog(address=f"127.0.0.1:{port}"), [framed(ENTRY, SOURCE)])


@contextmanager
def served(theirs: Certificates, behave: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
    """The port of a TLS server whose connections meet `behave`, one after the other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as sock:
                        behave(sock)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5.0)


def read_all(sock: ssl.SSLSocket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def test_a_server_that_says_goodbye_has_read_it(theirs: Certificates) -> None:
    seen: list[bytes] = []

    def behave(sock: ssl.SSLSocket) -> None:
        seen.append(read_all(sock))
        sock.unwrap().close()

    batch = [framed(entry, SOURCE) for entry in entries(400)]
    with served(theirs, behave) as port:
        send(settings(theirs, port), batch)
    assert seen == [b"".join(batch)]


def test_a_server_that_just_ends_the_connection_after_our_goodbye_has_read_it(theirs: Certificates) -> None:
    seen: list[bytes] = []
    with served(theirs, lambda sock: seen.append(read_all(sock))) as port:
        send(settings(theirs, port), [framed(ENTRY, SOURCE)])
    assert seen == [framed(ENTRY, SOURCE)]


def test_a_server_that_says_goodbye_before_it_has_read_it_has_not_got_the_batch(theirs: Certificates) -> None:
    def behave(sock: ssl.SSLSocket) -> None:
        sock.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            sock.unwrap()  # its goodbye is sent; it does not wait for ours
        time.sleep(0.3)

    batch = [framed(entry, SOURCE) for entry in entries(400)]
    with served(theirs, behave) as port, pytest.raises(Unavailable):
        send(settings(theirs, port), batch)


def test_a_server_that_dies_before_it_has_read_everything_has_not_got_the_batch(theirs: Certificates) -> None:
    def behave(sock: ssl.SSLSocket) -> None:
        sock.recv(100)
        time.sleep(0.3)  # more is there by now, unread: the kernel answers with a reset

    batch = [framed(entry, SOURCE) for entry in entries(400)]
    with served(theirs, behave) as port, pytest.raises(Unavailable):
        send(settings(theirs, port), batch)


def test_a_server_that_hangs_has_not_got_the_batch_and_holds_us_no_longer_than_the_deadline(
    theirs: Certificates,
) -> None:
    free = threading.Event()
    with served(theirs, lambda _: free.wait(20.0) and None) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            send(settings(theirs, port, timeout_seconds=0.5), [framed(ENTRY, SOURCE)])
        assert time.monotonic() - begun < 4.0
        free.set()


def test_a_server_that_reads_one_byte_at_a_time_has_a_deadline_for_the_batch(theirs: Certificates) -> None:
    free = threading.Event()

    def behave(sock: ssl.SSLSocket) -> None:
        while not free.is_set() and sock.recv(16):
            time.sleep(0.05)

    big = [framed(replace(ENTRY, detail="x" * 1500), SOURCE)] * 4000
    with served(theirs, behave) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            send(settings(theirs, port, timeout_seconds=0.3), big)
        assert time.monotonic() - begun < 5.0
        free.set()
