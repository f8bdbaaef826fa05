"""A house with peers of its own, for tests that hurt it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from radloop.process import free_port
from tests.acceptance.conftest import World, peers
from tests.acceptance.house import PORTS, House, house
from tests.peers.fhir import fhir_peer
from tests.peers.mllp import mllp_peer
from tests.peers.orthanc import orthanc


@contextmanager
def town(home: Path, *ris_script: str) -> Iterator[World]:
    """A house with peers of its own, for tests that hurt it."""
    port = free_port()
    settings = PORTS.replace("dicom_port = 0", f"dicom_port = {port}")
    with (
        orthanc() as pacs,
        mllp_peer(*ris_script) as ris,
        fhir_peer() as ehr,
        house(home, peers(pacs, ris, ehr), settings) as opened,
    ):
        yield World(opened, port, pacs, ris, ehr)


def kill(opened: House, name: str) -> None:
    with suppress(ProcessLookupError):
        if pid := opened.pids().get(name):
            os.kill(pid, signal.SIGKILL)
