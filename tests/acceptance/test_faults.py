"""What must happen when things break, in a whole house: the kills with 200 sends, or 40 in a small campaign."""

import os
import random
import threading
from pathlib import Path

import pytest

from radloop.process import free_port
from tests.acceptance.conftest import peers
from tests.acceptance.house import PORTS, house
from tests.acceptance.load import oru_per_study, radiographs, send_until_acknowledged
from tests.acceptance.town import kill, town
from tests.clock import until
from tests.peers.fhir import fhir_peer
from tests.peers.mllp import mllp_peer
from tests.peers.orthanc import Orthanc, orthanc

pytestmark = [pytest.mark.acceptance, pytest.mark.campaign, pytest.mark.timeout(900)]

SENDS = {"full": 200, "small": 40}[os.environ.get("RADLOOP_CAMPAIGN", "full")]
VICTIMS = ("gateway", "gateway-2", "runner", "inference", "worker", "prefect", "mlflow")


@pytest.mark.timeout(1800)
def test_kill_9_of_every_process_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    studies = radiographs(SENDS)
    dice, stop = random.Random(7), threading.Event()
    with town(tmp_path / "home", "AA") as world:

        def reap() -> None:
            while not stop.wait(dice.uniform(0.5, 3.0)):
                kill(world.house, dice.choice(VICTIMS))

        reaper = threading.Thread(target=reap)
        reaper.start()
        try:
            sent = send_until_acknowledged(studies, world.port, 600)
        finally:
            stop.set()
            reaper.join()
        uids = list(sent.acknowledged)
        rows = world.house.answered(uids, 240)
        assert len(uids) == SENDS
        assert all(len(rows[uid]["results"]) == 1 and rows[uid]["version"] == 1 for uid in uids)
        assert {uid: len(ids) for uid, ids in oru_per_study(world.ris.received).items()} == dict.fromkeys(uids, 1)
        assert len(world.pacs.instances) == 2 * SENDS
        world.house.cli("audit", "verify")


def test_a_dead_pacs_delays_no_other_peer_and_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    port, dead = free_port(), free_port()
    settings = PORTS.replace("dicom_port = 0", f"dicom_port = {port}")
    away = Orthanc(dead, "ORTHANC", 0)
    with (
        mllp_peer("AA") as ris,
        fhir_peer() as ehr,
        house(tmp_path / "home", peers(away, ris, ehr), settings) as opened,
    ):
        (ds,) = radiographs(1)
        send_until_acknowledged([ds], port, 30)
        uid = str(ds.StudyInstanceUID)
        until(lambda: len(ris.received) == 1 and len(ehr.received) == 1, 30, opened.brief)
        assert {d["state"] for d in opened.studies()[uid]["deliveries"] if d["peer"] == "pacs"} <= {"QUEUED", "SENT"}
        with orthanc(port=dead) as pacs:
            opened.answered([uid], 60)
            assert len(pacs.instances) == 2
        assert len(ris.received) == 1
