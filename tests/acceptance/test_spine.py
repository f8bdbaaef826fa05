"""From C-STORE to the answer at PACS, RIS and EHR, with real programs on every side."""

import json
import subprocess
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
import pydicom
import pytest
from pydicom.uid import generate_uid

from models.catalog import catalog
from models.phantoms.brain import brain_slices
from models.phantoms.chest import chest
from models.phantoms.foot import unreadable_study
from tests.acceptance.conftest import World, saved
from tests.clock import until
from tests.peers.programs import need

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
SHARED = Path(__file__).parents[3] / "shared" / "data"
ALIAS = "/api/2.0/mlflow/registered-models/alias"
ONCE = {"SR": 1, "SC": 1, "ORU": 1, "DIAGNOSTIC_REPORT": 1}


def kinds(row: dict[str, Any]) -> Counter[str]:
    """How many deliveries of each kind, without the priority upgrade (it depends on the probability)."""
    return Counter(d["kind"] for d in row["deliveries"] if d["kind"] != "ORM")


def from_pacs(world: World, study_uid: str) -> list[pydicom.FileDataset]:
    """Every object of a study that the PACS holds."""
    query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}}
    found = httpx.post(f"{world.pacs.url}/tools/find", json=query, timeout=10, trust_env=False).json()
    return [pydicom.dcmread(BytesIO(world.pacs.file(instance))) for instance in found]


def test_a_radiograph_is_answered_once_at_pacs_ris_and_ehr(world: World, tmp_path: Path) -> None:
    ds = chest(11, opacity=True)
    sent = world.send(saved(tmp_path, ds))
    assert sent.returncode == 0, sent.stderr
    row = world.house.answered([ds.StudyInstanceUID], 60)[ds.StudyInstanceUID]

    assert (row["state"], row["version"], row["instances"]) == ("ANSWERED", 1, 1)
    assert row["evidence"]["signal"] == "SINGLE_IMAGE"
    (result,) = row["results"]
    assert (result["model"], result["status"], result["standing"]) == ("cxr_pneumonia", "OK", "CHAMPION")
    assert result["qualification"] == "RESEARCH"
    assert all(0 <= f["probability"] <= 1 for f in result["findings"])
    assert kinds(row) == ONCE

    objects = from_pacs(world, ds.StudyInstanceUID)
    classes = Counter(o.SOPClassUID.name for o in objects)
    assert classes == {"Comprehensive 3D SR Storage": 1, "Secondary Capture Image Storage": 1}
    assert all(o.PatientID == ds.PatientID and o.ContentQualification == "RESEARCH" for o in objects)
    uid = ds.StudyInstanceUID.encode()
    assert (
        sum(message.startswith(b"MSH") and b"ORU^R01" in message and uid in message for message in world.ris.received)
        == 1
    )
    reports = [json.loads(request.body) for request in world.ehr.received if uid in request.body]
    assert [(r["resourceType"], r["status"]) for r in reports] == [("DiagnosticReport", "partial")]


def test_every_object_that_the_pacs_hands_back_passes_dciodvfy(world: World, tmp_path: Path) -> None:
    program = need("dciodvfy", "dicom3tools")
    ds = chest(12, opacity=False)
    world.send(saved(tmp_path, ds))
    world.house.answered([ds.StudyInstanceUID], 60)
    objects = from_pacs(world, ds.StudyInstanceUID)
    assert len(objects) == 2
    for number, made in enumerate(objects):
        path = tmp_path / f"object{number}.dcm"
        made.save_as(path)
        said = subprocess.run([program, path], capture_output=True, text=True, timeout=30, check=False)
        assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


def test_our_own_objects_coming_back_from_the_pacs_start_no_loop(world: World, tmp_path: Path) -> None:
    ds = chest(13, opacity=True)
    world.send(saved(tmp_path, ds))
    world.house.answered([ds.StudyInstanceUID], 60)
    query = {"Level": "Study", "Query": {"StudyInstanceUID": ds.StudyInstanceUID}}
    found = httpx.post(f"{world.pacs.url}/tools/find", json=query, timeout=10, trust_env=False).json()
    sent = httpx.post(f"{world.pacs.url}/modalities/radloop/store", json=found, timeout=30, trust_env=False)
    assert sent.json()["FailedInstancesCount"] == 0
    row = world.house.studies()[ds.StudyInstanceUID]
    assert (row["version"], row["instances"], row["state"], len(row["results"])) == (1, 1, "ANSWERED", 1)


def test_a_late_instance_makes_a_second_version_whose_report_names_the_first(world: World, tmp_path: Path) -> None:
    first = chest(14, opacity=True)
    late = chest(14, opacity=True)
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    late.InstanceNumber = 2
    world.send(saved(tmp_path, first))
    before = world.house.answered([first.StudyInstanceUID], 60)[first.StudyInstanceUID]
    world.send(saved(tmp_path, late))
    until(lambda: world.house.studies()[first.StudyInstanceUID]["version"] == 2, 20)
    after = world.house.answered([first.StudyInstanceUID], 60)[first.StudyInstanceUID]
    assert (after["version"], after["instances"]) == (2, 2)
    assert after["results"][0]["id"] != before["results"][0]["id"]
    reports = [o for o in from_pacs(world, first.StudyInstanceUID) if o.Modality == "SR"]
    assert sorted(len(o.get("PredecessorDocumentsSequence", [])) for o in reports) == [0, 1]


