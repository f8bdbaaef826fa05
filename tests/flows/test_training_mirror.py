"""Training runs in MLflow: told once each, whenever it is there, without a word about anybody."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import training_mirror
from radloop.domain.errors import Unavailable
from radloop.ledger import Ledger, models, training_runs
from radloop.settings import Settings, load_settings
from tests.radloop.ledger.rows import MODEL, NOW
from tests.radloop.ledger.test_evaluations import cohort
from tests.radloop.ledger.test_training_runs import run

registry = pytest.importorskip("models.registry")

# MLflow leaves SQLite connections to the interpreter's end and warns of its own imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
COMMIT = "a" * 40
RECORD = {
    "version": "1.1.0",
    "validation": {"auc": {"value": 0.9, "low": 0.8, "high": 0.95}},
    "operating": {"threshold": 0.4},
    "data": {"train_images": 32},
    "origin": {"train": {"phantoms": 32}},
    "run": {"code": "c", "schedule.epochs": 2},
    "epochs": [{"member": 1, "epoch": n, "loss": 1 / n, "auc": 0.5 + n / 10} for n in (1, 2)],
}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "radloop.toml").write_text("")
    made = load_settings(home)
    ledger = Ledger(made.ledger_url)
    ledger.upgrade()
    cohort(ledger, "co", range(2))
    with ledger.write() as conn:
        models.register(conn, MODEL)
        training_runs.begin(conn, run(commit=f"{COMMIT}+0123456789ab"))
        training_runs.finish(conn, "tr_1", MODEL.digest, NOW)
        training_runs.begin(conn, run("tr_2", seed=2))
        training_runs.fail(conn, "tr_2", NOW)
        training_runs.begin(conn, run("tr_3", seed=3))
    ledger.close()
    folder = made.training_path / "tr_1"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(RECORD))
    yield made


@pytest.fixture
def manifest_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cohort's row of this test has no members to read."""
    monkeypatch.setattr(training_mirror.cohort_rows, "members_of", lambda _: ())


def test_runs_that_ended_are_told_once_with_parameters_measures_commit_and_cohort(
    settings: Settings, tmp_path: Path, manifest_less: None
) -> None:
    uri, artifacts = f"sqlite:///{tmp_path / 'mlflow.db'}", (tmp_path / "artifacts").as_uri()
    assert training_mirror.mirror_runs(settings, uri, artifacts) == 2
    assert training_mirror.mirror_runs(settings, uri, artifacts) == 0
    forget(settings)  # as if cut between telling MLflow and noting it
    assert training_mirror.mirror_runs(settings, uri, artifacts) == 2
    client = registry.MlflowClient(uri)
    experiment = client.get_experiment_by_name(registry.RUNS)
    told = {one.data.tags["radloop.run"]: one for one in client.search_runs([experiment.experiment_id])}
    assert {name: one.info.status for name, one in told.items()} == {"tr_1": "FINISHED", "tr_2": "FAILED"}
    done = told["tr_1"]
    assert done.data.tags["mlflow.source.git.commit"] == COMMIT
    assert done.data.tags["digest"] == MODEL.digest
    assert (
        done.data.params.items() >= {"cohort": "co", "threads": "2", "device": "cpu", "data.train_images": "32"}.items()
    )
    assert done.data.metrics["validation.auc.low"] == 0.8
    losses = client.get_metric_history(done.info.run_id, "loss.member_1")
    assert [(one.step, one.value) for one in losses] == [(1, 1.0), (2, 0.5)], "told twice, kept once"
    (given,) = done.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("cxr cohort", "co")
    assert "ann" not in str(done.to_dictionary()), "no name of a person"


def test_an_mlflow_that_is_away_leaves_the_runs_to_be_told_later(settings: Settings, manifest_less: None) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable):
            training_mirror.mirror_runs(settings, f"http://127.0.0.1:{unused.getsockname()[1]}")
    ledger = Ledger(settings.ledger_url)
    with ledger.read() as conn:
        assert len(training_runs.to_mirror(conn)) == 2
    ledger.close()
    assert training_mirror.main(["--home", str(settings.home)]) == 1, "no MLflow has announced itself"


def forget(settings: Settings) -> None:
    ledger = Ledger(settings.ledger_url)
    with ledger.write() as conn:
        conn.exec_driver_sql("UPDATE training_runs SET mlflow_run = NULL")
    ledger.close()
