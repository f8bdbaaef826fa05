"""`radloop certs`: an authority for trials in a few commands, and `radloop up` that says what is wrong with TLS."""

import json
import ssl
from pathlib import Path

import pytest
from sqlalchemy import select

from radloop import tls
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from serving.cli.desk import Desk, system_user
from serving.cli.exits import Exit
from tests.serving.cli.conftest import cli

PEERS = """
[peers.ct]
ae_title = "CT1"
host = "127.0.0.1"
roles = ["source"]
{ct}
[peers.ris]
roles = ["orders"]
mllp = "127.0.0.1:2576"
{ris}
"""


def files(desk: Desk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (desk.home / "certs").iterdir()}


def test_init_makes_an_authority_and_this_hosts_certificate_once(desk: Desk) -> None:
    assert cli(desk, "certs", "init").exit_code == 0
    before = files(desk)
    assert set(before) == {"ca.pem", "ca.key", "server.pem", "server.key"}
    assert cli(desk, "certs", "init").exit_code == 0
    assert files(desk) == before
    again = cli(desk, "certs", "init", "--host", "radloop.example.org")
    assert again.exit_code == Exit.FAILED
    assert "--renew" in again.output
    assert cli(desk, "certs", "init", "--host", "radloop.example.org", "--renew").exit_code == 0
    after = files(desk)
    assert {name for name in after if after[name] != before[name]} == {"server.pem", "server.key"}


def test_what_is_issued_is_on_record_with_its_fingerprint(desk: Desk) -> None:
    cli(desk, "certs", "init")
    assert cli(desk, "certs", "issue", "ct", "--ae-title", "CT1").exit_code == 0
    shown = json.loads(cli(desk, "certs", "show", "--json").output)
    e = audit_events.c
    with desk.reading() as conn:
        rows = conn.execute(select(e.object_id, e.actor, e.detail).where(e.action == "certs.issue")).all()
    assert {tuple(row) for row in rows} == {(one["name"], system_user(), f"sha256:{one['sha256']}") for one in shown}
    assert [one["name"] for one in shown] == ["ca", "server", "ct"]
    assert shown[2]["names"] == ["CT1", "urn:dicom:ae:CT1"]


def test_a_second_certificate_for_a_name_needs_renew(desk: Desk) -> None:
    cli(desk, "certs", "init")
    cli(desk, "certs", "issue", "ris")
    before = files(desk)
    assert cli(desk, "certs", "issue", "ris").exit_code == Exit.FAILED
    assert cli(desk, "certs", "issue", "ca", "--renew").exit_code == Exit.FAILED
    assert files(desk) == before
    assert cli(desk, "certs", "issue", "ris", "--renew").exit_code == 0
    assert files(desk)["ris.key"] != before["ris.key"]


def test_before_init_it_says_what_to_type(desk: Desk) -> None:
    for words in (("show",), ("issue", "ris")):
        done = cli(desk, "certs", *words)
        assert done.exit_code == Exit.NOT_FOUND
        assert "radloop certs init" in done.output


def test_nobody_unknown_makes_certificates(desk: Desk) -> None:
    done = cli(desk, "certs", "init", "--token", "rlt_nobodys")
    assert done.exit_code == Exit.FAILED
    assert not (desk.home / "certs").exists()


def test_the_lines_that_show_prints_are_settings_that_work(desk: Desk) -> None:
    cli(desk, "certs", "init")
    cli(desk, "certs", "issue", "ct", "--ae-title", "CT1")
    cli(desk, "certs", "issue", "ris", "--host", "ris.example.org")
    printed = cli(desk, "certs", "show").output
    lines = printed[printed.index("# Peers come in") :]
    of_ct, of_ris = (line.removeprefix("# ") for line in lines.splitlines() if "certificate_names" in line)
    (desk.home / "radloop.toml").write_text(PEERS.format(ct=of_ct, ris=of_ris) + lines)
    settings = load_settings(desk.home)
    tls.check(settings)
    assert list(tls.doubts(settings)) == []
    assert settings.peers["ris"].certificate_names == ("ris.example.org",)
    assert settings.peers["ct"].certificate_names == ("urn:dicom:ae:CT1",)
    gateway, console = (tls.server_context(settings, door) for door in ("gateway", "console"))
    assert gateway is not None
    assert console is not None
    assert (gateway.verify_mode, console.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)


@pytest.mark.parametrize(("door", "key"), [("gateway", "certificate"), ("gateway", "key"), ("console", "certificate")])
def test_up_ends_with_the_line_where_the_settings_of_tls_are_wrong(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, door: str, key: str
) -> None:
    monkeypatch.setattr("serving.supervisor.control.start", lambda *_: pytest.fail("nothing may start"))
    cli(desk, "certs", "init")
    pair = {name: desk.home / "certs" / f"server.{ending}" for name, ending in (("certificate", "pem"), ("key", "key"))}
    pair[key] = Path("/nowhere/it.pem")
    table = "\n".join(f'{name} = "{path}"' for name, path in pair.items())
    (desk.home / "radloop.toml").write_text(f"[{door}.tls]\n{table}\n")
    done = cli(desk, "up")
    assert done.exit_code == Exit.USAGE
    line = 2 + list(pair).index(key)
    assert f"radloop.toml, line {line}: {door}.tls.{key}: /nowhere/it.pem: no such file" in done.output
