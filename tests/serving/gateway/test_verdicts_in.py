"""Verdicts through the real doors: an assessment by dcmtk's C-STORE, a final report over MLLP."""

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset

from flows import ris_reports, routing
from flows.house import House
from radloop.domain.enums import StudyState, VerdictKind
from radloop.domain.errors import Unavailable
from radloop.domain.records import Result, StudyVersion, Verdict
from serving.gateway import mllp
from tests.clock import until
from tests.flows import assessing, cards, place
from tests.peers.assessments import Said, assess
from tests.peers.dicom_files import part10
from tests.peers.programs import need
from tests.peers.reports import Obx, Oru
from tests.serving.gateway.door import Door, open_door, process_door
from tests.serving.gateway.test_mllp import Ris

PEERS = """
[peers.workstation]
ae_title = "WORKSTATION"
host = "127.0.0.1"
roles = ["source"]
"""
SENDERS = [("/usr/bin/storescu", "-R"), ("dcmsend", "--no-uid-checks")]
CLEAR = Obx(value="No evidence of pneumonia.")


@dataclass
class Hospital:
    """A house whose gateway is open, with one answered study."""

    house: House
    door: Door
    image: Dataset
    version: StudyVersion
    result: Result

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return assessing.verdicts_of(self.house, self.result)

    def report(self, *observations: Obx, **changes: str) -> Oru:
        base = Oru(accession="ACC-7", patient_id=self.image.PatientID, observations=observations or (CLEAR,))
        return replace(base, **changes)  # type: ignore[arg-type]

    def answers(self, *messages: bytes) -> list[str]:
        """MSA-1 of each, over one connection."""
        with socket.create_connection(("127.0.0.1", self.door.hl7_port), timeout=20) as sock:
            return [Ris(sock).code(message) for message in messages]


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hospital]:
    monkeypatch.setenv("RADLOOP_GATEWAY__DICOM_PORT", "0")
    monkeypatch.setenv("RADLOOP_GATEWAY__HL7_PORT", "0")
    monkeypatch.setattr(routing, "catalog", lambda: cards.CATALOG)
    with assessing.hospital(tmp_path / "home", PEERS) as (house, _), open_door(tmp_path / "home") as door:
        image = place.chest_study(7, AccessionNumber="ACC-7")
        yield Hospital(house, door, image, *assessing.answered_study(house, image))


@pytest.mark.parametrize("sender", SENDERS)
def test_an_assessment_that_dcmtk_stores_becomes_a_verdict(
    hospital: Hospital, tmp_path: Path, sender: tuple[str, ...]
) -> None:
    program = need(sender[0], "dcmtk")
    ours = assessing.sr_of(hospital.house, hospital.result)
    said = Said(number=0, kind=VerdictKind.REJECT, text="atelectasis")
    file = tmp_path / "assessment.dcm"
    file.write_bytes(part10(assess(ours, [said], login="mcurie", at=datetime(2026, 3, 4, 5, tzinfo=UTC))))
    queued = assessing.queued(hospital.house)
    for _ in range(2):
        command = [program, *sender[1:], "-aet", "WORKSTATION", "-aec", "RADLOOP", "127.0.0.1"]
        command += [str(hospital.door.dicom_port), str(file)]
        sent = subprocess.run(command, capture_output=True, timeout=30, check=False)
        assert sent.returncode == 0, sent.stderr
    until(lambda: assessing.newest(hospital.house).number == 2)
    assert assessing.answer_all(hospital.house) == ["ANSWERED"]
    (verdict,) = hospital.verdicts
    assert (verdict.kind, verdict.reader, verdict.text) == (VerdictKind.REJECT, "marie", "atelectasis")
    assert assessing.queued(hospital.house) == queued


def test_a_final_report_is_accepted_once_its_verdict_and_sign_off_are_on_record(hospital: Hospital) -> None:
    assert hospital.answers(hospital.report().encode()) == ["AA"]
    assert [(one.kind, one.reader) for one in hospital.verdicts] == [(VerdictKind.REJECT, "marie")]
    assert assessing.newest(hospital.house).state is StudyState.SIGNED


