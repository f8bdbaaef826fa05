"""DICOM and HL7 over TLS, with the programs that hospitals test with: who comes in, by which versions and ciphers."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from radloop.certificates import Described
from radloop.domain.enums import PeerRole
from radloop.domain.errors import SettingsError
from radloop.settings import Peer, load_settings
from radloop.tls import SUITES, Holder
from serving.gateway.admission import is_holder
from serving.gateway.gateway import Gateway, Place
from tests.peers.dicom_files import dicom_file
from tests.peers.programs import need
from tests.peers.trial import Trial, trial
from tests.serving.cli.conftest import CliRunner, app
from tests.serving.gateway.door import AE_TITLE, SOURCE, Door, log_lines, make_home, open_door, process_door
from tests.serving.gateway.test_hostile import closed
from tests.serving.gateway.test_mllp import Ris, counted, order

NOT_RECOGNISED = "Calling AE Title Not Recognized"

PEERS = """
[peers.modality]
ae_title = "MODALITY"
host = "127.0.0.1"
roles = ["source"]
[peers.local]
ae_title = "RADLOOP_SEND"
host = "127.0.0.1"
roles = ["source"]
[peers.pinned]
ae_title = "PINNED"
host = "127.0.0.1"
roles = ["source"]
certificate_names = ["sha256:{pin}"]
[peers.ris]
mllp = "127.0.0.1:2576"
roles = ["orders"]
certificate_names = ["RIS.example.org"]
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tmp_path_factory.mktemp("foreign"))


def secured_home(home: Path, ours: Trial) -> Path:
    return make_home(home, ours.table("gateway.tls"), PEERS.format(pin=ours.other.sha256))


