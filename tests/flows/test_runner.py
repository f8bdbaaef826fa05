"""The real runner process: it answers, it is killed, it comes back, and it stops when asked."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.house import House
from radloop.audit import verify
from radloop.ledger import reports
from radloop.ledger.reports import StudyRow
from radloop.store import Keyring
from tests.clock import until
from tests.flows import place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import FakeInference, fake_inference
from tests.flows.runners import ROOT, kill, runner
from tests.peers.fhir import FhirPeer, fhir_peer
from tests.peers.mllp import MllpPeer, mllp_peer
from tests.peers.sockets import hostile, silent

PEERS = """
[peers.ris]
mllp = "{ris}"
roles = ["reports"]
[peers.ehr]
fhir = "{ehr}"
roles = ["reports"]
"""


@dataclass(frozen=True)
class Hospital:
    """A home, and everyone around it."""

    house: House
    service: FakeInference
    ris: MllpPeer
    ehr: FhirPeer

    @property
    def home(self) -> Path:
        return self.house.settings.home

    def studies(self) -> list[StudyRow]:
        with self.house.ledger.read() as conn:
            return reports.study_rows(conn)

    def all_delivered(self, count: int) -> bool:
        rows = self.studies()
        return len(rows) == count and all(_delivered(row) for row in rows)


def _delivered(row: StudyRow) -> bool:
    return bool(row["deliveries"]) and all(one["state"] == "ACCEPTED" for one in row["deliveries"])


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    with mllp_peer("AA") as ris, fhir_peer() as ehr:
        house = place.make_home(tmp_path / "home", more=PEERS.format(ris=ris.address, ehr=ehr.url))
        with fake_inference(house.store) as service:
            announce_fake(house, service)
            yield Hospital(house, service, ris, ehr)
        house.ledger.close()


def test_a_study_is_answered_and_delivered_while_prefect_is_away(hospital: Hospital) -> None:
    with runner(hospital.home):
        place.arrive(hospital.house, place.chest_study(1))
        until(lambda: hospital.all_delivered(1), 30)
        assert len(hospital.ris.received) == 1
        assert len(hospital.ehr.received) == 1
        state = json.loads((hospital.home / "run" / "runner-state.json").read_text())
        assert state == {"prefect": "away"}
    assert "prefect is away" in (hospital.home / "runner.log").read_text()


def test_a_hung_prefect_delays_no_study(tmp_path: Path) -> None:
    with hostile(silent) as port, mllp_peer("AA") as ris, fhir_peer() as ehr:
        more = PEERS.format(ris=ris.address, ehr=ehr.url)
        house = place.make_home(tmp_path / "home", prefect=port, more=more)
        with fake_inference(house.store) as service:
            announce_fake(house, service)
            with runner(house.settings.home):
                place.arrive(house, place.chest_study(1))
                until(lambda: ris.received != [], 20)
        house.ledger.close()


def test_a_killed_runners_study_resumes_within_ten_seconds_of_the_kill(hospital: Hospital) -> None:
    hospital.service.delay = 3.0
    with runner(hospital.home) as first:
        place.arrive(hospital.house, place.chest_study(1))
        until(lambda: bool(hospital.service.questions), 20)
        kill(first)
    killed = time.monotonic()
    hospital.service.delay = 0.0
    asked = len(hospital.service.questions)
    with runner(hospital.home):
        until(lambda: hospital.all_delivered(1), 30)
    assert hospital.service.asked_at[asked] - killed < 10
    (row,) = hospital.studies()
    assert len(row["results"]) == 1
    assert len(hospital.ris.received) == 1


def test_kills_at_random_moments_lose_and_double_nothing(hospital: Hospital) -> None:
    count, chance = 12, random.Random(20261124)
    hospital.service.delay = 0.1
    place.arrive(hospital.house, *(place.chest_study(seed) for seed in range(1, count + 1)))
    for _ in range(3):
        with runner(hospital.home) as process:
            time.sleep(chance.uniform(0.3, 2.0))
            kill(process)
    with runner(hospital.home):
        until(lambda: hospital.all_delivered(count), 60)
    assert [len(row["results"]) for row in hospital.studies()] == [1] * count
    sent = [message.split(b"|")[9] for message in hospital.ris.received]
    assert len(set(sent)) == count, "a resend keeps its identifier"
    by_id = {identifier: {m for m in hospital.ris.received if identifier in m} for identifier in sent}
    assert all(len(messages) == 1 for messages in by_id.values()), "a resend keeps its bytes"
    verdict = _verify_audit(hospital.house)
    assert verdict is None


def test_a_second_runner_refuses_to_start(hospital: Hospital) -> None:
    with runner(hospital.home) as first:
        second = subprocess.run(
            [sys.executable, "-m", "tests.flows.drive_runner", "--home", str(hospital.home)],
            cwd=ROOT,
            timeout=60,
            check=False,
            capture_output=True,
        )
        assert second.returncode == 1
        assert b"another runner" in second.stderr
        assert first.poll() is None


def test_sigterm_finishes_what_is_under_way_and_leaves_nothing_claimed(hospital: Hospital) -> None:
    hospital.service.delay = 1.0
    with runner(hospital.home) as process:
        place.arrive(hospital.house, place.chest_study(1))
        until(lambda: bool(hospital.service.questions), 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert hospital.studies()[0]["state"] == "ANSWERED"


def test_sigterm_gives_back_what_takes_too_long(hospital: Hospital) -> None:
    hospital.service.delay = 12.0
    with runner(hospital.home) as process:
        place.arrive(hospital.house, place.chest_study(1))
        until(lambda: bool(hospital.service.questions), 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert hospital.studies()[0]["state"] == "COMPLETE"


def test_a_study_waits_in_sight_while_inference_is_away_and_is_answered_when_it_is_back(hospital: Hospital) -> None:
    hospital.service.status = 503
    with runner(hospital.home):
        place.arrive(hospital.house, place.chest_study(1))
        until(lambda: [row["reason"] for row in hospital.studies()] == ["AI unavailable"], 30)
        hospital.service.status = 200
        until(lambda: hospital.all_delivered(1), 20)
    assert len(hospital.ris.received) == 1


def test_no_identifier_of_a_patient_reaches_the_log(hospital: Hospital) -> None:
    token = "ZQTOKEN"
    ds = place.chest_study(
        1,
        PatientName=f"{token}^Name",
        PatientID=f"{token}-1",
        AccessionNumber=f"{token}2",
        StudyDescription=f"{token} text",
        BodyPartExamined="CHEST",
    )
    hospital.service.status = 503
    with runner(hospital.home):
        place.arrive(hospital.house, ds, place.chest_study(2, BodyPartExamined=f"{token}"))
        until(lambda: sum(row["reason"] is not None for row in hospital.studies()) == 2, 30)
        hospital.service.status = 200
        until(lambda: hospital.ris.received != [], 20)
        time.sleep(0.3)
    log = (hospital.home / "runner.log").read_text()
    assert token not in log
    assert str(ds.StudyInstanceUID) not in log
    assert str(ds.SOPInstanceUID) not in log


def _verify_audit(house: House) -> str | None:
    key = Keyring.load(house.settings.keys_path).audit_key
    return verify(house.ledger, key, house.settings.audit_anchor).fault
