import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from models.phantoms import chest
from radloop.domain.errors import SettingsError
from radloop.ledger import quarantine
from radloop.ledger.tables import audit_events
from radloop.process import free_port
from serving.cli import reference
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from serving.cli.moments import since
from serving.standins import PacsStandIn
from tests.radloop.audit.bending import unprotect
from tests.serving.cli.conftest import STUDY_UID, cli

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def audited(desk: Desk, action: str) -> list[tuple[str, str]]:
    with desk.reading() as conn:
        rows = conn.execute(select(audit_events).where(audit_events.c.action == action)).all()
    return [(row.actor, row.detail) for row in rows]


def radloop(*argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serving.cli", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_takes_less_than_a_second_of_work_and_loads_no_heavy_room() -> None:
    code = (
        "import sys; sys.argv = ['radloop', '--help']\n"
        "from serving.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'prefect', 'mlflow', 'bentoml', 'pydicom', 'pydantic', 'sqlalchemy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    # Processor time: how long the clock runs says more of what else this machine does.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "heavy: []" in done.stdout
    assert "Exit codes" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_a_wrong_settings_file_is_named_with_line_key_and_expectation_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "radloop.toml").write_text("[gateway]\nae_title = 'RADLOOP'\ndicom_port = 'eleven'\n")
    done = radloop("--home", str(tmp_path), "status")
    assert done.returncode == Exit.USAGE
    assert "radloop.toml, line 3: gateway.dicom_port: " in done.stderr
    assert "integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_was_not_made_says_what_makes_it(tmp_path: Path) -> None:
    for command in ("status", "up", "studies"):
        done = radloop(command, "--home", str(tmp_path))
        assert done.returncode == Exit.USAGE
        assert "radloop init" in done.stderr
        assert "Traceback" not in done.stderr


def test_status_of_a_stopped_house_is_not_ready_and_counts(desk: Desk) -> None:
    with desk.ledger.write() as conn:
        quarantine.add(conn, "unparsable", "local", None)
    result = cli(desk, "status", "--json")
    assert result.exit_code == Exit.NOT_READY
    said = json.loads(result.stdout)
    assert said.keys() == {"ready", "processes", "counts", "quarantine", "stuck"}
    assert (said["ready"], said["processes"], said["quarantine"]) == (False, [], 1)
    assert cli(desk, "quarantine", "list", "--json").stdout.count("unparsable") == 1


def test_down_without_a_house_is_fine(desk: Desk) -> None:
    assert cli(desk, "down").exit_code == Exit.OK


def test_studies_prints_rows_as_promised(desk: Desk, delivery: str) -> None:
    row = json.loads(cli(desk, "studies", "--json", "--since", "1h", "--limit", "1").stdout)[0]
    assert row.keys() == {
        "id", "study_id",
        "study_uid", "version", "state", "reason", "urgency", "evidence", "received_at", "completed_at", "answered_at",
        "instances", "results", "deliveries",
    }  # fmt: skip
    assert row["study_uid"] == STUDY_UID
    assert row["deliveries"][0] == {
        "peer": "pacs", "kind": "SR", "state": "QUEUED", "attempts": 0, "accepted_at": None, "error": None,
    }  # fmt: skip
    assert json.loads(cli(desk, "show", STUDY_UID, "--json").stdout) == row
    assert "Pneumonia 0.92 URGENT" in cli(desk, "studies").stdout
    assert "0.9200" in cli(desk, "show", STUDY_UID).stdout


def test_an_unknown_study_is_not_found(desk: Desk) -> None:
    result = cli(desk, "show", "1.2.3")
    assert result.exit_code == Exit.NOT_FOUND
    assert "1.2.3" not in result.stderr


def test_a_delivery_is_dropped_with_a_reason_and_resent_in_somebodys_name(desk: Desk, delivery: str) -> None:
    assert cli(desk, "queue", "drop", delivery).exit_code == Exit.USAGE
    assert cli(desk, "queue", "drop", delivery, "--why", "the PACS is gone").exit_code == Exit.OK
    assert json.loads(cli(desk, "queue", "--json").stdout) == []
    actor, why = audited(desk, "delivery.drop")[0]
    assert (actor, why) == (cli(desk, "actor", "list", "--json") and actor, "the PACS is gone")
    assert cli(desk, "queue", "resend", delivery).exit_code == Exit.OK
    assert [row["id"] for row in json.loads(cli(desk, "queue", "list", "--json").stdout)] == [delivery]
    assert audited(desk, "delivery.resend") == [(actor, "")]


def test_an_unknown_delivery_is_not_found_and_nothing_changes(desk: Desk, delivery: str) -> None:
    assert cli(desk, "queue", "drop", delivery, "de_00", "--why", "x").exit_code == Exit.NOT_FOUND
    assert json.loads(cli(desk, "queue", "--json").stdout)[0]["state"] == "QUEUED"
    assert audited(desk, "delivery.drop") == []


def test_which_deliveries_must_be_said(desk: Desk, delivery: str) -> None:
    assert cli(desk, "queue", "resend").exit_code == Exit.USAGE
    assert cli(desk, "queue", "resend", delivery, "--parked").exit_code == Exit.USAGE
    assert cli(desk, "queue", "resend", "--peer", "pacs").exit_code == Exit.OK


def test_a_token_is_shown_once_and_acts_for_its_owner(desk: Desk, delivery: str) -> None:
    made = json.loads(cli(desk, "actor", "add", "dr.who", "--json").stdout)
    assert made["token"] not in cli(desk, "actor", "list", "--json").stdout
    assert made["token"].encode() not in (desk.home / "ledger.db").read_bytes()
    cli(desk, "queue", "resend", delivery, "--token", made["token"])
    assert audited(desk, "delivery.resend") == [("dr.who", "")]
    assert cli(desk, "actor", "add", "dr.who").exit_code == Exit.FAILED


def test_a_renewed_token_ends_the_old_one(desk: Desk, delivery: str) -> None:
    old = json.loads(cli(desk, "actor", "add", "robot", "--machine", "--json").stdout)["token"]
    new = json.loads(cli(desk, "actor", "add", "robot", "--renew", "--json").stdout)["token"]
    assert cli(desk, "queue", "resend", delivery, "--token", old).exit_code == Exit.FAILED
    assert cli(desk, "queue", "resend", delivery, "--token", new).exit_code == Exit.OK
    assert audited(desk, "actor.deny") == [("command-line", "token")]


def test_a_user_who_is_no_actor_changes_nothing(desk: Desk, delivery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.desk.system_user", lambda: "mallory")
    result = cli(desk, "queue", "drop", delivery, "--why", "x")
    assert result.exit_code == Exit.FAILED
    assert "mallory is no actor" in result.stderr
    assert audited(desk, "delivery.drop") == []


def test_the_audit_verifies_and_an_edit_is_found(desk: Desk, delivery: str) -> None:
    cli(desk, "queue", "drop", delivery, "--why", "honest")
    assert cli(desk, "audit", "verify").exit_code == Exit.OK
    with desk.ledger.write() as conn:
        unprotect(conn)
        conn.execute(update(audit_events).where(audit_events.c.detail == "honest").values(detail="changed"))
    result = cli(desk, "audit", "verify", "--json")
    assert result.exit_code == Exit.INTEGRITY
    assert json.loads(result.stdout)["sound"] is False


def test_keys_rotate_and_what_was_stored_before_still_opens(desk: Desk) -> None:
    blob = desk.store.put(b"pixels")
    result = cli(desk, "keys", "rotate")
    assert result.exit_code == Exit.OK
    assert "key version 2: 1 of 1" in result.stdout
    assert Desk(desk.home).store.get(blob.key) == b"pixels"
    assert len(audited(desk, "keys.rotate")) == 1


def test_a_file_that_is_not_there_is_a_usage_error(desk: Desk, tmp_path: Path) -> None:
    assert cli(desk, "send", str(tmp_path / "none.dcm")).exit_code == Exit.USAGE
    (tmp_path / "empty").mkdir()
    assert cli(desk, "send", str(tmp_path / "empty")).exit_code == Exit.NOT_FOUND


def test_nobody_listens_means_try_again_later(desk: Desk, tmp_path: Path) -> None:
    _phantom(tmp_path / "in" / "a.dcm")
    result = cli(desk, "send", str(tmp_path / "in"), "--to", f"127.0.0.1:{free_port()}")
    assert result.exit_code == Exit.NOT_READY
    assert "0 of 1 files taken" in result.stdout


def test_send_delivers_to_a_listener_and_lists_what_is_not_dicom(desk: Desk, tmp_path: Path) -> None:
    _phantom(tmp_path / "in" / "a.dcm")
    (tmp_path / "in" / "note.txt").write_text("not DICOM")
    with PacsStandIn(tmp_path / "pacs") as pacs:
        to = ("--to", f"127.0.0.1:{pacs.port}", "--aec", "PACS")
        result = cli(desk, "send", str(tmp_path / "in"), *to)
        assert result.exit_code == Exit.FAILED
        assert "1 of 2 files taken" in result.stdout
        assert "note.txt" in result.stderr
        result = cli(desk, "send", str(tmp_path / "in" / "a.dcm"), *to, "--json")
        assert json.loads(result.stdout)[0]["accepted"] is True
        assert len(pacs.files) == 1


def _phantom(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    chest(1, opacity=False, rows=64).save_as(path, enforce_file_format=True)


@given(st.integers(min_value=0, max_value=9999), st.sampled_from("dhm"))
def test_since_counts_back_from_now(number: int, unit: str) -> None:
    span = {"d": timedelta(days=number), "h": timedelta(hours=number), "m": timedelta(minutes=number)}[unit]
    assert since(f"{number}{unit}", NOW) == NOW - span


def test_since_takes_times_and_refuses_the_rest() -> None:
    assert since("2026-04-30T08:00", NOW) == datetime(2026, 4, 30, 8, tzinfo=UTC)
    assert since("2026-04-30T08:00+02:00", NOW) == datetime(2026, 4, 30, 6, tzinfo=UTC)
    for text in ("yesterday", "1w", "", "-1d"):
        with pytest.raises(SettingsError):
            since(text, NOW)


@pytest.mark.parametrize("name", ["cli.md", "settings.md", "access.md"])
def test_the_reference_is_current(name: str) -> None:
    written = (reference.DOCS / name).read_text(encoding="utf-8")
    assert written == reference.documents()[name], "run: python -m serving.cli.reference"


def test_import_takes_a_folder_once_and_lists_what_is_bad(desk: Desk, tmp_path: Path) -> None:
    _phantom(tmp_path / "in" / "a.dcm")
    (tmp_path / "in" / "note.txt").write_text("not DICOM")
    result = cli(desk, "import", str(tmp_path / "in"), "--json")
    assert result.exit_code == Exit.FAILED
    said = json.loads(result.stdout)
    assert (said["stored"], said["known"]) == (1, 0)
    assert said["bad"] == [{"path": str(tmp_path / "in" / "note.txt"), "reason": "unparsable"}]
    assert (tmp_path / "in" / "note.txt").exists()
    again = cli(desk, "import", str(tmp_path / "in"))
    assert "0 stored, 1 known already" in again.stdout
    assert len(audited(desk, "ingest.folder")) == 2


def test_an_unknown_peer_cannot_be_ingested(desk: Desk) -> None:
    assert cli(desk, "ingest", "nobody").exit_code == Exit.NOT_FOUND
    assert cli(desk, "ingest", "local", "--since", "soon").exit_code == Exit.USAGE


def test_the_conformance_statement_is_of_this_configuration(desk: Desk) -> None:
    result = cli(desk, "conformance")
    assert result.exit_code == Exit.OK
    assert "RADLOOP" in result.stdout
    assert "1.2.840.10008.5.1.4.1.1.1.1" in result.stdout