def test_the_same_control_id_again_is_accepted_and_changes_nothing_whatever_its_time(hospital: Hospital) -> None:
    first = hospital.report().encode()
    later = hospital.report(sent="20260304093000").encode()
    assert hospital.answers(first, first, later) == ["AA"] * 3
    assert len(hospital.verdicts) == 1
    assert len(assessing.audited(hospital.house, "verdict")) == 1


def test_a_corrected_report_under_another_control_id_makes_a_new_verdict(hospital: Hospital) -> None:
    corrected = replace(hospital.report(Obx(value="Pneumonia.")), status="C", control_id="2")
    assert hospital.answers(hospital.report().encode(), corrected.encode()) == ["AA", "AA"]
    assert sorted(one.kind for one in hospital.verdicts) == [VerdictKind.CONFIRM, VerdictKind.REJECT]


def test_a_preliminary_report_is_accepted_and_only_noted(hospital: Hospital) -> None:
    message = hospital.report(status="P").encode()
    assert hospital.answers(message, message) == ["AA", "AA"]
    assert (hospital.verdicts, assessing.audited(hospital.house, "report.ignored")) == ((), ["not final"])


def test_a_report_without_a_patient_is_an_error_and_set_aside(hospital: Hospital) -> None:
    assert hospital.answers(hospital.report(patient_id="").encode()) == ["AE"]
    assert [one.peer for one in hospital.door.set_aside] == ["ris"]


def test_a_report_that_cannot_be_kept_is_ae_and_is_taken_whole_once_it_can(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise Unavailable("locked")

    message = hospital.report().encode()
    with monkeypatch.context() as patched:
        patched.setattr(ris_reports, "sign_off", failing)
        assert hospital.answers(message) == ["AE"]
    with monkeypatch.context() as patched:
        patched.setattr(mllp.orders, "first_time", failing)
        assert hospital.answers(message) == ["AE"]
    assert hospital.answers(message) == ["AA"]
    assert len(hospital.verdicts) == 1
    assert len(assessing.audited(hospital.house, "sign-off")) == 1


def test_an_accepted_report_survives_a_kill_and_is_known_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADLOOP_GATEWAY__DICOM_PORT", "0")
    monkeypatch.setenv("RADLOOP_GATEWAY__HL7_PORT", "0")
    monkeypatch.setattr(routing, "catalog", lambda: cards.CATALOG)
    home = tmp_path / "home"
    with assessing.hospital(home, PEERS) as (house, _):
        image = place.chest_study(7, AccessionNumber="ACC-7")
        version, result = assessing.answered_study(house, image)
        with process_door(home) as (door, process):
            hospital = Hospital(house, door, image, version, result)
            message = hospital.report().encode()
            assert hospital.answers(message) == ["AA"]
            process.kill()
            process.wait(5.0)
        with process_door(home) as (door, _):
            assert replace(hospital, door=door).answers(message) == ["AA"]
        assert [one.kind for one in hospital.verdicts] == [VerdictKind.REJECT]
        assert assessing.newest(house).state is StudyState.SIGNED
        told = (home / "gateway.log").read_text()
        assert [word for word in ("ACC-7", image.PatientID, "mcurie", "Curie", "No evidence") if word in told] == []


def test_a_peer_that_only_gets_reports_may_send_reports_but_no_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADLOOP_GATEWAY__DICOM_PORT", "0")
    monkeypatch.setenv("RADLOOP_GATEWAY__HL7_PORT", "0")
    more = '[peers.reporting]\nmllp = "127.0.0.1:1"\nroles = ["reports"]\n'
    house = place.make_home(tmp_path / "home", more=more)
    house.ledger.close()
    oru = Oru(accession="A", patient_id="P", observations=(CLEAR,)).encode()
    order = oru.replace(b"ORU^R01^ORU_R01", b"ORM^O01").replace(b"|1|P|2.5.1", b"|2|P|2.5.1")
    with open_door(tmp_path / "home") as door:
        with socket.create_connection(("127.0.0.1", door.hl7_port), timeout=20) as sock:
            assert [Ris(sock).code(message) for message in (oru, order)] == ["AA", "AR"]
        assert door.audited("hl7.deny") == ["reporting"]
