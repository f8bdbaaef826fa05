from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from radloop.domain.enums import RunState
from radloop.domain.errors import NotFound
from radloop.domain.learning import TrainingRun
from radloop.ledger import Ledger, models, training_runs
from tests.radloop.ledger.rows import MODEL, NOW
from tests.radloop.ledger.test_evaluations import cohort


def run(name: str = "tr_1", **changes: object) -> TrainingRun:
    made = TrainingRun(
        id=name,
        model=MODEL.name,
        cohort_id="co",
        parent=None,
        digest=None,
        state=RunState.RUNNING,
        commit="c",
        device="cpu",
        threads=2,
        processes=1,
        seed=20260101,
        mlflow_run=None,
        actor="ann",
        at=NOW,
        ended_at=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def known(ledger: Ledger) -> None:
    """A cohort to train on, and a version that came of it."""
    cohort(ledger, "co", range(2))
    with ledger.write() as conn:
        models.register(conn, MODEL)


def test_the_same_work_is_begun_once_and_given_back_while_it_runs_and_when_it_is_done(ledger: Ledger) -> None:
    with ledger.write() as conn:
        first = training_runs.begin(conn, run())
        assert training_runs.begin(conn, run("tr_2", actor="ben")) == first
        assert training_runs.finish(conn, first.id, MODEL.digest, NOW)
        done = training_runs.begin(conn, run("tr_3"))
    assert done == replace(first, state=RunState.DONE, digest=MODEL.digest, ended_at=NOW)


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"parent": "p" * 64}, {"commit": "d"}, {"device": "cuda"}, {"threads": 1}, {"processes": 2}],
    ids=lambda other: next(iter(other)),
)
def test_other_work_is_another_run(ledger: Ledger, other: dict[str, object]) -> None:
    with ledger.write() as conn:
        training_runs.begin(conn, run())
        assert training_runs.begin(conn, run("tr_2", **other)).id == "tr_2"
        assert len(training_runs.running(conn, MODEL.name)) == 2


def test_what_failed_or_came_to_a_version_that_nobody_knows_is_begun_anew(ledger: Ledger) -> None:
    with ledger.write() as conn:
        training_runs.begin(conn, run())
        assert training_runs.fail(conn, "tr_1", NOW)
        training_runs.begin(conn, run("tr_2"))
        training_runs.finish(conn, "tr_2", "e" * 64, NOW)
        assert training_runs.begin(conn, run("tr_3")).id == "tr_3"


def test_a_run_ends_once(ledger: Ledger) -> None:
    with ledger.write() as conn:
        training_runs.begin(conn, run())
        assert training_runs.finish(conn, "tr_1", MODEL.digest, NOW)
        assert not training_runs.finish(conn, "tr_1", "e" * 64, NOW)
        assert not training_runs.fail(conn, "tr_1", NOW)
        assert training_runs.get(conn, "tr_1").state is RunState.DONE
        with pytest.raises(NotFound):
            training_runs.get(conn, "tr_9")


def test_of_many_that_begin_the_same_work_at_once_one_begins_it(ledger: Ledger) -> None:
    def begin(number: int) -> str:
        with ledger.write() as conn:
            return training_runs.begin(conn, run(f"tr_{number}")).id

    with ThreadPoolExecutor(8) as threads:
        begun = set(threads.map(begin, range(8)))
    assert len(begun) == 1


def test_runs_are_found_by_version_by_model_and_by_what_mlflow_lacks(ledger: Ledger) -> None:
    with ledger.write() as conn:
        training_runs.begin(conn, run())
        training_runs.finish(conn, "tr_1", MODEL.digest, NOW)
        training_runs.begin(conn, run("tr_2", seed=2))
        training_runs.begin(conn, run("tr_3", seed=3))
        training_runs.fail(conn, "tr_3", NOW)
        found = training_runs.of_digest(conn, MODEL.digest)
        assert found is not None
        assert found.id == "tr_1"
        assert training_runs.of_digest(conn, "e" * 64) is None
        latest = training_runs.latest(conn, MODEL.name)
        assert latest is not None
        assert latest.id == "tr_2", "one that failed taught nothing"
        assert {one.id for one in training_runs.to_mirror(conn)} == {"tr_1", "tr_3"}
        training_runs.mirrored(conn, "tr_1", "abc")
        assert [one.id for one in training_runs.to_mirror(conn)] == ["tr_3"]
        assert len(training_runs.known(conn)) == len(training_runs.known(conn, MODEL.name)) == 3
        assert training_runs.known(conn, "other") == ()
