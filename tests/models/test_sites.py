import csv
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch

from models.catalog import catalog
from models.evaluation.metrics import auc
from models.networks import build
from models.phantoms.sites import COLUMNS, SITES, Case, SimulatedReader, cases, pixels, radiograph, write
from models.preparation import HeaderFacts, resample, to_unit
from models.training.fit import fit_linear, members
from models.training.member import Lesson
from models.training.recipes import CHEST
from radloop.domain.enums import VerdictKind
from radloop.domain.records import Acquisition


@pytest.mark.parametrize("site", SITES.values(), ids=SITES.keys())
def test_the_same_seed_gives_the_same_cases_and_pictures_and_another_seed_others(site: object) -> None:
    found = cases(SITES["A"], 30, 1)
    assert found == cases(SITES["A"], 30, 1)
    assert not {one.patient for one in found} & {one.patient for one in cases(SITES["A"], 30, 2)}
    assert np.array_equal(pixels(found[0], 64), pixels(found[0], 64))
    assert not np.array_equal(pixels(found[0], 64), pixels(found[1], 64))


def test_patients_have_sex_age_and_sometimes_several_images_and_the_finding_as_often_as_it_should() -> None:
    for site in SITES.values():
        found = cases(site, 2_000, 1)
        people = {(one.patient, one.sex, one.age) for one in found}
        assert len(people) == len({one.patient for one in found}) == 1_600
        assert {one.sex for one in found} == {"F", "M"}
        assert all(18 <= one.age <= 95 for one in found)
        assert abs(sum(one.positive for one in found) / len(found) - site.prevalence) < 0.04
        assert len({one.name for one in found}) == len(found)


@pytest.mark.parametrize("name", sorted(SITES))
def test_a_radiograph_is_valid_and_within_the_card_of_the_chest_model(name: str, tmp_path: Path) -> None:
    case = cases(SITES[name], 3, 9_999)[-1]
    ds = radiograph(case)
    row = Acquisition(
        instance_id="in_1", version_id="sv_1", modality=ds.Modality, body_part=ds.BodyPartExamined,
        view=ds.ViewPosition, photometric=ds.PhotometricInterpretation, rows=ds.Rows, columns=ds.Columns,
    )  # fmt: skip
    assert catalog()["cxr_pneumonia"].unreadable(row) is None
    path = tmp_path / case.name
    ds.save_as(path, enforce_file_format=True)
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt install dicom3tools")
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert "Error" not in done.stderr


def test_a_folder_holds_every_case_and_the_table_that_an_import_reads(tmp_path: Path) -> None:
    found = cases(SITES["B"], 12, 3)
    table = write(tmp_path / "b", found, 64)
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == [one.name for one in found]
    for row, case in zip(rows, found, strict=True):
        ds = pydicom.dcmread(tmp_path / "b" / row["file"])
        assert (row["label"] == "pneumonia") is case.positive
        assert row["patient"] == ds.PatientID
        assert (row["site"], row["scanner"]) == ("B", ds.ManufacturerModelName)
        assert (row["sex"], int(row["age"])) == (ds.PatientSex, case.age)
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in sorted((tmp_path / "b").glob("*"))]
    write(tmp_path / "again", found, 64)
    assert digests == [hashlib.sha256(path.read_bytes()).digest() for path in sorted((tmp_path / "again").glob("*"))]


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (100_001, 1), (1, -1), (1, 10_000)])
def test_more_than_the_numbers_can_hold_is_refused(count: int, seed: int) -> None:
    with pytest.raises(ValueError, match="at most"):
        cases(SITES["A"], count, seed)


def test_fifteen_hundred_radiographs_take_less_than_a_minute_of_one_core(tmp_path: Path) -> None:
    found = cases(SITES["B"], 30, 4)
    before = time.thread_time()  # this thread's own: how long the clock runs says what else this machine does
    write(tmp_path, found)
    assert (time.thread_time() - before) / len(found) * 1_500 < 60


def test_a_reader_is_wrong_as_often_as_said_and_about_the_same_cases_again() -> None:
    reader, found = SimulatedReader(name="dr a", error=0.05), cases(SITES["A"], 2_000, 1)
    wrong = [reader.says(one) is not one.positive for one in found]
    assert abs(sum(wrong) / len(wrong) - 0.05) < 0.015
    assert wrong == [reader.says(one) is not one.positive for one in found]
    other = SimulatedReader(name="dr b", error=0.05)
    assert wrong != [other.says(one) is not one.positive for one in found]
    sure = SimulatedReader(name="dr c", error=0.0)
    there, absent = (next(one for one in found if one.positive is truth) for truth in (True, False))
    assert [sure.verdict(there, True), sure.verdict(absent, False)] == [VerdictKind.CONFIRM] * 2
    assert sure.verdict(absent, True) is VerdictKind.REJECT
    assert sure.verdict(there, False) is VerdictKind.ADD


def _images(found: tuple[Case, ...], side: int) -> torch.Tensor:
    units = [to_unit(pixels(case, 128), HeaderFacts()) for case in found]
    return torch.from_numpy(np.stack([resample(unit, side, side) for unit in units]))[:, None]


def test_a_model_of_one_site_does_worse_at_another_and_learning_from_it_helps() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    learn = {name: cases(SITES[name], 160, 1) for name in "AB"}
    judge = {name: cases(SITES[name], 160, 2) for name in "AB"}
    member = members(CHEST, (1.0,) * (CHEST.members + 1))[0]
    scores = {}
    for sites in ("A", "AB"):
        found = tuple(case for name in sites for case in learn[name])
        labels = torch.tensor([float(case.positive) for case in found])
        network = build(member.network, member.arguments)
        network.load_state_dict(fit_linear(CHEST, member, Lesson(_images(found, 128), labels), 1))
        with torch.inference_mode():
            for name, unseen in judge.items():
                truth = np.array([case.positive for case in unseen])
                scores[sites, name] = auc(truth, network.eval()(_images(unseen, 96))[:, 0].numpy())
    torch.set_num_threads(before)
    assert scores["A", "A"] > 0.92
    assert scores["A", "B"] < scores["A", "A"] - 0.08
    assert scores["AB", "B"] > scores["A", "B"] + 0.02
