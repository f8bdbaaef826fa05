import json
from pathlib import Path

import pytest

from models.catalog import catalog
from models.phantoms.sites import SITES, cases, write
from radloop.ledger import cohorts
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from tests.serving.cli.conftest import cli


@pytest.fixture(autouse=True)
def zoo(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home is made without models; a cohort needs a card."""
    monkeypatch.setattr("flows.cohorts.catalog", catalog)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "set", cases(SITES["A"], 6, 1))
    return tmp_path / "set"


def test_a_set_is_imported_listed_and_shown_without_a_patient(desk: Desk, folder: Path) -> None:
    done = cli(desk, "cohort", "import", str(folder), "labels.csv", "--model", "cxr_pneumonia", "--json")
    assert done.exit_code == Exit.OK, done.output
    said = json.loads(done.stdout)
    assert said["members"] == said["counts"]["members"] == 6
    assert said["counts"]["scanner Clarity 100"] == 6
    listed = json.loads(cli(desk, "cohort", "list", "--json").stdout)
    assert [row["digest"] for row in listed] == [said["digest"]]
    assert json.loads(cli(desk, "cohort", "list", "other", "--json").stdout) == []
    shown = cli(desk, "cohort", "show", said["digest"])
    assert shown.exit_code == Exit.OK
    with desk.reading() as conn:
        cohort = cohorts.get(conn, said["id"])
    for text in (done.stdout, shown.stdout):
        assert "SITE-A-" not in text
        assert not [member for member in cohort.members if member.patient in text]
        assert not [member for member in cohort.members if member.content_sha256 in text]


def test_bad_files_are_listed_on_stderr_and_the_rest_comes_in(desk: Desk, folder: Path) -> None:
    bad = min(folder.glob("*.dcm"))
    bad.write_bytes(b"nothing")
    done = cli(desk, "cohort", "import", str(folder), "labels.csv", "--model", "cxr_pneumonia", "--purpose", "test")
    assert done.exit_code == Exit.OK
    assert f"{bad.name}: file cannot be read" in done.stderr
    with desk.reading() as conn:
        (cohort,) = cohorts.known(conn)
    assert len(cohort.members) == 5
    assert cohort.left_out == (("file cannot be read", 1),)


def test_building_from_nothing_says_so(desk: Desk) -> None:
    done = cli(desk, "cohort", "build", "cxr_pneumonia")
    assert done.exit_code == Exit.FAILED
    assert "nothing was found" in done.stderr
    assert cli(desk, "cohort", "build", "nothing").exit_code == Exit.NOT_FOUND
    assert cli(desk, "cohort", "show", "co_none").exit_code == Exit.NOT_FOUND


def test_an_unknown_purpose_is_a_wrong_command_line(desk: Desk, folder: Path) -> None:
    done = cli(desk, "cohort", "import", str(folder), "labels.csv", "--model", "cxr_pneumonia", "--purpose", "fun")
    assert done.exit_code == Exit.USAGE
