import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.phantoms import brain_slices
from models.preparation import header_facts, resample, to_unit
from models.runtime import load
from models.training.cohort import group, read
from models.training.crossval import splits
from models.training.recipes import BRAIN
from models.training.train import train
from radloop.domain.errors import Unparsable

# Phantoms are near-duplicates of each other, so they are told apart by patient alone.
QUICK = replace(
    BRAIN,
    near_duplicates=False,
    members=1,
    width=8,
    input_size=64,
    phantoms=2,
    folds=2,
    schedule=replace(BRAIN.schedule, epochs=1, batch=8),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with (folder / "labels.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "label"])
        for seed in range(16):
            found = seed % 2 == 0
            brain_slices(seed, found)[0].save_as(folder / f"{seed}.dcm", enforce_file_format=True)
            rows.writerow([f"{seed}.dcm", "tumour" if found else "no-finding"])
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_twice_gives_the_same_bytes_and_a_bundle_that_loads(data: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    for name in ("first", "again"):
        train(QUICK, data, tmp_path / name, steps.append)
    assert files(tmp_path / "first") == files(tmp_path / "again")
    assert steps.count("3 of 3 training runs are done") == 2
    model = load(tmp_path / "first" / "bundle")
    slices = [brain_slices(seed, lesion=True)[0] for seed in (50, 51)]
    batch = torch.stack([model.prepare(to_unit(ds.pixel_array, header_facts(ds))) for ds in slices])
    assert model.predict(batch).shape == (2, 1)


@pytest.mark.campaign
def test_workers_share_the_runs_and_change_nothing(data: Path, tmp_path: Path) -> None:
    train(QUICK, data, tmp_path / "alone", lambda _: None)
    train(QUICK, data, tmp_path / "shared", lambda _: None, workers=2)
    assert files(tmp_path / "alone") == files(tmp_path / "shared")


def test_no_group_is_on_both_sides_of_a_split(data: Path) -> None:
    cohort = read(data, QUICK)
    for train_rows, test_rows in splits(QUICK, cohort):
        assert not set(cohort.groups[train_rows]) & set(cohort.groups[test_rows])


def test_near_duplicates_and_images_of_one_patient_are_grouped() -> None:
    rng = np.random.default_rng(1)
    pictures = [resample(rng.random((6, 6), np.float32), 80, 80) for _ in range(4)]
    brighter = np.clip(pictures[0] * 0.8 + 0.1, 0, 1).astype(np.float32)
    found = group(["a", "b", "c", "a", "e"], [pictures[0], pictures[1], pictures[2], pictures[3], brighter])
    assert found[0] == found[3] == found[4]
    assert len(set(found.tolist())) == 3


def test_a_folder_without_a_table_or_with_a_broken_image_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(Unparsable):
        read(tmp_path, QUICK)
    (tmp_path / "labels.csv").write_text("file,label\n1.dcm,tumour\n")
    (tmp_path / "1.dcm").write_bytes(b"no image")
    with pytest.raises(Unparsable):
        read(tmp_path, QUICK)
