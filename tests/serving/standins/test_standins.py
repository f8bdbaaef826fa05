"""The stand-ins, spoken to by our own clients and by dcmtk's."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pydicom
import pytest

from integrations.dimse import ADAPTER as DIMSE
from integrations.dimse import StudyQuery, count_instances, echo, find_studies, move
from integrations.fhir import ADAPTER as FHIR
from integrations.hl7 import ADAPTER as HL7
from radloop.domain.enums import ObjectKind, PeerRole
from radloop.domain.errors import ContentError, RefusedByPeer, Unavailable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer
from serving.standins import EhrStandIn, PacsStandIn, RisStandIn
from serving.standins.ris import Answer
from tests.clock import until
from tests.peers.dcmtk import storescp
from tests.peers.dicom_files import dicom_file
from tests.peers.parcels import parcel
from tests.peers.programs import need


def pacs_peer(port: int) -> Peer:
    return Peer(name="pacs", roles=(PeerRole.RESULTS,), ae_title="PACS", host="127.0.0.1", port=port, answer_seconds=20)


def ris_peer(port: int) -> Peer:
    return Peer(name="ris", roles=(PeerRole.REPORTS,), mllp=f"127.0.0.1:{port}", answer_seconds=3)


def ehr_peer(url: str) -> Peer:
    return Peer(name="ehr", roles=(PeerRole.REPORTS,), fhir=url, answer_seconds=20)


def message(control_id: str) -> Parcel:
    data = f"MSH|^~\\&|RADLOOP|RAD|RIS|HOSP|20240101||ORU^R01|{control_id}|P|2.5.1\r".encode()
    return parcel(data, identifier=control_id, kind=ObjectKind.ORU)


def report(value: str) -> Parcel:
    body = {"resourceType": "DiagnosticReport", "identifier": [{"system": "urn:radloop", "value": value}]}
    return parcel(json.dumps(body).encode(), identifier=f"urn:radloop|{value}", kind=ObjectKind.DIAGNOSTIC_REPORT)


def test_the_pacs_keeps_objects_as_they_came_and_once_each(tmp_path: Path) -> None:
    file = dicom_file()
    with PacsStandIn(tmp_path / "pacs") as pacs:
        peer = pacs_peer(pacs.port)
        echo(peer)
        assert DIMSE.send(peer, [parcel(file), parcel(file), parcel(dicom_file())]) == (Accepted(),) * 3
        assert len(pacs.files) == 2
        uid = pydicom.dcmread(pacs.files[0]).SOPInstanceUID
        assert all(uid not in path.name for path in pacs.files)


def test_the_pacs_finds_and_moves_studies_also_after_a_restart(tmp_path: Path) -> None:
    files = [dicom_file(StudyInstanceUID="1.2.1", Modality=m, StudyDate="20240301") for m in ("CR", "SR")]
    with PacsStandIn(tmp_path / "pacs") as pacs:
        DIMSE.send(pacs_peer(pacs.port), [*map(parcel, files), parcel(dicom_file(Modality="MR"))])
    with (
        storescp(ae_title="DEST") as scp,
        PacsStandIn(tmp_path / "pacs", destinations={"DEST": ("127.0.0.1", scp.port)}) as pacs,
    ):
        peer = pacs_peer(pacs.port)
        (study,) = find_studies(peer, StudyQuery(modality="CR"))
        assert (study.study_uid, study.modalities, study.instances) == ("1.2.1", ("CR", "SR"), 2)
        assert len(find_studies(peer, StudyQuery())) == 2
        assert count_instances(peer, "1.2.1") == 2
        assert count_instances(peer, "1.2.999") is None
        outcome = move(peer, "1.2.1", "DEST")
        assert (outcome.completed, outcome.failed) == (2, 0)
        assert len(scp.files) == 2
        with pytest.raises(RefusedByPeer, match="0xA801"):
            move(peer, "1.2.1", "NOBODY")


def test_the_pacs_answers_by_its_script_first(tmp_path: Path) -> None:
    with PacsStandIn(tmp_path / "pacs", script=(0xA700, 0xB000)) as pacs:
        outcomes = DIMSE.send(pacs_peer(pacs.port), [parcel(dicom_file()) for _ in range(3)])
        assert len(pacs.files) == 2
    assert isinstance(outcomes[0], Unavailable)
    assert outcomes[1:] == (Accepted(("0xB000",)), Accepted())


def test_dcmtk_sends_to_the_pacs(tmp_path: Path) -> None:
    storescu = need("storescu", "dcmtk")
    tmp_path.joinpath("one.dcm").write_bytes(dicom_file())
    with PacsStandIn(tmp_path / "pacs") as pacs:
        command = [storescu, "-aec", "PACS", "127.0.0.1", str(pacs.port), str(tmp_path / "one.dcm")]
        assert subprocess.run(command, timeout=20, check=False).returncode == 0
        assert len(pacs.files) == 1


def test_the_ris_keeps_every_message_in_order(tmp_path: Path) -> None:
    parcels = [message(f"M{n}") for n in range(12)]
    with RisStandIn(tmp_path / "ris") as ris:
        assert HL7.send(ris_peer(ris.port), parcels) == (Accepted(),) * 12
        assert ris.messages == tuple(one.data for one in parcels)
    with RisStandIn(tmp_path / "ris") as ris:
        HL7.send(ris_peer(ris.port), [message("M12")])
        assert len(ris.messages) == 13


def test_the_ris_answers_by_its_script_first(tmp_path: Path) -> None:
    script = [Answer.AE, Answer.CR, Answer.GARBAGE, Answer.CLOSE]
    with RisStandIn(tmp_path / "ris", script=script) as ris:
        first = HL7.send(ris_peer(ris.port), [message(f"M{n}") for n in range(3)])
        second = HL7.send(ris_peer(ris.port), [message(f"N{n}") for n in range(2)])
    assert [type(one) for one in first] == [ContentError, RefusedByPeer, Unavailable]
    assert [type(one) for one in second] == [Unavailable, Accepted]


def test_the_ris_may_be_silent(tmp_path: Path) -> None:
    with RisStandIn(tmp_path / "ris", script=[Answer.SILENCE]) as ris:
        outcomes = HL7.send(ris_peer(ris.port), [message("M1"), message("M2")])
    assert [type(one) for one in outcomes] == [Unavailable, Accepted]


def test_the_ehr_creates_a_report_once_and_gives_it_back(tmp_path: Path) -> None:
    with EhrStandIn(tmp_path / "ehr") as ehr:
        peer = ehr_peer(ehr.url)
        assert FHIR.send(peer, [report("re_1"), report("re_1"), report("re_2")]) == (Accepted(),) * 3
        assert sorted(ehr.reports) == sorted([report("re_1").data, report("re_2").data])
        (one, _) = sorted((tmp_path / "ehr").glob("*.json"))
        answer = httpx.get(f"{ehr.url}/DiagnosticReport/{one.stem}", trust_env=False)
        assert answer.content == one.read_bytes()
        assert httpx.get(f"{ehr.url}/DiagnosticReport/..%2F..%2Fetc", trust_env=False).status_code == 404


def test_the_ehr_answers_by_its_script_first_and_refuses_nonsense(tmp_path: Path) -> None:
    with EhrStandIn(tmp_path / "ehr", script=[503, 412, 0]) as ehr:
        outcomes = FHIR.send(ehr_peer(ehr.url), [report(f"re_{n}") for n in range(3)])
        assert [type(one) for one in outcomes] == [Unavailable, RefusedByPeer, Accepted]
        (refused,) = FHIR.send(ehr_peer(ehr.url), [parcel(b"[]", identifier="a|b")])
        assert isinstance(refused, RefusedByPeer)
        assert len(ehr.reports) == 1


def test_a_listener_with_too_many_connections_closes_the_next(tmp_path: Path) -> None:
    with RisStandIn(tmp_path / "ris") as ris:
        held = [socket.create_connection(("127.0.0.1", ris.port), timeout=5) for _ in range(65)]
        held[-1].settimeout(5)
        assert held[-1].recv(1) == b""
        for sock in held:
            sock.close()


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "serving.standins", "--folder", sys.argv[1]], stdout=subprocess.PIPE)
sys.stdout.write(child.stdout.readline().decode())
sys.stdout.flush()
time.sleep(60)
"""


def listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_all_three_run_in_one_process_that_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert parent.stdout is not None
    try:
        ports = json.loads(parent.stdout.readline())
        assert sorted(ports) == ["ehr", "pacs", "ris"]
        echo(pacs_peer(ports["pacs"]))
        assert HL7.send(ris_peer(ports["ris"]), [message("M1")]) == (Accepted(),)
        assert FHIR.send(ehr_peer(f"http://127.0.0.1:{ports['ehr']}/fhir"), [report("re_1")]) == (Accepted(),)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(5)
        parent.stdout.close()
    until(lambda: not any(map(listens, ports.values())), 5)


def test_the_command_explains_itself() -> None:
    command = [sys.executable, "-m", "serving.standins", "--help"]
    help_text = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, cwd=Path(__file__).parents[3]
    ).stdout
    assert "--folder" in help_text
