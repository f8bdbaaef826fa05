"""What Prefect sees of the runner and runs by the clock: a real server, one for all of these."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows import schedules
from flows.house import House
from flows.schedules import ScheduleRow
from radloop.domain.errors import NotFound, Rejected, Unavailable
from radloop.ledger import audit_reports, checks, instances, reports
from radloop.settings import Schedule
from tests.clock import until
from tests.flows import place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import fake_inference
from tests.flows.prefects import prefect_server
from tests.flows.runners import ROOT, kill, runner
from tests.peers.dicom_files import part10
from tests.peers.mllp import mllp_peer

pytestmark = pytest.mark.timeout(240)
RIS = '[peers.ris]\nmllp = "{address}"\nroles = ["reports"]\n'


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as port:
        yield port


def ask(port: int, what: str, **body: Any) -> Any:
    """A question to Prefect's own REST interface."""
    answer = httpx.post(f"http://127.0.0.1:{port}/api/{what}", json=body, trust_env=False, timeout=20.0)
    return answer.raise_for_status().json()


def test_a_study_and_its_deliveries_are_shown_under_our_own_ids_alone(server: int, tmp_path: Path) -> None:
    token = "ZQTOKEN"
    with mllp_peer("AA") as ris:
        house = place.make_home(tmp_path / "home", prefect=server, more=RIS.format(address=ris.address))
        ds = place.chest_study(7, PatientName=f"{token}^A", PatientID=token, AccessionNumber=token)
        with fake_inference(house.store) as service, runner(house.settings.home):
            announce_fake(house, service)
            state = house.settings.home / "run" / "runner-state.json"
            until(lambda: '"up"' in state.read_text(), 60)
            place.arrive(house, ds)
            until(lambda: ris.received != [], 30)
            until(lambda: len(ask(server, "flow_runs/filter")) >= 2, 60)
            until(lambda: {one["state_type"] for one in ask(server, "flow_runs/filter")} == {"COMPLETED"}, 60)
        runs, tasks = ask(server, "flow_runs/filter"), ask(server, "task_runs/filter")
        with house.ledger.read() as conn:
            (row,) = reports.study_rows(conn)
        assert row["state"] == "ANSWERED"
    text = repr((runs, tasks, ask(server, "logs/filter"), ask(server, "flows/filter")))
    assert token not in text
    assert str(ds.StudyInstanceUID) not in text
    assert str(ds.SOPInstanceUID) not in text
    assert any(one["name"].startswith("sv_") for one in tasks)
    assert any(one["name"] == "to ris" for one in tasks)
    house.ledger.close()


SCHEDULES = """
[schedules.night]
flow = "ingest"
cron = "0 3 * * *"
folder = "{folder}"
[schedules.look]
flow = "watch"
cron = "0 4 * * *"
paused = true
[schedules.quarter]
flow = "audit"
cron = "0 6 1 1,4,7,10 *"
[schedules.tidy]
flow = "retain"
cron = "0 2 * * *"
"""


@pytest.fixture
def worker(server: int, tmp_path: Path) -> Iterator[House]:
    """A house whose worker is ready."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.dcm").write_bytes(part10(place.chest_study(1)))
    house = place.make_home(tmp_path / "home", prefect=server, more=SCHEDULES.format(folder=folder))
    argv = [sys.executable, "-m", "flows.worker", "--home", str(house.settings.home)]
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        until(lambda: (house.settings.home / "run" / "worker.json").exists() or process.poll() is not None, 90)
        assert process.poll() is None
        yield house
    finally:
        kill(process)
        house.ledger.close()


def test_schedules_are_listed_made_paused_resumed_run_and_removed_while_the_worker_runs(worker: House) -> None:
    rows = {row.name: row for row in shown(worker)}
    assert {name: (row.flow, row.cron, row.paused) for name, row in rows.items()} == {
        "look": ("watch", "0 4 * * *", True),
        "night": ("ingest", "0 3 * * *", False),
        "quarter": ("audit", "0 6 1 1,4,7,10 *", False),
        "tidy": ("retain", "0 2 * * *", False),
    }
    house = (worker.settings, worker.ledger)
    for name in ("night", "quarter", "tidy"):
        schedules.pause(*house, name, "ann")
    assert {row.paused for row in shown(worker)} == {True}
    for name in ("night", "quarter", "tidy"):
        schedules.resume(*house, name, "ann")
    with pytest.raises(NotFound):
        schedules.pause(*house, "nobody", "ann")
    # One that is made while the worker runs; Prefect's own scheduler looks every five seconds for what is new.
    schedules.add(*house, "often", Schedule(flow="watch", cron="*/5 * * * *"), "ann")
    until(lambda: often(worker).next_at is not None, 60)
    assert (often(worker).source, often(worker).registered, often(worker).paused) == ("console", True, False)
    for name in (*rows, "often"):
        schedules.run_now(*house, name, "ann")
    until(lambda: _ended(worker), 150)
    assert {row.last_state for row in shown(worker)} == {"Completed"}
    with pytest.raises(Rejected, match=r"radloop\.toml"):
        schedules.remove(*house, "night", "bob")
    schedules.remove(*house, "often", "bob")
    until(lambda: "often" not in {one["name"] for one in ask(worker.settings.prefect.port, "deployments/filter")}, 20)
    with worker.ledger.read() as conn:
        assert instances.count(conn) == 1
        assert checks.latest(conn, 1) != ()
        (report,) = audit_reports.known(conn)
    assert (report.end - report.start, report.actor) == (timedelta(days=90), "audit")


def shown(house: House) -> tuple[ScheduleRow, ...]:
    found = schedules.show(house.settings, house.ledger)
    assert found.prefect
    return found.rows


def often(house: House) -> ScheduleRow:
    (row,) = (one for one in shown(house) if one.name == "often")
    return row


def _ended(house: House) -> bool:
    time.sleep(1.0)
    return all(row.last_state in ("Completed", "Failed", "Crashed") for row in shown(house))


def test_schedules_are_shown_and_the_server_said_to_be_away_where_it_is(house: House) -> None:
    schedules.add(house.settings, house.ledger, "night", Schedule(flow="watch", cron="0 3 * * *"), "ann")
    found = schedules.show(house.settings, house.ledger)
    assert (found.prefect, [(row.name, row.registered) for row in found.rows]) == (False, [("night", False)])
    with pytest.raises(Unavailable):
        schedules.run_now(house.settings, house.ledger, "night", "ann")
