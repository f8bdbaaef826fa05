"""What is away, slow or unwilling for a while, in one house that outlives it all."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import World
from tests.acceptance.load import oru_per_study, radiographs, send_until_acknowledged
from tests.acceptance.town import kill, town
from tests.clock import until
from tests.peers.mllp import MllpPeer

pytestmark = [pytest.mark.acceptance, pytest.mark.campaign, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with town(tmp_path_factory.mktemp("setbacks") / "home", "AA") as opened:
        yield opened


def test_a_killed_runners_study_resumes_within_10_seconds(world: World) -> None:
    inference = world.house.pids()["inference"]
    os.kill(inference, signal.SIGSTOP)
    (ds,) = radiographs(1)
    send_until_acknowledged([ds], world.port, 30)
    uid = str(ds.StudyInstanceUID)
    until(lambda: world.house.studies()[uid]["state"] == "READING", 20)
    kill(world.house, "runner")
    killed = time.monotonic()
    os.kill(inference, signal.SIGCONT)
    row = world.house.answered([uid], 30, delivered=False)[uid]
    took = time.monotonic() - killed
    assert len(row["results"]) == 1
    assert took < 12, "10 s, and two for the polling of this test"


def test_while_the_model_server_is_away_a_study_shows_it_and_sends_nothing(world: World) -> None:
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


def test_each_word_of_a_ris_leads_where_it_must(world: World) -> None:
    world.ris.script[:] = ["AR", "GARBAGE", "AA"]
    world.ris.received.clear()
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

    until(lambda: oru()["state"] == "PARKED", 60, lambda: str(oru()))
    assert oru()["attempts"] == tries
    ris.script[:] = ["AA"]
    (waiting,) = [d for d in world.house.json("queue") if d["state"] == "PARKED"]
    world.house.cli("queue", "resend", waiting["id"])
    world.house.answered([uid], 30)
