"""Promote: what a look finds, what it costs, and what is refused before it is taken."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from flows import promote
from flows.house import House, living_in
from models.change_plan import ChangePlan, read_plan
from models.runtime import WEIGHTS
from models.training.arrays import Arrays
from radloop.domain.enums import Awareness, GateOutcome, Split
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.learning import Cohort, Evaluation
from radloop.domain.records import ModelVersion
from radloop.ledger import checks, evaluations
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.tables import audit_events
from tests.flows import contestants, place
from tests.flows.contestants import MODEL

PASS, FAIL, INSUFFICIENT = GateOutcome.PASS, GateOutcome.FAIL, GateOutcome.INSUFFICIENT_EVIDENCE
SIZE = 240
"""Two versions that never err need 110 positives until a loss of 0.05 in sensitivity is ruled out with power."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A home that computes with one thread: several wait for each other on a busy machine."""
    opened = place.make_home(tmp_path / "home", more="[training]\nthreads = 1")
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan of the zoo, with fewer draws and golden images."""

    def shortened(model: str) -> ChangePlan:
        plan = read_plan(model)
        golden = plan.gates.golden.model_copy(update={"images": 2})
        draws = plan.resampling.model_copy(update={"draws": 1000})
        gates_of = plan.gates.model_copy(update={"golden": golden})
        return plan.model_copy(update={"gates": gates_of, "resampling": draws})

    monkeypatch.setattr(promote, "read_plan", shortened)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures come from memory instead of the store, which costs an fsync each."""

    def arrays(_: House, cohort: Cohort, split: Split) -> Arrays:
        members = tuple(member for member in cohort.members if member.split is split)
        small = contestants.pictures(members)
        labels = np.array([member.label.value for member in members], np.float32)
        groups = np.array([member.patient for member in members])
        return Arrays(small, small, labels, groups, tuple(member.facts for member in members))

    monkeypatch.setattr(promote, "load_arrays", arrays)


@pytest.fixture
def champion(house: House) -> Iterator[ModelVersion]:
    yield contestants.champion(house)


def look(house: House, version: ModelVersion, cohort: str | None = None) -> Evaluation:
    return promote.evaluate(house, MODEL, version.digest, "ann", cohort)


def gates(found: Evaluation) -> dict[str, GateOutcome]:
    return {one.gate: one.outcome for one in found.gates}


def audited(house: House, action: str) -> list[tuple[str, str, str]]:
    """Actor, object and words."""
    e = audit_events.c
    with house.ledger.read() as conn:
        query = select(e.actor, e.object_id, e.detail).where(e.action == action).order_by(e.at)
        return [tuple(row) for row in conn.execute(query)]


def looks(house: House) -> list[Evaluation]:
    with house.ledger.read() as conn:
        return list(evaluations.known(conn, MODEL))


def alarm(house: House, outcome: str, check: str = "kvp") -> None:
    now = utc_now()
    one = CheckOutcome(
        suite="acquisition",
        check=check,
        outcome=outcome,
        rows=10,
        unexpected=0,
        detail="",
        window_start=now - timedelta(hours=1),
        window_end=now,
    )
    with house.ledger.write() as conn:
        checks.add(conn, [one])


def test_an_equal_challenger_passes_every_gate_and_everything_is_on_record(
    house: House, champion: ModelVersion
) -> None:
    """With real training copies, from the store."""
    test_set = contestants.cohort(house, SIZE)
    alarm(house, "pass")
    found = look(house, contestants.version(house, "1.1.0"))
    assert {gate.gate: gate.words for gate in found.gates if gate.outcome is not PASS} == {}
    assert found.outcome is PASS
    assert (found.look, found.alpha, found.cohort_id) == (1, pytest.approx(0.025), test_set.id)
    assert (found.champion, found.original) == (champion.digest, champion.digest)
    assert {"signature", "change_scope", "blinded_labels", "label_balance", "golden", "latency", "drift"} < set(
        gates(found)
    )
    assert looks(house) == [found]
    assert [row[0] for row in audited(house, "model.look")] == ["ann"]
    assert audited(house, "model.evaluate") == [("ann", found.digest, "PASS")]
    assert contestants.champion_of(house) == champion


@pytest.mark.usefixtures("in_memory")
def test_a_challenger_trained_on_corrupted_labels_fails_with_the_gate_named(
    house: House, champion: ModelVersion
) -> None:
    contestants.cohort(house, SIZE, stored=False)
    found = look(house, contestants.version(house, "1.1.0", network=contestants.corrupted))
    assert found.outcome is FAIL
    assert gates(found)["auc_champion"] is FAIL
    assert gates(found)["auc_original"] is FAIL
    assert gates(found)["change_scope"] is PASS
    assert "auc_champion FAIL" in audited(house, "model.evaluate")[0][2]


@pytest.mark.usefixtures("in_memory")
def test_too_few_cases_are_insufficient_evidence(house: House, champion: ModelVersion) -> None:
    contestants.cohort(house, 30, stored=False)
    found = look(house, contestants.version(house, "1.1.0"))
    assert found.outcome is INSUFFICIENT
    assert gates(found)["auc_champion"] is INSUFFICIENT


@pytest.mark.usefixtures("in_memory")
def test_the_first_champion_is_held_against_floors(house: House) -> None:
    contestants.without_champion(house)
    contestants.cohort(house, SIZE, stored=False)
    found = look(house, contestants.version(house, "1.0.0"))
    assert (found.champion, found.original) == (None, None)
    assert gates(found)["auc_floor"] is PASS
    assert not {"auc_champion", "auc_original", "change_scope"} & set(gates(found))


