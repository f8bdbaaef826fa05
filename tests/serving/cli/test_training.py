"""`radloop retrain` and `radloop runs`."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from models.training.retrain import Step
from radloop.domain.enums import RunState
from radloop.domain.errors import Unavailable
from radloop.domain.learning import TrainingRun
from radloop.ledger import models, training_runs
from serving.cli.desk import Desk, system_user
from tests.radloop.ledger.rows import MODEL, NOW
from tests.radloop.ledger.test_evaluations import cohort
from tests.radloop.ledger.test_training_runs import run
from tests.serving.cli.conftest import cli

DONE = replace(run(), state=RunState.DONE, digest=MODEL.digest, ended_at=NOW)


def trained(asked: list[object]) -> Callable[..., TrainingRun]:
    def retrain(
        _: object, model: str, actor: str, cohort: str | None, *, from_scratch: bool, told: Callable[[Step], None]
    ) -> TrainingRun:
        asked.append((model, actor, cohort, from_scratch))
        told(Step(member=1, members=2, epoch=1, epochs=1, loss=None, auc=None))
        told(Step(member=2, members=2, epoch=1, epochs=8, loss=0.5, auc=0.75))
        return DONE

    return retrain


def test_retraining_tells_how_far_it_is_and_what_came_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("flows.retrain.retrain", trained(asked))
    done = cli(desk, "retrain", "cxr", "--cohort", "co", "--from-scratch")
    assert done.exit_code == 0, done.output
    assert "member 2 of 2, epoch 1 of 8: loss 0.5000, AUC on validation 0.750" in done.output
    assert MODEL.digest in done.output
    assert asked == [("cxr", system_user(), "co", True)]
    said = json.loads(cli(desk, "retrain", "cxr", "--json").stdout)
    assert (said["id"], said["state"], said["digest"]) == (DONE.id, "DONE", MODEL.digest)
    assert asked[1] == ("cxr", system_user(), None, False)


def test_a_training_that_was_killed_says_that_it_can_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> TrainingRun:
        raise Unavailable("start it again, it goes on where it was")

    monkeypatch.setattr("flows.retrain.retrain", killed)
    done = cli(desk, "retrain", "cxr")
    assert done.exit_code != 0
    assert "goes on" in done.output


def test_runs_are_listed(desk: Desk) -> None:
    cohort(desk.ledger, "co", range(1))
    with desk.ledger.write() as conn:
        models.register(conn, MODEL)
        training_runs.begin(conn, run())
        training_runs.finish(conn, "tr_1", MODEL.digest, NOW)
    (said,) = json.loads(cli(desk, "runs", "--json").stdout)
    assert (said["id"], said["model"], said["digest"], said["threads"]) == ("tr_1", "cxr", MODEL.digest, 2)
    assert json.loads(cli(desk, "runs", "other", "--json").stdout) == []
    assert "tr_1" in cli(desk, "runs", "cxr").output
