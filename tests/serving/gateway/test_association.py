"""Who may associate, what is negotiated, and how an association ends."""

import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from tests.clock import until
from tests.peers.dicom_files import dicom_file
from tests.peers.orthanc import orthanc
from tests.peers.programs import free_port, need
from tests.serving.gateway.door import AE_TITLE, PEERS, SOURCE, Door, make_home, open_door
from tests.serving.gateway.sender import associated, instance, rejection_in, store

# pynetdicom's requestor leaves its socket to the collector where the other side closed first (`_shutdown_socket`).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def rejection(port: int, calling: str, called: str = AE_TITLE) -> tuple[int, int, int] | None:
    """(result, source, reason) of the A-ASSOCIATE-RJ; None where the association was accepted."""
    heard: list[object] = []
    with associated(port, calling=calling, called=called, heard=heard) as assoc:
        said = rejection_in(heard)
        assert said or assoc.is_established
        return said


def test_a_known_peer_gets_an_echo(door: Door) -> None:
    with associated(door.dicom_port) as assoc:
        assert assoc.send_c_echo().Status == 0x0000


def test_a_peer_that_only_gets_results_may_echo_and_not_store(door: Door) -> None:
    with associated(door.dicom_port, calling="WORKSTATION") as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        assert [str(cx.abstract_syntax) for cx in assoc.accepted_contexts] == ["1.2.840.10008.1.1"]


def test_an_unknown_calling_ae_title_is_rejected(door: Door) -> None:
    assert rejection(door.dicom_port, "STRANGER") == (1, 1, 3)


def test_a_known_ae_title_from_another_address_is_rejected(door: Door) -> None:
    assert rejection(door.dicom_port, "ELSEWHERE") == (1, 1, 3)


def test_a_wrong_called_ae_title_is_rejected(door: Door) -> None:
    assert rejection(door.dicom_port, SOURCE, called="SOMEBODY") == (1, 1, 7)


def test_peers_that_share_an_address_are_told_apart_by_their_titles(tmp_path: Path) -> None:
    second = PEERS + '[peers.second]\nae_title = "SECOND"\nhost = "127.0.0.1"\nroles = ["source"]\n'
    with open_door(make_home(tmp_path / "home", peers=second)) as door:
        with associated(door.dicom_port, calling="SECOND") as assoc:
            assert store(assoc, instance()) == 0x0000
        assert [one.peer for one in door.instances] == ["second"]


def test_a_peer_is_known_by_its_further_addresses_and_by_its_host_name(tmp_path: Path) -> None:
    peers = """
[peers.far]
ae_title = "FAR"
host = "192.0.2.7"
addresses = ["127.0.0.1"]
roles = ["source"]
[peers.named]
ae_title = "NAMED"
host = "localhost"
roles = ["source"]
"""
    with open_door(make_home(tmp_path / "home", peers=peers)) as door:
        assert rejection(door.dicom_port, "FAR") is None
        assert rejection(door.dicom_port, "NAMED") is None


def test_one_association_more_than_may_be_is_rejected_as_transient(tmp_path: Path) -> None:
    with (
        open_door(make_home(tmp_path / "home", "max_associations = 2")) as door,
        associated(door.dicom_port) as first,
        associated(door.dicom_port) as second,
    ):
        assert rejection(door.dicom_port, SOURCE) == (2, 3, 2)
        first.release()
        until(lambda: rejection(door.dicom_port, SOURCE) is None)
        assert second.send_c_echo().Status == 0x0000


def test_a_service_that_is_not_ours_is_refused_in_negotiation(door: Door) -> None:
    wanted = [(StudyRootQueryRetrieveInformationModelFind, ExplicitVRLittleEndian)]
    with associated(door.dicom_port, wanted) as assoc:
        assert {cx.result for cx in assoc.rejected_contexts} == {3}


def test_an_unknown_transfer_syntax_is_refused_in_negotiation(door: Door) -> None:
    with associated(door.dicom_port, [(CTImageStorage, "1.2.3.4")]) as assoc:
        assert {cx.result for cx in assoc.rejected_contexts} <= {3, 4}
        assert len(assoc.rejected_contexts) == 1


def test_an_association_can_be_released_and_aborted_over_and_over(door: Door) -> None:
    for number in range(10):
        with associated(door.dicom_port) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            if number % 2:
                assoc.abort()
    until(lambda: not connection_threads())


