"""The programs that hospitals test with: dcmtk's echoscu, storescu and dcmsend."""

import io
import re
import subprocess
from pathlib import Path

import pydicom
import pytest

from tests.peers.dicom_files import dicom_file
from tests.peers.programs import need
from tests.serving.gateway.door import AE_TITLE, PEERS, SOURCE, Door, log_lines, make_home, process_door
from tests.serving.gateway.test_storage import BUNDLED

SENT = re.compile(r"with status SUCCESS\s*:\s*(\d+)")


def run(program: str, door: Door, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need(program, "dcmtk"), "-aet", SOURCE, "-aec", AE_TITLE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_echoscu_is_answered(door: Door) -> None:
    assert run("echoscu", door, "127.0.0.1", str(door.dicom_port)).returncode == 0


def test_echoscu_of_a_stranger_is_told_why(door: Door) -> None:
    command = [need("echoscu", "dcmtk"), "-aet", "STRANGER", "-aec", AE_TITLE, "127.0.0.1", str(door.dicom_port)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode != 0
    assert "Calling AE Title Not Recognized" in told.stderr + told.stdout


def test_storescu_sends_instance_after_instance_over_one_association(door: Door, tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom_file(SeriesNumber=1, InstanceNumber=1))
    sent = run("storescu", door, "--repeat", "20", "+II", "127.0.0.1", str(door.dicom_port), str(tmp_path / "one.dcm"))
    assert sent.returncode == 0
    assert len({one.header.sop_uid for one in door.instances}) == 20


def test_dcmsend_of_all_bundled_files_loses_none_that_it_was_told_is_stored(door: Door) -> None:
    options = ["--no-halt", "--no-illegal-proposal", "--decompress-never", "+sd", "+r", "-v"]
    sent = run("dcmsend", door, *options, "127.0.0.1", str(door.dicom_port), str(BUNDLED))
    told = SENT.search(sent.stdout + sent.stderr)
    assert told is not None, sent.stdout[-2000:] + sent.stderr[-2000:]
    assert int(told[1]) > 20
    on_record = {one.header.sop_uid for one in door.instances}
    assert len(on_record) >= 20
    assert all(pydicom.dcmread(io.BytesIO(door.file(one.blob)), stop_before_pixels=True) for one in door.instances[:5])


def test_no_patient_data_and_no_uid_reaches_the_log(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", peers=PEERS)
    token, uid = "ZZTOPSECRETZZ", "1.2.826.0.1.3680043.9.7777.1234567890123"
    good = dicom_file(
        PatientName=token, PatientID=token, AccessionNumber=token[:16], SOPInstanceUID=uid, StudyInstanceUID=uid + ".1",
        SeriesInstanceUID=uid + ".2", StudyDescription=token, SeriesNumber=1, InstanceNumber=1,
    )  # fmt: skip
    other = good[:-8] + b"\1" * 8
    with process_door(home) as (door, _):
        for name, data in (("a.dcm", good), ("b.dcm", other)):
            (tmp_path / name).write_bytes(data)
            run("storescu", door, "127.0.0.1", str(door.dicom_port), str(tmp_path / name))
        assert len(door.instances) == 1
        assert len(door.set_aside) == 1
    text = (home / "gateway.log").read_text()
    assert log_lines(home)
    assert token[:8] not in text
    assert uid[:25] not in text


@pytest.mark.parametrize("option", ["-xy", "-xv", "-xe", "-xi", "-xb"])
def test_storescu_proposes_each_of_its_transfer_syntaxes(door: Door, tmp_path: Path, option: str) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom_file(SeriesNumber=1, InstanceNumber=1))
    sent = run("storescu", door, option, "127.0.0.1", str(door.dicom_port), str(tmp_path / "one.dcm"))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert len(door.instances) == 1
