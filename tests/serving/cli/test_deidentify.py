"""`radloop deidentify`: what it prints, and how it ends."""

import json
from pathlib import Path

from serving.cli.desk import Desk
from tests.integrations.deidentify import images
from tests.serving.cli.conftest import cli


def folder(at: Path) -> Path:
    at.mkdir()
    (at / "one.dcm").write_bytes(images.in_bytes(images.image()))
    return at


def test_a_set_is_made_and_a_person_is_told_what_to_look_at(desk: Desk, tmp_path: Path) -> None:
    done = cli(desk, "deidentify", str(folder(tmp_path / "in")), str(tmp_path / "out"), "--project", "pilot")
    assert done.exit_code == 0, done.output
    assert "1 written, 0 of them masked, 0 left" in done.output
    assert "texts.csv" in done.output
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_what_stays_is_listed_with_its_reason_and_the_exit_code_is_1(desk: Desk, tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    second = images.image(images.lettered("QUAXWEILER 4471902"))
    second.SOPInstanceUID += ".1"
    (source / "two.dcm").write_bytes(images.in_bytes(second))
    done = cli(desk, "deidentify", str(source), str(tmp_path / "out"), "--project", "pilot", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert (said["written"], [(one["file"], one["code"]) for one in said["left"]]) == (1, [("two.dcm", "burned-in")])
    masked = cli(desk, "deidentify", str(source), str(tmp_path / "masked"), "--project", "pilot", "--mask", "--json")
    assert (masked.exit_code, json.loads(masked.stdout)["masked"]) == (0, 1)


def test_neither_a_folder_nor_a_study_is_not_found(desk: Desk, tmp_path: Path) -> None:
    done = cli(desk, "deidentify", str(tmp_path / "nowhere"), str(tmp_path / "out"), "--project", "pilot")
    assert done.exit_code == 4
    wrong = cli(desk, "deidentify", str(folder(tmp_path / "in")), str(tmp_path / "out"), "--project", "../x")
    assert wrong.exit_code == 2