def test_an_idle_association_is_aborted(tmp_path: Path) -> None:
    with (
        open_door(make_home(tmp_path / "home", "idle_seconds = 0.5")) as door,
        associated(door.dicom_port) as assoc,
    ):
        until(lambda: assoc.is_aborted, 5.0)


def test_sub_operations_of_a_c_move_from_a_pacs_are_stored(tmp_path: Path) -> None:
    port = free_port()
    with orthanc(modalities={"us": (AE_TITLE, "127.0.0.1", port)}) as pacs:
        peers = f'[peers.pacs]\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {pacs.port}\nroles = ["source"]\n'
        home = make_home(tmp_path / "home", peers=peers)
        (home / "radloop.toml").write_text(
            (home / "radloop.toml").read_text().replace("dicom_port = 0", f"dicom_port = {port}")
        )
        pacs.upload(dicom_file(StudyInstanceUID="1.2.3.1"))
        with open_door(home) as door:
            movescu = [need("movescu", "dcmtk"), "-aet", AE_TITLE, "-aec", "ORTHANC", "-aem", AE_TITLE, "-S"]
            keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1"]
            moved = subprocess.run([*movescu, "127.0.0.1", str(pacs.port), *keys], timeout=30, check=False)
            assert moved.returncode == 0
            assert [one.peer for one in door.instances] == ["pacs"]


def test_an_echo_over_mutual_tls_needs_a_certificate_of_the_authority(tmp_path: Path) -> None:
    authority(tmp_path)
    tls = "\n".join(
        (
            "[gateway.tls]",
            *(
                f'{key} = "{tmp_path / file}"'
                for key, file in (("certificate", "c.pem"), ("key", "k.pem"), ("ca", "c.pem"))
            ),
        )
    )
    with open_door(make_home(tmp_path / "home", tls)) as door:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
        trusted.check_hostname = False
        assert refused_over_tls(door.dicom_port, trusted)
        trusted.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        # A client that never shakes hands holds up nobody: the handshake is in its own thread.
        with socket.create_connection(("127.0.0.1", door.dicom_port)):
            assert echoes_over_tls(door.dicom_port, trusted)


def test_a_stop_aborts_idle_associations_at_once(tmp_path: Path) -> None:
    with open_door(make_home(tmp_path / "home")) as door, associated(door.dicom_port) as assoc:
        pass
    with open_door(make_home(tmp_path / "home")) as door:
        ae = AE(SOURCE)
        ae.add_requested_context(CTImageStorage)
        assoc = ae.associate("127.0.0.1", door.dicom_port, ae_title=AE_TITLE)
        assert assoc.is_established
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    until(lambda: assoc.is_aborted)


def test_an_unsupported_protocol_version_is_rejected(door: Door) -> None:
    body = struct.pack(">HH16s16s32x", 0x0002, 0, AE_TITLE.ljust(16).encode(), SOURCE.ljust(16).encode())
    body += b"\x10\x00" + struct.pack(">H", 21) + b"1.2.840.10008.3.1.1.1"
    with socket.create_connection(("127.0.0.1", door.dicom_port), timeout=10) as sock:
        sock.sendall(struct.pack(">BxL", 1, len(body)) + body)
        assert sock.recv(64) == b"\x03\x00\x00\x00\x00\x04\x00\x01\x02\x02"


def connection_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "connection"]


def authority(folder: Path) -> None:
    command = [
        need("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    files = ["-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=60)


def echoes_over_tls(port: int, context: ssl.SSLContext) -> bool:
    ae = AE(SOURCE)
    ae.acse_timeout = ae.dimse_timeout = 5
    ae.add_requested_context("1.2.840.10008.1.1")
    assoc: Association = ae.associate("127.0.0.1", port, ae_title=AE_TITLE, tls_args=(context, "localhost"))
    if not assoc.is_established:
        return False
    status = assoc.send_c_echo()
    assoc.release()
    return "Status" in status and status.Status == 0x0000


def refused_over_tls(port: int, context: ssl.SSLContext) -> bool:
    """Whether the other side ends the connection at the handshake; with TLS 1.3 that shows at the first read."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock, context.wrap_socket(sock) as secured:
            return secured.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True
