"""What must happen when things break, in a whole house. `make campaign` runs the kills with 200 sends."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from radloop.process import free_port
from tests.acceptance.conftest import World, peers
from tests.acceptance.house import PORTS, House, house, wait_for
from tests.acceptance.load import oru_per_study, radiographs, send_until_acknowledged
from tests.peers.fhir import fhir_peer
from tests.peers.mllp import MllpPeer, mllp_peer
from tests.peers.orthanc import Orthanc, orthanc

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

CAMPAIGN_SENDS = {"full": 200, "small": 40}[os.environ.get("RADLOOP_CAMPAIGN", "full")]
VICTIMS = ("gateway", "runner", "inference", "worker", "prefect", "mlflow")


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
    with suppress(ProcessLookupError, StopIteration):
        os.kill(next(pid for known, pid in opened.pids().items() if known.startswith(name)), signal.SIGKILL)


@pytest.mark.parametrize(
    "sends", [12, pytest.param(CAMPAIGN_SENDS, marks=[pytest.mark.campaign, pytest.mark.timeout(1800)])]
)
def test_kill_9_of_every_process_at_random_moments_loses_and_doubles_nothing(tmp_path: Path, sends: int) -> None:
    studies = radiographs(sends)
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
        assert len(uids) == sends
        assert all(len(rows[uid]["results"]) == 1 and rows[uid]["version"] == 1 for uid in uids)
        assert {uid: len(ids) for uid, ids in oru_per_study(world.ris.received).items()} == dict.fromkeys(uids, 1)
        assert len(world.pacs.instances) == 2 * sends
        world.house.cli("audit", "verify")


def test_a_killed_runners_study_resumes_within_10_seconds(tmp_path: Path) -> None:
    with town(tmp_path / "home", "AA") as world:
        (ds,) = radiographs(1)
        send_until_acknowledged([ds], world.port, 30)
        uid = str(ds.StudyInstanceUID)
        wait_for(lambda: world.house.studies()[uid]["state"] in ("COMPLETE", "READING"), 10)
        kill(world.house, "runner")
        killed = time.monotonic()
        row = world.house.answered([uid], 30, delivered=False)[uid]
        took = time.monotonic() - killed
        assert len(row["results"]) == 1
        assert took < 12, "10 s, and two for the polling of this test"


def test_while_the_model_server_is_away_a_study_shows_it_and_sends_nothing(tmp_path: Path) -> None:
    with town(tmp_path / "home", "AA") as world:
        inference = world.house.pids()["inference"]
        os.kill(inference, signal.SIGSTOP)
        (ds,) = radiographs(1)
        send_until_acknowledged([ds], world.port, 30)
        uid = str(ds.StudyInstanceUID)
        time.sleep(4)
        row = world.house.studies()[uid]
        assert (row["results"], row["deliveries"]) == ([], [])
        assert row["state"] in ("COMPLETE", "READING")
        kill(world.house, "inference")
        row = world.house.answered([uid], 90)[uid]
        assert len(row["results"]) == 1


def test_each_word_of_a_ris_leads_where_it_must(tmp_path: Path) -> None:
    with town(tmp_path / "home", "AR", "GARBAGE", "AA") as world:
        (retried,) = radiographs(1)
        send_until_acknowledged([retried], world.port, 30)
        world.house.answered([str(retried.StudyInstanceUID)], 60)
        assert {len(ids) for ids in oru_per_study(world.ris.received).values()} == {1}
        assert len(world.ris.received) >= 3
        parked(world, world.ris, "AE", tries=3)
        parked(world, world.ris, "CR", tries=1)


def parked(world: World, ris: MllpPeer, word: str, tries: int) -> None:
    """A study whose ORU is answered with `word` is parked after so many tries, and `queue resend` frees it."""
    ris.script[:] = [word]
    (ds,) = radiographs(1)
    uid = str(ds.StudyInstanceUID)
    send_until_acknowledged([ds], world.port, 30)

    def oru() -> dict[str, object]:
        rows = world.house.studies()
        found = [d for d in rows.get(uid, {"deliveries": []})["deliveries"] if d["kind"] == "ORU"]
        return found[0] if found else {"state": None}

    wait_for(lambda: oru()["state"] == "PARKED", 60, lambda: str(oru()))
    assert oru()["attempts"] == tries
    ris.script[:] = ["AA"]
    (waiting,) = [d for d in world.house.json("queue") if d["state"] == "PARKED"]
    world.house.cli("queue", "resend", waiting["id"])
    world.house.answered([uid], 30)


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
        wait_for(lambda: len(ris.received) == 1 and len(ehr.received) == 1, 30, opened.brief)
        assert {d["state"] for d in opened.studies()[uid]["deliveries"] if d["peer"] == "pacs"} <= {"QUEUED", "SENT"}
        with orthanc(port=dead) as pacs:
            opened.answered([uid], 60)
            assert len(pacs.instances) == 2
        assert len(ris.received) == 1


def test_kill_9_of_the_supervisor_takes_every_process_with_it_and_a_restart_finds_its_ports_free(
    tmp_path: Path,
) -> None:
    port = free_port()
    settings = PORTS.replace("dicom_port = 0", f"dicom_port = {port}")
    with house(tmp_path / "home", "", settings) as opened:
        pids = opened.pids()
        parents = {int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in pids.values()}
        for parent in parents - {1, os.getpid()}:
            with suppress(ProcessLookupError):
                os.kill(parent, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), 10)
        opened.cli("up", "--wait")
        assert opened.json("status")["ready"]
        assert opened.dicom_port == port
