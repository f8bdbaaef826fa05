"""Pilot sets: from a folder or from the store, with labels, audited, and without those who withdrew."""

import csv
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import select

from flows import consent
from flows.deidentify import Order, Summary, deidentify
from flows.house import House
from integrations.deidentify import Options
from integrations.deidentify.cleaning import Cleaner
from radloop.domain.errors import NotFound, Rejected, SettingsError
from radloop.ledger.tables import audit_events
from tests.flows import place
from tests.peers.dicom_files import part10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "Smith John"
    (made / "a").mkdir(parents=True)
    for seed in (1, 2):
        (made / "a" / f"{seed}.dcm").write_bytes(part10(place.chest_study(seed, PatientID=f"MRN-{seed}77123")))
    return made


def run(house: House, source: Path | str, out: Path, project: str = "pilot", **options: bool) -> Summary:
    return deidentify(house, Order(str(source), out, project, "ann", Options(**options)))


def rows(out: Path, name: str = "manifest.csv") -> list[dict[str, str]]:
    with (out / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_folder_becomes_opaque_files_and_a_manifest_of_pseudonyms(house: House, folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("not an image")
    done = run(house, folder, tmp_path / "out")
    assert (done.written, [(one.name, one.code) for one in done.left]) == (2, [("notes.txt", "unparsable")])
    found = rows(tmp_path / "out")
    assert {row["file"] for row in found} | {"manifest.csv", "texts.csv"} == {
        p.name for p in (tmp_path / "out").iterdir()
    }
    for row in found:
        ds = pydicom.dcmread(tmp_path / "out" / row["file"])
        assert (row["patient"], row["study_uid"], row["sop_uid"]) == (
            ds.PatientID,
            ds.StudyInstanceUID,
            ds.SOPInstanceUID,
        )
    together = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"MRN" not in together
    assert b"Smith" not in together


def test_again_in_the_same_project_gives_the_same_and_in_another_something_else(
    house: House, folder: Path, tmp_path: Path
) -> None:
    run(house, folder, tmp_path / "first")
    run(house, folder, tmp_path / "second")
    run(house, folder, tmp_path / "third", project="other")
    first, second, third = (rows(tmp_path / name) for name in ("first", "second", "third"))
    assert first == second
    assert not {value for row in first for value in (row["patient"], row["study_uid"], row["file"])} & {
        value for row in third for value in row.values()
    }


def test_labels_go_along_by_file(house: House, folder: Path, tmp_path: Path) -> None:
    (folder / "labels.csv").write_text("file,study_uid,label\na/1.dcm,1.2.3,pneumonia\na/2.dcm,1.2.4,no-finding\n")
    run(house, folder, tmp_path / "out")
    assert sorted(row["label"] for row in rows(tmp_path / "out")) == ["no-finding", "pneumonia"]


@pytest.mark.parametrize("label", ["seen by Dr. Brontowski", "MRN 4471902", "x" * 65])
def test_labels_that_may_identify_stop_everything(house: House, folder: Path, tmp_path: Path, label: str) -> None:
    (folder / "labels.csv").write_text(f"file,label\na/1.dcm,{label}\n")
    with pytest.raises(Rejected):
        run(house, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_of_the_store_by_its_uid(house: House, tmp_path: Path) -> None:
    ds = place.chest_study(3)
    place.arrive(house, ds)
    assert run(house, str(ds.StudyInstanceUID), tmp_path / "out").written == 1
    with pytest.raises(NotFound):
        run(house, "1.2.3", tmp_path / "nothing")


def test_the_audit_has_the_project_and_counts_and_nothing_of_a_patient(
    house: House, folder: Path, tmp_path: Path
) -> None:
    (folder / "cut.dcm").write_bytes((folder / "a" / "1.dcm").read_bytes()[:500])
    run(house, folder, tmp_path / "out")
    with house.ledger.read() as conn:
        wanted = audit_events.c.action == "deidentify"
        found = conn.execute(select(audit_events).where(wanted).order_by(audit_events.c.at)).all()
    assert [(row.actor, row.object_kind, row.object_id, row.detail) for row in found] == [
        ("ann", "project", "pilot", "started"),
        ("ann", "project", "pilot", "2 written, 0 masked, 1 left"),
    ]


def test_who_withdrew_consent_is_in_no_set(house: House, folder: Path, tmp_path: Path) -> None:
    consent.take_back(house, "MRN-177123", None, "ann")
    done = run(house, folder, tmp_path / "out")
    assert (done.written, [one.code for one in done.left]) == (1, ["no-consent"])


def test_what_leaks_is_not_written(house: House, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cleaner, "uid", lambda _self, element, _action: element)
    done = run(house, folder, tmp_path / "out")
    assert (done.written, {one.code for one in done.left}) == (0, {"leaked"})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.csv", "texts.csv"}


def test_the_same_instance_twice_is_written_once(house: House, folder: Path, tmp_path: Path) -> None:
    (folder / "copy.dcm").write_bytes((folder / "a" / "1.dcm").read_bytes())
    done = run(house, folder, tmp_path / "out")
    assert (done.written, [one.code for one in done.left]) == (2, ["duplicate-conflict"])


def test_texts_that_were_let_through_are_listed_for_a_person(house: House, folder: Path, tmp_path: Path) -> None:
    data = place.chest_study(9, Manufacturer="SIEMENS", ManufacturerModelName="Axiom")
    (folder / "a" / "9.dcm").write_bytes(part10(data))
    run(house, folder, tmp_path / "out")
    assert {"text": "Axiom", "files": "1"} in rows(tmp_path / "out", "texts.csv")


def test_the_output_is_a_new_folder_outside_the_input(house: House, folder: Path, tmp_path: Path) -> None:
    order = Order(str(folder), folder / "out", "pilot", "ann", Options())
    with pytest.raises(SettingsError, match="outside IN"):
        deidentify(house, order)
    with pytest.raises(SettingsError, match="empty"):
        deidentify(house, replace(order, out=tmp_path))
