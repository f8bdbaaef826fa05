"""One whole house with real peers, shared by the acceptance tests; each test sends studies of its own."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from radloop.process import free_port
from tests.acceptance.house import PORTS, House, house
from tests.peers.fhir import FhirPeer, fhir_peer
from tests.peers.mllp import MllpPeer, mllp_peer
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.programs import need

SENDER = "MODALITY"


@dataclass(frozen=True)
class World:
    """A running radloop between an Orthanc, a RIS and an EHR."""

    house: House
    port: int
    pacs: Orthanc
    ris: MllpPeer
    ehr: FhirPeer

    def send(self, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
        """Send with dcmtk's `dcmsend`, as a modality would."""
        program = need("dcmsend", "dcmtk")
        command = [program, "-aet", SENDER, "-aec", "RADLOOP", "127.0.0.1", str(self.port), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def peers(pacs: Orthanc, ris: MllpPeer, ehr: FhirPeer) -> str:
    return f"""
[peers.pacs]
ae_title = "{pacs.ae_title}"
host = "127.0.0.1"
port = {pacs.port}
roles = ["source", "results"]
[peers.modality]
ae_title = "{SENDER}"
host = "127.0.0.1"
roles = ["source"]
[peers.ris]
mllp = "{ris.address}"
roles = ["reports", "orders"]
priority_upgrade = "ORM"
[peers.ehr]
fhir = "{ehr.url}"
roles = ["reports"]
"""


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    port = free_port()
    settings = PORTS.replace("dicom_port = 0", f"dicom_port = {port}")
    viewer = '[console]\nviewer = "{url}/app/explorer.html?study={{study_uid}}"'
    home = tmp_path_factory.mktemp("world") / "home"
    with (
        orthanc(modalities={"radloop": ("RADLOOP", "127.0.0.1", port)}) as pacs,
        mllp_peer("AA") as ris,
        fhir_peer() as ehr,
        house(home, peers(pacs, ris, ehr), settings.replace("[console]", viewer.format(url=pacs.url))) as opened,
    ):
        yield World(opened, port, pacs, ris, ehr)


def saved(folder: Path, *datasets: Dataset) -> list[Path]:
    """Write data sets as files, and say where."""
    paths = []
    for number, ds in enumerate(datasets):
        paths.append(folder / f"{number:04}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths
