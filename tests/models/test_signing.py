"""The signature, seen from outside: by model-signing's own command line, without a network, and not loaded early."""

import subprocess
import sys
from pathlib import Path

import pytest

from models import bundles
from models.catalog import catalog
from tests.keys import SITE, STRANGER
from tests.recipes import as_written

SPEC = catalog()["cxr_pneumonia"]
ALONE = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        raise AssertionError(f"went to the network: {event} {arguments}")
sys.addaudithook(refuse)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return bundles.install(SPEC.bundle, tmp_path / "models", SITE)


def checked(installed: Path, key: bytes = SITE) -> "subprocess.CompletedProcess[str]":
    pem = installed.parent / "site.pub"
    pem.write_bytes(bundles.public_key(key))
    return as_written("standing.md", {"FOLDER": installed, "site.pub": pem})


def python(code: str, *argv: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tool_itself_verifies_an_installed_bundle_as_the_docs_say(installed: Path) -> None:
    done = checked(installed)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr


def test_the_tool_itself_refuses_a_flipped_bit_an_extra_file_and_a_foreign_key(installed: Path) -> None:
    assert checked(installed, STRANGER).returncode == 1
    extra = installed / "docs" / "more.md"
    extra.write_text("more")
    assert "Extra files" in checked(installed).stderr
    extra.unlink()
    weights = installed / "models" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert "Hash mismatch for 'models/model.safetensors'" in checked(installed).stderr


def test_what_the_tool_itself_signed_with_the_sites_key_is_taken(installed: Path) -> None:
    key, signature = installed.parent / "site.key", installed / bundles.SIGNATURE
    key.write_bytes(SITE)
    signature.unlink()
    asked = ["sign", "key", str(installed), "--private_key", str(key), "--signature", str(signature)]
    subprocess.run([sys.executable, "-m", "model_signing", *asked], capture_output=True, timeout=60, check=True)
    assert bundles.verify(installed, bundles.public_key(SITE)) == SPEC.digest


def test_signing_and_verifying_go_to_no_network(tmp_path: Path) -> None:
    code = ALONE + (
        "from pathlib import Path\n"
        "from models import bundles\n"
        "from models.catalog import catalog\n"
        "from tests.keys import SITE\n"
        "home = bundles.install(catalog()['cxr_pneumonia'].bundle, Path(sys.argv[1]), SITE)\n"
        "print(bundles.verify(home, bundles.public_key(SITE)))"
    )
    assert python(code, str(tmp_path)) == f"{SPEC.digest}\n"


def test_the_network_guard_of_these_tests_bites() -> None:
    code = ALONE + (
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept AssertionError: print('refused')"
    )
    assert python(code) == "refused\n"


@pytest.mark.parametrize("module", ["serving.gateway.gateway", "serving.cli.main", "models.bundles", "flows.standing"])
def test_it_is_not_imported_by_who_neither_signs_nor_verifies(module: str) -> None:
    assert python(f"import sys, {module}; print('model_signing' in sys.modules)") == "False\n"
