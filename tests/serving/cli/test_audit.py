"""`radloop audit`: whether the record is sound, also by what others kept, and taking it out."""

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from radloop.ledger.tables import audit_events
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from tests.radloop.audit.bending import unprotect
from tests.serving.cli.conftest import cli
from tests.serving.cli.test_commands import audited


@pytest.fixture
def exported(desk: Desk, tmp_path: Path) -> Path:
    """An ATNA export of a record that was sound."""
    assert cli(desk, "audit", "verify").exit_code == Exit.OK
    file = tmp_path / "audit.xml"
    assert cli(desk, "audit", "export", "--format", "atna", "-o", str(file)).exit_code == Exit.OK
    return file


@pytest.mark.parametrize("form", ["csv", "fhir", "atna"])
def test_an_export_is_written_whole_and_is_on_record(desk: Desk, tmp_path: Path, form: str) -> None:
    file = tmp_path / "out"
    result = cli(desk, "audit", "export", "--format", form, "--since", "30d", "--action", "actor", "-o", str(file))
    assert result.exit_code == Exit.OK, result.stderr
    assert file.stat().st_size > 0
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".part"] == []
    assert len(audited(desk, "audit.export")) == 1


def test_an_export_that_cannot_be_written_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    result = cli(desk, "audit", "export", "-o", str(tmp_path / "none" / "out"))
    assert result.exit_code not in (Exit.OK, 1)
    assert "cannot be written" in result.stderr


def test_times_that_are_none_or_the_wrong_way_round_are_refused(desk: Desk, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert cli(desk, "audit", "export", "--since", "soon", "-o", out).exit_code != Exit.OK
    assert cli(desk, "audit", "export", "--since", "1d", "--until", "2d", "-o", out).exit_code != Exit.OK
    assert not Path(out).exists()


def test_the_record_is_held_against_what_others_kept(desk: Desk, exported: Path) -> None:
    assert cli(desk, "audit", "verify", "--against", str(exported)).exit_code == Exit.OK
    with desk.ledger.write() as conn:
        unprotect(conn)
        conn.execute(update(audit_events).values(detail="changed"))
    result = cli(desk, "audit", "verify", "--against", str(exported), "--json")
    assert result.exit_code == Exit.INTEGRITY
    assert json.loads(result.stdout)["sound"] is False


def test_a_file_without_audit_messages_proves_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("nothing here\n")
    for file in ("empty", "none"):
        result = cli(desk, "audit", "verify", "--against", str(tmp_path / file))
        assert result.exit_code not in (Exit.OK, Exit.INTEGRITY)
        assert "--against" in result.stderr
