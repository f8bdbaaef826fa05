import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from models.phantoms.scanners import CHANGES, picture, scanner_of, shot
from serving.cli.main import app
from serving.cli.simulate import ChangeName
from serving.cli.simulate_rows import read

RUNNER = CliRunner()


def simulated(folder: Path, *options: str) -> Path:
    done = RUNNER.invoke(app, ["simulate", str(folder), "--size", "32", "--studies", "24", *options])
    assert done.exit_code == 0, done.output
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.rglob("*.*")}


def told(folder: Path) -> list[dict[str, str]]:
    with (folder / "studies.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_change_has_its_name_on_the_command_line() -> None:
    assert {one.value for one in ChangeName} == {"none", *CHANGES}


def test_the_same_seed_writes_the_same_and_another_seed_another(tmp_path: Path) -> None:
    first, again = (simulated(tmp_path / name, "--change", "kvp") for name in ("a", "b"))
    assert digests(first) == digests(again)
    assert digests(first) != digests(simulated(tmp_path / "c", "--change", "kvp", "--seed", "2"))


def test_new_software_stands_in_the_headers_of_one_scanner_from_then_on(tmp_path: Path) -> None:
    folder = simulated(tmp_path / "out", "--change", "software", "--since", "8")
    rows = told(folder)
    changed = [row for row in rows if row["changed"] == "1"]
    assert changed
    assert {row["station"] for row in changed} == {CHANGES["software"].station}
    assert rows.index(changed[0]) >= 8
    for row in rows:
        ds = pydicom.dcmread(folder / row["file"])
        assert (str(ds.SoftwareVersions).endswith("SP2"), str(ds.ConvolutionKernel).endswith("+")) == (
            (row["changed"] == "1",) * 2
        )
        assert ds.StationName == row["station"]
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)


@pytest.mark.parametrize("name", ["software", "gamma-noise", "kvp", "inverted"])
def test_a_changed_scanner_shows_the_same_patient_in_another_way(name: str) -> None:
    change = CHANGES[name]
    usual, changed = (picture(shot(scanner_of(change.station, one), 5), 64) for one in (None, change))
    assert usual.shape == changed.shape == (64, 64)
    assert np.abs(usual.astype(int) - changed.astype(int)).mean() > 5


def test_laterals_are_some_of_the_studies_and_say_that_they_are_frontal() -> None:
    change = CHANGES["lateral"]
    shots = [shot(scanner_of(change.station, change), seed) for seed in range(400)]
    assert 0.1 < np.mean([one.lateral for one in shots]) < 0.3
    assert not any(one.positive for one in shots if one.lateral)


def test_the_images_of_a_labelled_folder_are_shown_and_left_alone(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lines = ["file,label"]
    for number, label in enumerate(("pneumonia", "no-finding")):
        file = simulated(tmp_path / f"made{number}", "--studies", "1") / told(tmp_path / f"made{number}")[0]["file"]
        (source / f"{number}.dcm").write_bytes(file.read_bytes())
        lines.append(f"{number}.dcm,{label}")
    (source / "labels.csv").write_text("\n".join(lines))
    before = digests(source)
    folder = simulated(
        tmp_path / "out", "--data", str(source), "--studies", "6", "--change", "inverted", "--since", "0"
    )
    assert digests(source) == before
    for row in told(folder):
        assert pydicom.dcmread(folder / row["file"]).pixel_array.shape == (32, 32)


def test_rows_alone_are_written_as_columns_that_change_where_told(tmp_path: Path) -> None:
    options = ["--rows", "600", "--pool", "8", "--change", "software", "--since", "300", "--json"]
    done = RUNNER.invoke(app, ["simulate", str(tmp_path / "out"), *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["station"] == CHANGES["software"].station
    rows = read(tmp_path / "out" / "rows.npz")
    new = np.char.endswith(rows.categorical["software"], "SP2")
    assert len(rows) == 600
    assert new[300:].any() and not new[:300].any()
    assert rows.embedding is not None and np.isfinite(rows.embedding).all()
    assert set(rows.devices[new]) == {"Northlight Clarity 100 ACR2"}


def test_what_is_there_is_not_overwritten_and_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert RUNNER.invoke(app, ["simulate", str(tmp_path)]).exit_code != 0
    (tmp_path / "bare").mkdir()
    refused = RUNNER.invoke(app, ["simulate", str(tmp_path / "out"), "--data", str(tmp_path / "bare")])
    assert refused.exit_code != 0
    assert "labels.csv" in refused.output
