"""`radloop retain`, `hold`, `keys retire`, `backup` and `restore` as a person types them."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select, update
from typer.testing import CliRunner

from radloop.domain.enums import VerdictSource
from radloop.domain.records import SignOff
from radloop.ledger import signoffs, studies
from radloop.ledger.learning import signoffs as signoff_table
from radloop.ledger.tables import audit_events, instances, objects
from radloop.ledger.tables import studies as study_table
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from serving.cli.main import app
from tests.radloop.ledger.rows import NOW
from tests.serving.cli.conftest import STUDY_UID, cli

POLICY = "[retention]\npictures_days = {}\nkeep_for_audits = false\n"


@pytest.fixture
def signed(desk: Desk, delivery: str) -> str:
    """A study signed long ago, whose image is in the store; its version's id."""
    assert delivery
    with desk.ledger.write() as conn:
        conn.execute(update(instances).values(blob_key=desk.store.put(b"an image").key))
        conn.execute(update(objects).values(blob_key=desk.store.put(b"a report").key))
        version = studies.latest(conn, None, None)[0]
        signoffs.add(
            conn,
            SignOff(version_id=version.id, reader="a", actor="a", at=NOW, source=VerdictSource.REST, conclusion=""),
        )
        conn.execute(update(signoff_table).values(at=NOW.replace(year=2020)))
    set_policy(desk, 30)
    return version.id


def set_policy(desk: Desk, days: float) -> None:
    path = desk.home / "radloop.toml"
    head, _, tail = path.read_text().partition("[retention]")
    rest = tail.partition("\n[")[2]
    path.write_text(head + POLICY.format(days) + (f"\n[{rest}" if rest else ""))


def actions(desk: Desk) -> list[str]:
    with desk.ledger.read() as conn:
        return list(conn.scalars(select(audit_events.c.action).order_by(audit_events.c.at)))


def test_retain_asks_for_a_dry_run_and_then_does_what_that_said(desk: Desk, signed: str) -> None:
    refused = cli(desk, "retain")
    assert refused.exit_code == Exit.FAILED
    assert "radloop retain --dry-run" in refused.output
    plan = json.loads(cli(desk, "retain", "--dry-run", "--json").stdout)
    assert [(one["version"], one["part"], one["objects"]) for one in plan["going"]] == [(signed, "PICTURES", 1)]
    assert len(list(desk.store.keys())) == 2
    done = json.loads(cli(desk, "retain", "--json").stdout)
    assert (done["versions"], done["objects"]) == ({"PICTURES": 1}, 1)
    assert len(list(desk.store.keys())) == 1
    assert "pictures of 0 study versions deleted" in cli(desk, "retain").stdout
    assert [one for one in actions(desk) if "retain" in one or one == "forget"] == ["retain.preview", "forget"]


def test_a_dry_run_says_what_is_kept_and_why(desk: Desk, signed: str) -> None:
    held = json.loads(cli(desk, "hold", "set", signed, "--why", "a claim", "--json").stdout)
    shown = cli(desk, "retain", "--dry-run").stdout
    assert "legal hold" in shown
    assert "nothing was deleted" in shown
    assert "a claim" in cli(desk, "hold", "list").stdout
    assert cli(desk, "hold", "lift", held[0]["id"], "--why", "settled").exit_code == Exit.OK
    assert json.loads(cli(desk, "hold", "list", "--json").stdout)[0]["lifted_why"] == "settled"
    assert "legal hold" not in cli(desk, "retain", "--dry-run").stdout
    assert [one for one in actions(desk) if one.endswith("hold")] == ["hold", "unhold"]


def test_a_hold_by_accession_number_never_repeats_the_number(desk: Desk, signed: str) -> None:
    assert signed
    with desk.ledger.write() as conn:
        conn.execute(update(study_table).values(accession_number="QZXWKVJ"))
    done = cli(desk, "hold", "set", "--accession", "QZXWKVJ", "--why", "a claim")
    assert done.exit_code == Exit.OK
    assert "QZXWKVJ" not in done.output
    wrong = cli(desk, "hold", "set", "--accession", "QZXWKVJ2", "--why", "a claim")
    assert wrong.exit_code == Exit.NOT_FOUND
    assert "QZXWKVJ2" not in wrong.output
    for argv in ((), ("sv_1", "--accession", "A")):
        assert cli(desk, "hold", "set", *argv, "--why", "x").exit_code == Exit.USAGE


def test_old_keys_are_destroyed_once_nothing_needs_them(desk: Desk, signed: str) -> None:
    assert signed
    assert cli(desk, "keys", "retire").exit_code == Exit.FAILED
    assert cli(desk, "keys", "rotate").exit_code == Exit.OK
    assert "kek-0001" in cli(desk, "keys", "retire").stdout
    assert not (desk.settings.keys_path / "kek-0001.key").exists()
    assert [desk.store.get(key) for key in sorted(desk.store.keys())]
    assert actions(desk).count("keys.destroy") == 1


def test_a_backup_is_made_tried_and_restored(desk: Desk, signed: str, tmp_path: Path) -> None:
    assert signed
    folder, keys, new = (str(tmp_path / name) for name in ("backup", "keys-copy", "new"))
    bare = cli(desk, "backup", folder)
    assert bare.exit_code == Exit.OK
    assert "keys were not copied" in bare.stderr
    made = json.loads(cli(desk, "backup", folder, "--keys-to", keys, "--json").stdout)
    assert (made["objects"], made["copied"], made["keys"]) == (2, 0, True)
    tried = run("restore", folder, "--keys", keys, "--check", "--in", str(tmp_path))
    assert "can be restored" in tried.stdout
    done = run("restore", folder, "--keys", keys, "--home", new)
    assert "radloop retain --dry-run" in done.stderr
    assert STUDY_UID not in done.output
    again = Desk(Path(new))
    assert cli(again, "audit", "verify").exit_code == Exit.OK
    assert {again.store.get(key) for key in again.store.keys()} == {b"an image", b"a report"}  # noqa: SIM118
    assert run("restore", folder, "--keys", keys, "--home", new).exit_code == Exit.FAILED
    assert run("restore", folder, "--keys", keys).exit_code == Exit.USAGE
    again.ledger.close()


def test_keys_beside_the_backup_are_refused_and_a_lost_object_is_told(desk: Desk, signed: str, tmp_path: Path) -> None:
    assert signed
    folder = str(tmp_path / "backup")
    assert cli(desk, "backup", folder, "--keys-to", f"{folder}/keys").exit_code == Exit.USAGE
    shutil.rmtree(desk.settings.store_path / "objects")
    lost = cli(desk, "backup", folder)
    assert lost.exit_code == Exit.INTEGRITY
    assert "2 objects" in lost.stderr


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, list(argv), env={"COLUMNS": "200", "NO_COLOR": "1"})