@pytest.fixture(scope="module")
def secured(ours: Trial, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway that asks every peer for a certificate."""
    with open_door(secured_home(tmp_path_factory.mktemp("secured") / "home", ours)) as opened:
        yield opened


def dcmtk(
    program: str, door: Door, *options: str, shown: Described | None, ours: Trial, calling: str = SOURCE
) -> subprocess.CompletedProcess[str]:
    """echoscu or storescu over TLS, with the certificate that is shown (None: without any)."""
    tls = ["+tla"] if shown is None else ["+tls", str(shown.key), str(shown.certificate)]
    command = [need(program, "dcmtk"), *tls, "+cf", str(ours.ca), "-aet", calling, "-aec", AE_TITLE]
    where = ["127.0.0.1", str(door.dicom_port)]
    return subprocess.run([*command, *where, *options], capture_output=True, text=True, timeout=30, check=False)


def s_client(door: Door, ours: Trial, *options: str) -> subprocess.CompletedProcess[str]:
    """`openssl s_client`, as far as the handshake."""
    shown = ["-cert", str(ours.modality.certificate), "-key", str(ours.modality.key), "-CAfile", str(ours.ca)]
    command = [need("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{door.dicom_port}", *shown]
    return subprocess.run(
        [*command, "-verify_return_error", "-brief", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def hl7(door: Door, ours: Trial, shown: Described | None) -> Iterator[ssl.SSLSocket]:
    """A bare TLS socket to the HL7 port; with TLS 1.3 a refusal shows at the first read."""
    context = ssl.create_default_context(cafile=ours.ca)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    with (
        socket.create_connection(("127.0.0.1", door.hl7_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        yield secure


def test_storescu_with_the_certificate_of_its_ae_title_stores(ours: Trial, secured: Door, tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom_file(SeriesNumber=1, InstanceNumber=1))
    sent = dcmtk("storescu", secured, str(tmp_path / "one.dcm"), shown=ours.modality, ours=ours)
    assert sent.returncode == 0, sent.stderr
    assert "modality" in [one.peer for one in secured.instances]


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_every_bcp_195_profile_of_dcmtk_comes_in(ours: Trial, secured: Door, profile: str) -> None:
    told = dcmtk("echoscu", secured, profile, shown=ours.modality, ours=ours)
    assert told.returncode == 0, told.stderr


def test_the_certificate_of_another_ae_title_is_rejected_with_its_reason_in_the_log_and_on_record(
    ours: Trial, tmp_path: Path
) -> None:
    home = secured_home(tmp_path / "home", ours)
    with process_door(home) as (door, _):
        told = dcmtk("echoscu", door, shown=ours.other, ours=ours)
        assert told.returncode != 0
        assert NOT_RECOGNISED in told.stdout + told.stderr
        assert door.audited("dicom.deny") == ["modality"]
        assert dcmtk("echoscu", door, shown=ours.expired, ours=ours).returncode != 0
    refused = [line for line in log_lines(home) if line.get("reason") == "certificate"]
    assert refused[0]["peer"] == "modality"
    assert "certificate has expired" in [line.get("reason") for line in log_lines(home)]


def test_no_certificate_a_foreign_and_an_expired_one_end_at_the_handshake(
    ours: Trial, foreign: Trial, secured: Door
) -> None:
    before = secured.audited("dicom.deny")
    for shown in (None, foreign.modality, ours.expired):
        told = dcmtk("echoscu", secured, shown=shown, ours=ours)
        assert told.returncode != 0
        assert NOT_RECOGNISED not in told.stdout + told.stderr
    assert secured.audited("dicom.deny") == before


def test_a_peer_with_certificate_names_comes_in_with_that_certificate_alone(ours: Trial, secured: Door) -> None:
    assert dcmtk("echoscu", secured, shown=ours.other, ours=ours, calling="PINNED").returncode == 0
    told = dcmtk("echoscu", secured, shown=ours.ris, ours=ours, calling="PINNED")
    assert NOT_RECOGNISED in told.stdout + told.stderr
    assert "pinned" in secured.audited("dicom.deny")


def test_plain_dicom_and_plain_hl7_get_no_answer(ours: Trial, secured: Door) -> None:
    command = [need("echoscu", "dcmtk"), "-aet", SOURCE, "-aec", AE_TITLE, "127.0.0.1", str(secured.dicom_port)]
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode != 0
    with socket.create_connection(("127.0.0.1", secured.hl7_port), timeout=10) as sock:
        sock.sendall(b"\x0b" + order() + b"\x1c\r")
        assert closed(sock)
    assert counted(secured)[0] == 0


def test_tls_1_2_and_1_3_are_spoken_by_the_suites_of_bcp_195(ours: Trial, secured: Door) -> None:
    assert "Protocol version: TLSv1.3" in s_client(secured, ours).stderr
    for suite in (suite for suite in SUITES if "RSA" in suite):
        told = s_client(secured, ours, "-tls1_2", "-cipher", suite)
        assert told.returncode == 0
        assert f"Ciphersuite: {suite}" in told.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES256-GCM-SHA384"),  # no ephemeral key
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"),  # CBC
        ("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"),
    ],
    ids=" ".join,
)
def test_older_versions_and_other_ciphers_are_refused_by_us(
    ours: Trial, secured: Door, options: tuple[str, ...]
) -> None:
    told = s_client(secured, ours, *options)
    assert told.returncode != 0
    # The alert is ours: a client that had refused its own options would prove nothing.
    assert "alert" in told.stderr, told.stderr


def test_a_session_is_never_resumed_by_ticket_nor_renegotiated(ours: Trial, secured: Door) -> None:
    told = subprocess.run(
        [
            *(need("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{secured.dicom_port}", "-tls1_2"),
            *("-cert", str(ours.modality.certificate), "-key", str(ours.modality.key), "-CAfile", str(ours.ca)),
        ],
        input="R\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "TLS session ticket:" not in told.stdout
    assert "no renegotiation" in told.stderr


def test_an_order_comes_over_tls_with_the_ris_own_certificate(ours: Trial, secured: Door) -> None:
    with hl7(secured, ours, ours.ris) as sock:
        assert Ris(sock).code(order()) == "AA"
    assert counted(secured) == (1, 1)


def test_hl7_with_another_peers_certificate_is_refused_and_on_record(ours: Trial, secured: Door) -> None:
    before = counted(secured)
    with hl7(secured, ours, ours.modality) as sock:
        sock.sendall(b"\x0b" + order("2") + b"\x1c\r")
        assert closed(sock)
    assert counted(secured) == before
    assert secured.audited("hl7.deny") == ["ris"]


def test_hl7_without_a_certificate_is_refused(ours: Trial, secured: Door) -> None:
    before = counted(secured)
    with hl7(secured, ours, None) as sock:
        assert closed(sock)
    assert counted(secured) == before


def test_radloop_send_reaches_our_own_gateway_over_tls(ours: Trial, secured: Door, tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom_file(SeriesNumber=2, InstanceNumber=1))
    done = CliRunner().invoke(app, ["send", str(tmp_path / "one.dcm"), "--home", str(secured.home)])
    assert done.exit_code == 0, done.output
    assert "local" in [one.peer for one in secured.instances]


def test_a_handshake_that_never_ends_holds_up_nobody(ours: Trial, secured: Door) -> None:
    with socket.create_connection(("127.0.0.1", secured.dicom_port)):
        began = time.monotonic()
        assert dcmtk("echoscu", secured, shown=ours.modality, ours=ours).returncode == 0
        assert time.monotonic() - began < 5.0


def test_certificates_of_single_devices_may_stand_in_for_an_authority(ours: Trial, tmp_path: Path) -> None:
    devices = tmp_path / "devices.pem"
    devices.write_bytes(ours.modality.certificate.read_bytes() + ours.ris.certificate.read_bytes())
    table = ours.table("gateway.tls").replace(str(ours.ca), str(devices))
    with open_door(make_home(tmp_path / "home", table, PEERS.format(pin="00"))) as door:
        assert dcmtk("echoscu", door, shown=ours.modality, ours=ours).returncode == 0
        told = dcmtk("echoscu", door, shown=ours.other, ours=ours)
        assert told.returncode != 0
        assert NOT_RECOGNISED not in told.stdout + told.stderr


NOBODY = Holder(frozenset({"somebody"}), frozenset(), "aa")
AN_AE = Holder(frozenset({"urn:dicom:ae:mr%201", "mr 1"}), frozenset({"MR 1"}), "bb")


@pytest.mark.parametrize(
    ("title", "names", "holder", "expected"),
    [
        ("MR 1", (), None, True),
        ("MR 1", (), NOBODY, True),
        ("MR 1", (), AN_AE, True),
        ("mr 1", (), AN_AE, False),
        ("MR 2", (), AN_AE, False),
        (None, (), AN_AE, False),
        ("MR 2", ("MR 1",), AN_AE, True),
        ("MR 1", ("other",), AN_AE, False),
        ("MR 1", ("SHA256:BB",), AN_AE, True),
        ("MR 1", ("sha256:aa",), AN_AE, False),
        ("MR 1", ("bb",), AN_AE, False),
        ("MR 1", ("Somebody", "else"), NOBODY, True),
        ("MR 1", ("somebody",), None, False),
    ],
)
def test_who_is_the_holder(title: str | None, names: tuple[str, ...], holder: Holder | None, expected: bool) -> None:
    peer = Peer(roles=(PeerRole.ORDERS,), mllp="127.0.0.1:2575", ae_title=title, certificate_names=names)
    assert is_holder(peer, holder) is expected


def test_a_common_name_that_looks_like_a_fingerprint_is_none() -> None:
    holder = Holder(frozenset({"sha256:cc"}), frozenset(), "dd")
    assert not holder.is_one_of(("sha256:cc",))


def test_a_gateway_with_an_expired_certificate_does_not_start_and_says_the_line(ours: Trial, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", ours.table("gateway.tls", ours.expired))
    with pytest.raises(SettingsError, match=r"radloop\.toml, line 6: gateway\.tls\.certificate: .*ended on"):
        Gateway(load_settings(home), Place()).start()


def test_certificate_names_without_an_authority_are_a_settings_error(ours: Trial, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"peers\.pinned\.certificate_names: .*gateway\.tls\.ca"):
        make_home(tmp_path / "home", ours.table("gateway.tls", ca=False), PEERS.format(pin="00"))
