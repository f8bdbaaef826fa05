import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from models.catalog import catalog
from models.phantoms import brain_slices, chest, head_ct, unreadable_study
from models.phantoms.head_ct import head_ct_units
from models.phantoms.labelled import write
from radloop.domain.records import Acquisition
from tests.peers.dicom_files import part10

Study = Callable[[int], list[Dataset]]
STUDIES: dict[str, Study] = {
    "chest without": lambda seed: [chest(seed, opacity=False, rows=256)],
    "chest with": lambda seed: [chest(seed, opacity=True, rows=256)],
    "brain without": lambda seed: brain_slices(seed, lesion=False, count=2),
    "brain with": lambda seed: brain_slices(seed, lesion=True, count=2),
    "head CT without": lambda seed: head_ct(seed, bleed=False, count=2),
    "head CT with": lambda seed: head_ct(seed, bleed=True, count=2),
    "unreadable": unreadable_study,
}
every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())


def row(ds: Dataset) -> Acquisition:
    return Acquisition(
        instance_id="in_1",
        version_id="sv_1",
        modality=ds.Modality,
        body_part=ds.get("BodyPartExamined", ""),
        view=ds.get("ViewPosition", ""),
        photometric=ds.PhotometricInterpretation,
        rows=ds.Rows,
        columns=ds.Columns,
    )


@every_study
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_patient(study: Study) -> None:
    assert [part10(ds) for ds in study(3)] == [part10(ds) for ds in study(3)]
    assert study(3)[0].StudyInstanceUID != study(4)[0].StudyInstanceUID
    assert study(3)[0].PatientID != study(4)[0].PatientID


@every_study
def test_a_phantom_passes_dciodvfy_without_an_error(study: Study, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt install dicom3tools")
    for number, ds in enumerate(study(5)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10(ds))
        said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=30, check=False)
        assert not re.findall(r"^Error.*", said.stderr + said.stdout, re.MULTILINE)


@every_study
def test_a_phantom_is_of_nobody_and_is_one_study(study: Study) -> None:
    images = study(7)
    assert all(str(ds.PatientName).startswith("Phantom^") for ds in images)
    assert all(ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian for ds in images)
    assert len({ds.StudyInstanceUID for ds in images}) == 1
    assert len({ds.SOPInstanceUID for ds in images}) == len(images)


def test_the_finding_is_where_it_was_drawn_and_changes_the_rest_little() -> None:
    with_lesion, without = (brain_slices(11, lesion=lesion)[0].pixel_array.astype(float) for lesion in (True, False))
    differs = np.abs(with_lesion - without) > 400
    assert 0.002 < differs.mean() < 0.2


def test_each_phantom_is_read_by_its_own_model_and_the_foot_by_none() -> None:
    models = catalog()
    readers = {name: [m for m in models if models[m].inapplicable([row(ds) for ds in STUDIES[name](1)]) is None]
               for name in STUDIES}  # fmt: skip
    assert readers == {
        "chest without": ["cxr_pneumonia"],
        "chest with": ["cxr_pneumonia"],
        "brain without": ["brain_mr_tumour"],
        "brain with": ["brain_mr_tumour"],
        "head CT without": ["head_ct_haemorrhage"],
        "head CT with": ["head_ct_haemorrhage"],
        "unreadable": [],
    }


def test_the_blood_of_a_head_is_brighter_than_brain_and_lies_within_the_skull() -> None:
    for seed in range(12):
        shown, clean = (head_ct_units(seed, bleed, 1, 256) for bleed in (True, False))
        added = shown - clean
        assert 5 < added.max() < 45
        where = np.argwhere(added > 5)
        assert 0.0005 < len(where) / added.size < 0.06
        assert (np.abs(where / 256 - 0.5) < 0.42).all()
        assert np.median(clean[added > 5]) < 60


def test_labelled_heads_are_half_and_half_and_each_of_another_patient(tmp_path: Path) -> None:
    write(tmp_path, 6)
    rows = [line.split(",") for line in (tmp_path / "labels.csv").read_text().splitlines()]
    assert [label for _, label in rows[1:]] == ["haemorrhage", "no-finding"] * 3
    assert len({dcmread(tmp_path / file).PatientID for file, _ in rows[1:]}) == 6
