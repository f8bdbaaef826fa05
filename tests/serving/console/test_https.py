"""The console over TLS: the process serves it by itself, and answers nothing in the clear."""

import signal
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from flows.house import House
from tests.flows import place
from tests.peers.programs import need
from tests.peers.trial import Trial, trial
from tests.serving.console.test_process import SECONDS, ready, start


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tmp_path_factory.mktemp("trial"))


def settings(house: House, *tables: str) -> Path:
    text = place.SETTINGS.format(**place.DEFAULTS) + "[console]\nport = 0\n" + "\n".join(tables)
    (house.settings.home / "radloop.toml").write_text(text)
    return house.settings.home


def test_the_console_speaks_https_alone_and_refuses_older_versions_and_ciphers(house: House, ours: Trial) -> None:
    home = settings(house, ours.table("console.tls", ca=False))
    process = start(home)
    try:
        port = ready(home, process).port
        trusting = ssl.create_default_context(cafile=ours.ca)
        with httpx.Client(verify=trusting, trust_env=False, timeout=20) as http:
            assert http.get(f"https://localhost:{port}/readyz").status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://localhost:{port}/readyz", trust_env=False, timeout=20)
        for version, cipher in (("-tls1_1", "ALL:@SECLEVEL=0"), ("-tls1_2", "ECDHE-RSA-AES128-SHA256")):
            told = s_client(port or 0, version, "-cipher", cipher)
            assert told.returncode != 0
            # The other side ended it (asyncio sends no alert): a client that refused its own options says otherwise.
            assert "alert" in told.stderr or "unexpected eof" in told.stderr
        assert s_client(port or 0, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256").returncode == 0
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert b"Traceback" not in output
    finally:
        process.kill()
        process.communicate(timeout=20)


def s_client(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [need("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-brief", *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


def test_an_expired_certificate_is_said_in_one_line_and_nothing_is_served(house: House, ours: Trial) -> None:
    home = settings(house, ours.table("console.tls", ours.expired, ca=False))
    process = start(home)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert b"console.tls.certificate" in output
    assert b"ended on" in output
    assert b"Traceback" not in output
