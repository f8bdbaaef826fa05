"""`radloop evaluate` and `radloop evaluations`: a verdict per gate, with its interval, for people and programs."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from radloop.domain.enums import GateOutcome, Qualification, Standing
from radloop.domain.learning import Evaluation, GateVerdict
from radloop.domain.records import ModelVersion
from radloop.ledger import evaluations, models
from serving.cli.desk import Desk, system_user
from tests.radloop.ledger.rows import NOW
from tests.radloop.ledger.test_evaluations import cohort, look
from tests.serving.cli.conftest import cli

AUC = GateVerdict(
    gate="auc_champion", outcome=GateOutcome.PASS, value=0.01, low=-0.02, high=0.04, margin=0.05, n=400, words="within"
)
FEW = replace(AUC, gate="ece", outcome=GateOutcome.INSUFFICIENT_EVIDENCE, value=None, low=None, high=None, words="few")
VERSION = ModelVersion(
    name="m", version="1.1.0", digest="d" * 64, standing=Standing.CHALLENGER, qualification=Qualification.RESEARCH
)
Asked = list[tuple[object, ...]]


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """The flow is asked in name only: what it was asked is kept, and it says PASS for cohort `good`."""
    questions: Asked = []

    def evaluate(_: object, model: str, digest: str, actor: str, name: str | None) -> Evaluation:
        questions.append((model, digest, actor, name))
        good = name == "good"
        return replace(
            look(name or "newest"),
            outcome=GateOutcome.PASS if good else GateOutcome.INSUFFICIENT_EVIDENCE,
            gates=(AUC,) if good else (AUC, FEW),
        )

    monkeypatch.setattr("flows.promote.evaluate", evaluate)
    with desk.ledger.write() as conn:
        models.register(conn, VERSION)
    yield questions


def test_a_version_is_meant_by_its_number_or_the_beginning_of_its_digest_in_the_name_of_who_asks(
    desk: Desk, asked: Asked
) -> None:
    assert cli(desk, "evaluate", "m", "1.1.0", "--cohort", "good").exit_code == 0
    assert cli(desk, "evaluate", "m", "dddd", "--cohort", "good").exit_code == 0
    assert asked == [("m", "d" * 64, system_user(), "good")] * 2
    assert cli(desk, "evaluate", "m", "9.9.9").exit_code == 4


def test_every_gate_is_shown_with_its_interval_and_what_did_not_pass_ends_with_one(desk: Desk, asked: Asked) -> None:
    found = cli(desk, "evaluate", "m", "1.1.0")
    assert found.exit_code == 1
    for word in ("auc_champion", "-0.020 to 0.040", "INSUFFICIENT_EVIDENCE", "few", "95.00 %"):
        assert word in found.output
    told = json.loads(cli(desk, "evaluate", "m", "1.1.0", "--json").output)
    assert told["outcome"] == "INSUFFICIENT_EVIDENCE"
    assert [(gate["gate"], gate["low"]) for gate in told["gates"]] == [("auc_champion", -0.02), ("ece", None)]


def test_the_looks_are_listed_the_newest_first_and_one_that_was_cut_short_says_so(desk: Desk) -> None:
    name = cohort(desk.ledger, "one", range(3))
    first, second = look(name, 1), look(name, 2, at=NOW.replace(year=2027))
    with desk.ledger.write() as conn:
        evaluations.add(conn, first)
        evaluations.add(conn, second)
        evaluations.conclude(conn, first.id, GateOutcome.INSUFFICIENT_EVIDENCE, [AUC, FEW])
    listed = json.loads(cli(desk, "evaluations", "m", "--json").output)
    assert [one["look"] for one in listed] == [2, 1]
    table = cli(desk, "evaluations").output
    assert "cut short" in table
    assert "ece" in table
    assert json.loads(cli(desk, "evaluations", "other", "--json").output) == []
