"""The flow `retrain`: a cohort of phantoms becomes a signed challenger; cut short, it goes on; done, it is done."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows import provenance, retrain, training_child
from flows.house import House
from models.bundles import public_key, verify
from models.training.order import unpack
from models.training.retrain import Step
from radloop.domain.enums import RunState, Standing
from radloop.domain.errors import NotFound, Permanent, Rejected, Unavailable
from radloop.domain.learning import Cohort
from radloop.ledger import models, training_runs
from radloop.store import Keyring
from tests.flows import training_town as town

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(town.order, "RECIPES", town.tiny())
    # The sources of a checkout may change between two runs of a test.
    monkeypatch.setattr(provenance, "build", lambda: "test-build")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "phantoms"
    town.write_set(folder)
    return folder


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = town.make_home(tmp_path / "home")
    yield opened
    opened.ledger.close()


@pytest.fixture
def cohort(house: House, images: Path) -> Cohort:
    return town.freeze(house, images)


def audit_of(house: House) -> list[str]:
    with house.ledger.read() as conn:
        rows = conn.exec_driver_sql("SELECT action FROM audit_events WHERE object_kind = 'training' ORDER BY at, id")
        return [str(action) for (action,) in rows]


def folder_of(house: House) -> Path:
    (folder,) = (path for path in house.settings.training_path.iterdir() if path.is_dir())
    return folder


def test_a_cohort_becomes_a_signed_challenger_once(house: House, cohort: Cohort) -> None:
    told: list[Step] = []
    run = retrain.retrain(house, town.MODEL, "anna", cohort.id, told=told.append)
    assert (run.state, run.actor, run.cohort_id, run.device.split()[0]) == (RunState.DONE, "anna", cohort.id, "cpu")
    assert [(step.member, step.epoch) for step in told] == [(1, 1), *((m, e) for m in (2, 3, 4) for e in (1, 2))]
    with house.ledger.read() as conn:
        champion = models.champion(conn, town.MODEL)
        assert run.digest is not None
        challenger = models.get(conn, run.digest)
        assert training_runs.of_digest(conn, run.digest) == run
    assert champion is not None
    assert challenger is not None
    assert run.parent == champion.digest
    assert (challenger.version, challenger.standing) == ("1.1.0", Standing.CHALLENGER)
    installed = house.settings.models_path / town.MODEL / run.digest
    assert verify(installed, public_key(Keyring.load(house.settings.keys_path).signing_key)) == run.digest
    said = json.loads((installed / "docs" / "metrics.json").read_text())
    assert (said["cohort"], said["origin"]["train"]) == (cohort.digest, {"phantoms": 32})
    assert audit_of(house) == ["training.begin", "training.finish"]
    # The same work again is not done again.
    assert retrain.retrain(house, town.MODEL, "ben", cohort.digest, told=told.append) == run
    assert len(told) == 7
    assert audit_of(house) == ["training.begin", "training.finish"]


@pytest.mark.campaign
def test_a_training_process_that_is_killed_is_noticed_and_the_next_try_goes_on(house: House, cohort: Cohort) -> None:
    def kill_the_child(step: Step) -> None:
        if step.member == 2:
            (child,) = children()
            os.kill(child, signal.SIGKILL)

    with pytest.raises(Unavailable, match="goes on where it was"):
        retrain.retrain(house, town.MODEL, "anna", cohort.id, told=kill_the_child)
    with house.ledger.read() as conn:
        (cut,) = training_runs.running(conn, town.MODEL)
    told: list[Step] = []
    run = retrain.retrain(house, town.MODEL, "anna", cohort.id, told=told.append)
    assert (run.id, run.state) == (cut.id, RunState.DONE)
    assert (2, 1) not in [(step.member, step.epoch) for step in told]
    assert audit_of(house) == ["training.begin", "training.resume", "training.finish"]


def children() -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "models.training.worker"], capture_output=True, text=True, check=False)  # fmt: skip  # noqa: E501
    return [int(line) for line in found.stdout.split()]


@pytest.mark.campaign
def test_a_flow_that_is_killed_takes_its_training_along_and_the_next_one_resumes(
    house: House, cohort: Cohort, tmp_path: Path
) -> None:
    script = [sys.executable, "-m", "tests.flows.drive_retrain", str(house.settings.home), cohort.id]
    process = subprocess.Popen(script, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["1 1", "2 1"]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        assert process.stdout.read() == "" or process.returncode == -9
        process.stdout.close()
    told: list[Step] = []
    run = retrain.retrain(house, town.MODEL, "ben", cohort.id, told=told.append)
    assert run.state is RunState.DONE
    assert run.actor == "anna", "the run stays that of who began it"
    assert (2, 1) not in [(step.member, step.epoch) for step in told]
    with house.ledger.read() as conn:
        assert len(training_runs.known(conn)) == 1


def test_a_training_that_is_refused_fails_on_record_and_says_why(
    house: House, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "train", refuse)
    with pytest.raises(Permanent, match="no reason"):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    with house.ledger.read() as conn:
        (run,) = training_runs.known(conn)
    assert run.state is RunState.FAILED
    assert run.ended_at is not None
    assert audit_of(house) == ["training.begin", "training.fail"]


def refuse(*_: object) -> Path:
    raise Permanent("training was refused: for no reason")


def test_other_work_takes_the_place_of_a_run_that_died(
    house: House, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "train", die)
    with pytest.raises(Unavailable):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    with pytest.raises(Unavailable):
        retrain.retrain(house, town.MODEL, "anna", cohort.id, from_scratch=True)
    with house.ledger.read() as conn:
        scratch, first = training_runs.known(conn)
    assert (first.state, scratch.state, scratch.parent) == (RunState.FAILED, RunState.RUNNING, None)
    order = unpack((house.settings.training_path / scratch.id / "order.json").read_bytes())
    assert order.plan == town.TINY.schedule


def die(*_: object) -> Path:
    raise Unavailable("killed")


def test_one_training_of_a_model_at_a_time(house: House, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(*_: object) -> Path:
        with pytest.raises(Unavailable, match="just now"):
            retrain.retrain(house, town.MODEL, "ben", cohort.id)
        raise Unavailable("killed")

    monkeypatch.setattr(retrain, "train", meanwhile)
    with pytest.raises(Unavailable, match="killed"):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)


def test_a_cut_run_keeps_the_version_that_it_was_promised(
    house: House, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "train", die)
    with pytest.raises(Unavailable):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    promised = (folder_of(house) / "order.json").read_bytes()
    monkeypatch.setattr(retrain, "next_version", lambda _: "7.0.0")
    with pytest.raises(Unavailable):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    assert (folder_of(house) / "order.json").read_bytes() == promised


def test_a_champion_that_was_tampered_with_is_not_trained_from(house: House, cohort: Cohort) -> None:
    with house.ledger.read() as conn:
        champion = models.champion(conn, town.MODEL)
    assert champion is not None
    weights = house.settings.models_path / town.MODEL / champion.digest / "models" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(Rejected):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    with house.ledger.read() as conn:
        assert [run.state for run in training_runs.known(conn)] == [RunState.FAILED]


def test_a_cohort_of_another_model_and_an_unknown_model_are_refused(house: House, cohort: Cohort) -> None:
    with pytest.raises(NotFound):
        retrain.retrain(house, "nothing", "anna", cohort.id)
    with pytest.raises(NotFound):
        retrain.retrain(house, town.MODEL, "anna", "co_nothing")


def test_a_schedule_trains_from_enough_overrides_on_and_goes_on_with_what_was_cut(
    house: House, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def remember(_house: House, _model: str, actor: str, cohort: str | None = None) -> object:
        asked.append(cohort)
        assert actor == "worker"
        return replace(cut, state=RunState.DONE, digest="d" * 64)

    assert retrain.retrain_due(house, town.MODEL) == "0 of 3 new overrides: not yet"
    monkeypatch.setattr(retrain, "train", die)
    with pytest.raises(Unavailable):
        retrain.retrain(house, town.MODEL, "anna", cohort.id)
    with house.ledger.read() as conn:
        (cut,) = training_runs.running(conn, town.MODEL)
    monkeypatch.setattr(retrain, "retrain", remember)
    assert "DONE" in retrain.retrain_due(house, town.MODEL)
    with house.ledger.write() as conn:
        training_runs.fail(conn, cut.id, cut.at)
    monkeypatch.setattr(retrain.verdict_rows, "overrides_since", lambda *_: 3)
    assert "DONE" in retrain.retrain_due(house, town.MODEL)
    assert asked == [cohort.id, None]


def test_the_next_version_is_the_next_minor_one() -> None:
    assert retrain.next_version([]) == "1.0.0"
    assert retrain.next_version(["1.0.0", "1.2.0", "1.10.3", "site-build"]) == "1.11.0"


def test_lines_that_a_library_prints_are_not_taken_for_steps() -> None:
    assert training_child._parsed("Setting OMP_NUM_THREADS") == {}
    assert training_child._parsed("[1, 2]") == {}