@pytest.mark.usefixtures("in_memory")
def test_a_version_that_changes_what_the_plan_does_not_allow_fails(house: House, champion: ModelVersion) -> None:
    contestants.cohort(house, 30, stored=False)
    found = look(house, contestants.version(house, "1.1.0", card=lambda card: card.update(title="Anything")))
    assert gates(found)["change_scope"] is FAIL
    assert found.outcome is FAIL


@pytest.mark.usefixtures("in_memory")
def test_a_look_is_spent_before_anything_is_measured_and_the_next_one_has_half_the_alpha(
    house: House, champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    contestants.cohort(house, 30, stored=False)
    challenger = contestants.version(house, "1.1.0")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(promote, "judge", die)
        look(house, challenger)
    (spent,) = looks(house)
    assert (spent.look, spent.outcome, spent.gates) == (1, INSUFFICIENT, ())
    found = look(house, challenger)
    assert (found.look, found.alpha) == (2, pytest.approx(0.0125))


@pytest.mark.usefixtures("in_memory")
def test_when_the_alpha_of_a_test_set_is_spent_it_is_not_looked_at_again_also_not_under_a_new_name(
    house: House, champion: ModelVersion
) -> None:
    first = contestants.cohort(house, 30, stored=False)
    challenger = contestants.version(house, "1.1.0")
    taken = look(house, challenger)
    with house.ledger.write() as conn:
        for number in range(2, 6):
            evaluations.add(conn, replace(taken, id=f"ev_{number}", look=number, cohort_id=first.id))
    grown = contestants.cohort(house, 40, stored=False)
    with pytest.raises(Rejected, match="the alpha of this test set is spent"):
        look(house, challenger, grown.id)
    assert len(looks(house)) == 5
    assert "is spent" in audited(house, "model.evaluate.deny")[0][2]
    fresh = contestants.cohort(house, 30, stored=False, first=100)
    assert look(house, challenger, fresh.digest).look == 1


@pytest.mark.usefixtures("in_memory")
def test_asking_again_for_what_has_passed_costs_nothing_until_an_alarm_opens(
    house: House, champion: ModelVersion
) -> None:
    contestants.cohort(house, SIZE, stored=False)
    challenger = contestants.version(house, "1.1.0")
    passed = look(house, challenger)
    assert passed.outcome is PASS
    assert look(house, challenger) == passed
    alarm(house, "pass", check="view")
    alarm(house, "fail")
    found = look(house, challenger)
    assert (found.look, found.outcome, gates(found)["drift"]) == (2, FAIL, FAIL)


@pytest.mark.usefixtures("in_memory")
@pytest.mark.parametrize("awareness", [Awareness.SAW_AI, Awareness.CORRECTED])
def test_labels_that_are_not_blinded_are_refused_and_cost_no_look(
    house: House, champion: ModelVersion, awareness: Awareness
) -> None:
    contestants.cohort(house, 6, awareness=awareness, stored=False)
    with pytest.raises(Rejected, match="blinded"):
        look(house, contestants.version(house, "1.1.0"))
    assert looks(house) == []
    assert audited(house, "model.evaluate.deny")[0][0] == "ann"


@pytest.mark.usefixtures("in_memory")
def test_one_flipped_bit_in_the_weights_is_refused_and_costs_no_look(house: House, champion: ModelVersion) -> None:
    contestants.cohort(house, 6, stored=False)
    challenger = contestants.version(house, "1.1.0")
    path = house.settings.models_path / MODEL / challenger.digest / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(Rejected, match="cannot be trusted"):
        look(house, challenger)
    assert looks(house) == []
    assert audited(house, "model.evaluate.deny")[0][1] == challenger.digest


def test_the_prefect_flow_evaluates_in_the_house_it_lives_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import runs  # noqa: PLC0415 - it imports prefect

    asked: list[tuple[object, ...]] = []

    def evaluate(*question: object) -> Evaluation:
        asked.append(question)
        return evaluation

    evaluation = Evaluation(
        id="ev_1",
        model=MODEL,
        digest="d" * 64,
        champion=None,
        original=None,
        cohort_id="co_1",
        plan_sha256="",
        look=1,
        alpha=0.025,
        outcome=PASS,
        gates=(),
        actor="ann",
        at=utc_now(),
    )
    monkeypatch.setattr(promote, "evaluate", evaluate)
    with living_in(house):
        state = asyncio.run(runs.promote.fn(MODEL, "d" * 64, "ann"))
    assert asked == [(house, MODEL, "d" * 64, "ann", None)]
    assert state.message == "ev_1: PASS"


@pytest.mark.usefixtures("in_memory")
def test_what_cannot_be_evaluated_is_said(house: House, champion: ModelVersion) -> None:
    with pytest.raises(Rejected, match="champion already"):
        look(house, champion)
    with pytest.raises(NotFound, match="no model version"):
        promote.evaluate(house, MODEL, "e" * 64, "ann")
    challenger = contestants.version(house, "1.1.0")
    with pytest.raises(NotFound, match="no cohort with a test set"):
        look(house, challenger)
    training = contestants.cohort(house, 6, split=Split.TRAIN, stored=False)
    with pytest.raises(NotFound, match="no test set"):
        look(house, challenger, training.id)
    with pytest.raises(NotFound):
        promote.evaluate(house, "brain_mr_tumour", challenger.digest, "ann")
