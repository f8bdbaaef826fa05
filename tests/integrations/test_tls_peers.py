"""Each protocol over TLS: a peer whose certificate comes from the named authority is talked to, any other is not."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrations.dimse import ADAPTER as DIMSE
from integrations.fhir import ADAPTER as FHIR
from integrations.hl7 import ADAPTER as HL7
from radloop.domain.enums import PeerRole
from radloop.domain.errors import Permanent, Unavailable
from radloop.domain.records import Accepted
from radloop.settings import Peer, Tls
from tests.peers.certificates import Certificates, certificates
from tests.peers.dcmtk import storescp
from tests.peers.dicom_files import dicom_file
from tests.peers.fhir import fhir_peer
from tests.peers.mllp import mllp_peer
from tests.peers.parcels import parcel
from tests.peers.sockets import hostile, silent

MESSAGE = parcel(b"MSH|^~\\&|A|B|C|D|20240101||ORU^R01|M1|P|2.5.1\r", identifier="M1")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("foreign"))


def tls(files: Certificates, ca: Certificates | None = None) -> Tls:
    return Tls(certificate=files.certificate, key=files.key, ca=(ca or files).ca)


def pacs(port: int, material: Tls) -> Peer:
    return Peer(
        name="pacs",
        roles=(PeerRole.RESULTS,),
        ae_title="STORESCP",
        host="127.0.0.1",
        port=port,
        tls=material,
        answer_seconds=3,
        connect_seconds=2,
    )


def ris(port: int, material: Tls) -> Peer:
    return Peer(name="ris", roles=(PeerRole.REPORTS,), mllp=f"127.0.0.1:{port}", tls=material, connect_seconds=1)


@contextmanager
def tls_in_front(port: int, files: Certificates) -> Iterator[int]:
    """The port of a TLS listener that passes one connection's bytes on to `port`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with (
                plain,
                context.wrap_socket(plain, server_side=True) as secure,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                back = threading.Thread(target=pump, args=(inner, secure), daemon=True)
                back.start()
                pump(secure, inner)
                inner.shutdown(socket.SHUT_RDWR)
                back.join(5)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        thread.join(5)


def test_dicom_goes_over_tls_with_dcmtk(ours: Certificates) -> None:
    options = (f"+tls {ours.key} {ours.certificate}", f"+cf {ours.ca}")
    with storescp(*options) as scp:
        assert DIMSE.send(pacs(scp.port, tls(ours)), [parcel(dicom_file())]) == (Accepted(),)
        assert len(scp.files) == 1


# pynetdicom's own connection thread may leave the failed socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dicom_is_not_sent_to_a_foreign_certificate(ours: Certificates, foreign: Certificates) -> None:
    options = (f"+tls {foreign.key} {foreign.certificate}", f"+cf {foreign.ca}")
    with storescp(*options) as scp:
        (outcome,) = DIMSE.send(pacs(scp.port, tls(ours)), [parcel(dicom_file())])
        assert scp.files == []
    assert isinstance(outcome, Unavailable)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_silent_peer_ends_the_tls_handshake_soon(ours: Certificates) -> None:
    with hostile(silent) as port:
        assert isinstance(DIMSE.send(pacs(port, tls(ours)), [parcel(dicom_file())])[0], Unavailable)
        assert isinstance(HL7.send(ris(port, tls(ours)), [MESSAGE])[0], Unavailable)


def test_hl7_goes_over_tls(ours: Certificates) -> None:
    with mllp_peer("AA") as peer, tls_in_front(peer.port, ours) as port:
        assert HL7.send(ris(port, tls(ours)), [MESSAGE]) == (Accepted(),)


def test_hl7_is_not_sent_to_a_foreign_certificate(ours: Certificates, foreign: Certificates) -> None:
    with mllp_peer("AA") as peer, tls_in_front(peer.port, foreign) as port:
        (outcome,) = HL7.send(ris(port, tls(ours)), [MESSAGE])
        assert peer.received == []
    assert isinstance(outcome, Unavailable)


def test_fhir_goes_over_tls_with_our_certificate_shown(ours: Certificates, foreign: Certificates) -> None:
    with fhir_peer() as ehr:
        for material, expected in ((tls(ours), Accepted), (tls(ours, ca=foreign), Unavailable)):
            with tls_in_front(ehr.port, ours) as port:
                peer = Peer(name="ehr", roles=(PeerRole.REPORTS,), fhir=f"https://127.0.0.1:{port}/fhir", tls=material)
                assert [type(one) for one in FHIR.send(peer, [parcel(b"{}", identifier="a|b")])] == [expected]


@pytest.mark.parametrize("missing", ["ca", "certificate", "key"])
def test_tls_files_that_are_missing_are_a_permanent_error(ours: Certificates, missing: str, tmp_path: Path) -> None:
    material = tls(ours).model_copy(update={missing: tmp_path / "nothing"})
    ehr = Peer(name="ehr", roles=(PeerRole.REPORTS,), fhir="https://127.0.0.1:9/fhir", tls=material)
    assert isinstance(DIMSE.send(pacs(9, material), [parcel(dicom_file())])[0], Permanent)
    assert isinstance(HL7.send(ris(9, material), [MESSAGE])[0], Permanent)
    assert isinstance(FHIR.send(ehr, [parcel(b"{}")])[0], Permanent)