def test_a_brain_series_is_answered_and_a_foot_says_why_not(world: World, tmp_path: Path) -> None:
    brain, foot = brain_slices(15, lesion=True, count=3), unreadable_study(15)
    world.send(saved(tmp_path, *brain, *foot))
    uids = [brain[0].StudyInstanceUID, foot[0].StudyInstanceUID]
    rows = world.house.answered(uids, 60)
    assert [r["model"] for r in rows[uids[0]]["results"]] == ["brain_mr_tumour"]
    assert rows[uids[0]]["evidence"]["signal"] == "QUIET_PERIOD"
    assert kinds(rows[uids[0]]) == ONCE
    assert (rows[uids[1]]["state"], rows[uids[1]]["results"], rows[uids[1]]["deliveries"]) == ("ANSWERED", [], [])
    assert rows[uids[1]]["reason"]


def test_an_urgent_finding_raises_the_priority_at_the_ris(world: World, tmp_path: Path) -> None:
    series = brain_slices(29, lesion=True, count=3)
    uid = series[0].StudyInstanceUID
    world.send(saved(tmp_path, *series))
    row = world.house.answered([uid], 60)[uid]
    (finding,) = row["results"][0]["findings"]
    assert (row["urgency"], finding["urgency"]) == ("URGENT", "URGENT")
    assert finding["probability"] >= 0.85
    messages = [m for m in world.ris.received if series[0].PatientID.encode() in m]
    assert sorted(m.split(b"|")[8][:3] for m in messages) == [b"ORM", b"ORU"]
    assert all(b"TQ1|1||||||||A^" in m for m in messages)


def test_the_same_study_sent_twice_is_answered_once(world: World, tmp_path: Path) -> None:
    ds = chest(16, opacity=False)
    files = saved(tmp_path, ds)
    world.send(files)
    world.house.answered([ds.StudyInstanceUID], 60)
    assert world.send(files).returncode == 0
    row = world.house.studies()[ds.StudyInstanceUID]
    assert (row["version"], len(row["results"])) == (1, 1)
    assert kinds(row) == ONCE


def test_a_study_in_the_pacs_is_fetched_by_query_and_retrieve(world: World) -> None:
    ds = chest(17, opacity=False)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    world.pacs.upload(buffer.getvalue())
    world.house.cli("ingest", "pacs", "--modality", ds.Modality, "--since", "99999d")
    row = world.house.answered([ds.StudyInstanceUID], 60)[ds.StudyInstanceUID]
    assert kinds(row) == ONCE


def test_a_folder_is_imported_and_bad_files_are_listed_and_left(world: World, tmp_path: Path) -> None:
    ds = chest(18, opacity=False)
    folder = tmp_path / "in"
    folder.mkdir()
    saved(folder, ds)
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "cut.dcm").write_bytes((folder / "0000.dcm").read_bytes()[:400])
    said = world.house.cli("import", str(folder), check=False)
    assert "notes.txt" in said.stdout + said.stderr
    assert "cut.dcm" in said.stdout + said.stderr
    assert (folder / "notes.txt").exists()
    world.house.answered([ds.StudyInstanceUID], 60)


@pytest.mark.skipif(not SHARED.exists(), reason="the public images are not beside this checkout (../shared/data)")
def test_real_images_are_answered_by_their_models(world: World) -> None:
    files = [min((SHARED / folder).glob("*.dcm")) for folder in ("cxr", "brain-mr")]
    uids = [str(pydicom.dcmread(f, stop_before_pixels=True).StudyInstanceUID) for f in files]
    assert world.send(files).returncode == 0
    rows = world.house.answered(uids, 60)
    assert [[r["model"] for r in rows[uid]["results"]] for uid in uids] == [["cxr_pneumonia"], ["brain_mr_tumour"]]
    assert all(kinds(rows[uid]) == ONCE for uid in uids)


def test_the_audit_is_sound_and_keys_can_be_rotated_under_way(world: World, tmp_path: Path) -> None:
    world.house.cli("keys", "rotate")
    ds = chest(19, opacity=False)
    world.send(saved(tmp_path, ds))
    world.house.answered([ds.StudyInstanceUID], 60)
    world.house.cli("audit", "verify")


def test_the_servers_behind_the_house_listen_on_loopback_only(world: World) -> None:
    pids = world.house.pids()
    for name in ("prefect", "mlflow", "inference"):
        family = [psutil.Process(pids[name]), *psutil.Process(pids[name]).children(recursive=True)]
        listening = {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}, name


def test_mlflow_shows_the_champion_that_the_ledger_names(world: World) -> None:
    champions = {m["name"]: m["digest"] for m in world.house.json("models", "list") if m["standing"] == "CHAMPION"}
    server = f"http://127.0.0.1:{world.house.ports()['mlflow']}"

    def shown() -> dict[str, str]:
        found = {}
        for name in champions:
            query = {"name": name, "alias": "champion"}
            answer = httpx.get(
                f"{server}/api/2.0/mlflow/registered-models/alias", params=query, timeout=10, trust_env=False
            )
            version = answer.json().get("model_version", {})
            found[name] = next((tag["value"] for tag in version.get("tags", []) if tag["key"] == "digest"), "")
        return found

    assert set(champions) == set(catalog())
    until(lambda: shown() == champions, 90, lambda: str(shown()))
