"""What is wrong with TLS files is said with file, line and key; a pinned certificate is taken and no other."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from radloop import tls
from radloop.certificates import Described
from radloop.domain.enums import PeerRole
from radloop.domain.errors import Permanent, SettingsError
from radloop.settings import Peer, Settings, Tls, load_settings
from radloop.tls import client_context, server_context
from tests.peers.programs import need
from tests.peers.trial import Trial, trial

PEER = Peer(name="ris", roles=(PeerRole.REPORTS,), mllp="127.0.0.1:2575")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tmp_path_factory.mktemp("trial"))


def settings_of(home: Path, *tables: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "radloop.toml").write_text("\n".join(tables))
    return load_settings(home)


def material(shown: Described, ca: Path | None) -> Tls:
    return Tls(certificate=shown.certificate, key=shown.key, ca=ca)


def under_a_passphrase(key: Path, to: Path) -> Path:
    command = [need("openssl", "openssl"), "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret"]
    subprocess.run([*command, "-out", str(to)], check=True, capture_output=True, timeout=30)
    return to


def damaged(ours: Trial, folder: Path, what: str) -> tuple[dict[str, Path], str, str]:
    """Files of a table of which one is wrong; the key that is to blame, and what is said of it."""
    good = {"certificate": ours.server.certificate, "key": ours.server.key, "ca": ours.ca}
    garbage = folder / "garbage.pem"
    garbage.write_text("nothing of use")
    changes: dict[str, tuple[str, Path, str]] = {
        "no certificate": ("certificate", folder / "absent.pem", "no such file"),
        "no key": ("key", folder / "absent.key", "no such file"),
        "no authority": ("ca", folder / "absent.pem", "no such file"),
        "a folder": ("certificate", folder, "cannot be read"),
        "a garbage certificate": ("certificate", garbage, "holds no certificate"),
        "a garbage key": ("key", garbage, "holds no private key"),
        "a garbage authority": ("ca", garbage, "holds no certificate"),
        "another's key": ("key", ours.modality.key, "is not the key of"),
    }
    if what == "a passphrase":
        return {**good, "key": under_a_passphrase(ours.server.key, folder / "k.pem")}, "key", "passphrase"
    if what == "an expired certificate":
        return {**good, "certificate": ours.expired.certificate, "key": ours.expired.key}, "certificate", "ended on"
    if what == "an expired authority":
        return {**good, "ca": ours.expired.certificate}, "ca", "ended on"
    if what == "a certificate of tomorrow":
        early = ours.issued("early", hosts=("early",), ago=-timedelta(days=2))
        return {**good, "certificate": early.certificate, "key": early.key}, "certificate", "begins only on"
    key, path, said = changes[what]
    return {**good, key: path}, key, said


WRONG = (
    "no certificate",
    "no key",
    "no authority",
    "a folder",
    "a garbage certificate",
    "a garbage key",
    "a garbage authority",
    "another's key",
    "a passphrase",
    "an expired certificate",
    "an expired authority",
    "a certificate of tomorrow",
)


@pytest.mark.parametrize(("what", "door"), [*((what, "gateway") for what in WRONG), ("another's key", "console")])
def test_what_is_wrong_with_a_listeners_files_is_said_with_line_and_key(
    ours: Trial, tmp_path: Path, what: str, door: str
) -> None:
    files, key, said = damaged(ours, tmp_path, what)
    table = "\n".join((f"[{door}.tls]", *(f'{name} = "{path}"' for name, path in files.items())))
    settings = settings_of(tmp_path / "home", "# a line before", table)
    line = 3 + list(files).index(key)
    for attempt in (lambda: server_context(settings, door), lambda: tls.check(settings)):
        with pytest.raises(SettingsError) as error:
            attempt()
        assert str(error.value).startswith(f"{tmp_path}/home/radloop.toml, line {line}: {door}.tls.{key}: ")
        assert said in str(error.value)


def test_without_a_table_a_listener_is_plain(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert server_context(settings, "gateway") is None
    assert server_context(settings, "console") is None


PEERS = '[peers.ris]\nroles = ["reports"]\nmllp = "127.0.0.1:2575"\n'


def test_a_peers_unusable_files_stop_a_start_and_its_expired_certificate_is_only_said(
    ours: Trial, tmp_path: Path
) -> None:
    expired = settings_of(tmp_path, PEERS, ours.table("peers.ris.tls", ours.expired))
    tls.check(expired)
    (doubt,) = tls.doubts(expired)
    assert "peers.ris.tls.certificate: " in doubt
    assert "ended on" in doubt
    text = ours.table("peers.ris.tls").replace(str(ours.ca), str(tmp_path / "gone.pem"))
    with pytest.raises(SettingsError, match=r"line 7: peers\.ris\.tls\.ca: .*no such file"):
        tls.check(settings_of(tmp_path, PEERS + text))


def test_a_certificate_that_ends_soon_is_said(ours: Trial, tmp_path: Path) -> None:
    soon = ours.issued("soon", hosts=("localhost",), ago=timedelta(days=390))
    doubts = list(tls.doubts(settings_of(tmp_path, ours.table("gateway.tls", soon), ours.table("console.tls"))))
    assert len(doubts) == 1
    assert "gateway.tls.certificate: " in doubts[0]
    assert f"ends on {soon.not_after:%Y-%m-%d}" in doubts[0]


@contextmanager
def answering(shown: Described) -> Iterator[int]:
    """The port of a listener that shakes hands, once, with this certificate, and says one byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as secure:
                secure.sendall(b"!")
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        thread.join(5)


def reached(port: int, context: ssl.SSLContext, host: str) -> bool:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return secure.recv(1) == b"!"
    except ssl.SSLError:
        return False


@pytest.mark.parametrize(
    ("shown", "trusted", "host", "expected"),
    [
        ("server", "ca", "localhost", True),
        ("server", "ca", "elsewhere", False),
        ("modality", "ca", "localhost", False),
        ("modality", "modality", "localhost", True),
        ("server", "modality", "localhost", False),
        ("expired", "ca", "localhost", False),
    ],
)
def test_a_peer_is_who_the_authority_names_or_whose_own_certificate_is_pinned(
    ours: Trial, shown: str, trusted: str, host: str, expected: bool
) -> None:
    ca = ours.ca if trusted == "ca" else getattr(ours, trusted).certificate
    context = client_context(PEER, material(ours.ris, ca))
    with answering(getattr(ours, shown)) as port:
        assert reached(port, context, host) is expected


def test_we_speak_no_version_before_tls_1_2_to_a_peer(ours: Trial) -> None:
    context = client_context(PEER, material(ours.ris, ours.ca))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    older = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert older == set(tls.SUITES)


def test_a_key_under_a_passphrase_never_asks_the_terminal(ours: Trial, tmp_path: Path) -> None:
    key = under_a_passphrase(ours.ris.key, tmp_path / "k.pem")
    with pytest.raises(Permanent, match="passphrase"):
        client_context(PEER, Tls(certificate=ours.ris.certificate, key=key, ca=ours.ca))
