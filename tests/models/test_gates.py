"""The gates on simulated readers: what passes, what fails and by which gate, and what cannot be decided."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.change_plan import Evidence
from models.evaluation import conditions, gates
from models.evaluation.estimate import Estimate
from models.evaluation.noninferiority import Decision, agreed, at_least, at_most, not_worse
from models.evaluation.panel import Contest, judge, overall
from models.evaluation.trial import Scores
from radloop.domain.enums import Awareness, GateOutcome
from radloop.domain.learning import Facts, GateVerdict
from tests.models.trials import contest, plan, reader, trial

PASS, FAIL, INSUFFICIENT = GateOutcome.PASS, GateOutcome.FAIL, GateOutcome.INSUFFICIENT_EVIDENCE
PLAN = plan()
EVIDENCE = Evidence(positives=50, negatives=50, patients=50, power=0.8)


def judged(n: int, **challenger: float) -> dict[str, GateVerdict]:
    of = trial(n)
    return {one.gate: one for one in judge(of, contest(of, reader(of, 1, **challenger)), PLAN)}


@pytest.mark.parametrize(
    ("low", "value", "high", "outcome"),
    [
        (-0.03, 0.00, 0.03, PASS),
        (-0.04, -0.02, 0.01, PASS),
        (0.01, 0.11, 0.21, PASS),  # no power for the margin, but better is shown
        (-0.049, 0.05, 0.149, INSUFFICIENT),  # lucky: an equal version would seldom have got here
        (-0.06, 0.00, 0.06, INSUFFICIENT),
        (-0.20, -0.10, 0.00, INSUFFICIENT),
        (-0.20, -0.10, -0.04, INSUFFICIENT),
        (-0.20, -0.13, -0.06, FAIL),
        (-np.inf, 0.0, np.inf, INSUFFICIENT),
        (np.nan, np.nan, np.nan, INSUFFICIENT),
    ],
)
def test_the_decision_table_holds_for_more_is_better_and_for_less_is_better(
    low: float, value: float, high: float, outcome: GateOutcome
) -> None:
    found = Estimate(value, low, high, 0.025)
    assert not_worse(found, 0.05, EVIDENCE).outcome is outcome
    assert at_most(-found, 0.05, 0.05, EVIDENCE).outcome is outcome


@given(st.floats(-0.3, 0.3), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 1), st.floats(0.01, 0.3))
def test_nothing_passes_whose_lower_bound_is_beyond_the_limit_and_nothing_fails_whose_upper_bound_is_within(
    value: float, down: float, up: float, limit: float, reach: float
) -> None:
    found = Estimate(value, value - down, value + up, 0.025)
    outcome = at_least(found, limit, reach, EVIDENCE).outcome
    assert (outcome is not PASS) or found.low > limit
    assert (outcome is FAIL) == (found.high < limit)


def test_two_ways_of_measuring_that_do_not_agree_decide_nothing() -> None:
    assert agreed(Decision(PASS, "a"), Decision(FAIL, "b")).outcome is INSUFFICIENT
    assert agreed(Decision(FAIL, "a"), Decision(FAIL, "b")).outcome is FAIL


def test_equal_versions_pass_every_gate_with_five_hundred_cases() -> None:
    found = judged(500)
    assert {one.gate: one.words for one in found.values() if one.outcome is not PASS} == {}
    assert overall(tuple(found.values())) is PASS
    assert {"auc_champion", "auc_original", "sensitivity", "specificity", "worst_subgroup"} < found.keys()
    assert found["auc_champion"].low is not None
    assert found["auc_champion"].low > -0.05


def test_a_challenger_trained_on_corrupted_labels_fails_and_the_gate_is_named() -> None:
    found = judged(500, separation=1.0)
    assert overall(tuple(found.values())) is FAIL
    assert found["auc_champion"].outcome is FAIL
    assert found["auc_original"].outcome is FAIL
    assert "shown to be beyond the limit of 0.05" in found["auc_champion"].words


@pytest.mark.parametrize("separation", [4.0, 1.0])
def test_with_too_few_cases_no_version_passes_or_fails_whatever_it_does(separation: float) -> None:
    found = judged(60, separation=separation)
    measured = [one for one in found.values() if one.gate != "latency"]
    assert {one.outcome for one in measured} == {INSUFFICIENT}
    assert "positives of 50" in found["auc_champion"].words


def test_equal_versions_that_cannot_be_told_apart_from_worse_ones_are_insufficient_evidence() -> None:
    """A hundred and twenty cases of readers of AUC 0.76 who share little: enough to count, too few to decide."""
    of = trial(120)
    new, old = (reader(of, name, separation=1.0, own=0.9) for name in (1, 2))
    found = gates.auc_noninferiority("auc_champion", of, new, old, 0.05)
    assert found.outcome is INSUFFICIENT
    assert "power" in found.words


def test_inferiority_within_the_margin_is_let_through_rarely_beyond_it_never_more_than_alpha() -> None:
    """A hundred worlds where the challenger is worse by just the margin: at alpha 0.025 about two may pass."""
    passed = 0
    for seed in range(100):
        of = trial(300, seed=seed)
        rules = replace(of, resampling=of.resampling.model_copy(update={"draws": 500}))
        new, old = reader(of, 1, separation=1.385, own=0.5, seed=seed), reader(of, 2, 1.7, own=0.5, seed=seed)
        passed += gates.auc_noninferiority("auc", rules, new, old, 0.05).outcome is PASS
    assert passed <= 7


def test_few_patients_with_many_images_each_are_few_cases() -> None:
    of = trial(500, images_per_patient=20)
    found = gates.auc_noninferiority("auc_champion", of, reader(of, 1), reader(of, 2), 0.05)
    assert found.outcome is INSUFFICIENT
    assert "25 patients of 50" in found.words


def test_a_lost_operating_point_fails_sensitivity_although_the_auc_is_the_same() -> None:
    of = trial(500)
    same, old = reader(of, 1), reader(of, 2)
    late = Scores(same.probabilities, 0.99999)
    assert gates.auc_noninferiority("auc_champion", of, late, old, 0.05).outcome is PASS
    assert gates.sensitivity_noninferiority(of, late, old, 0.05).outcome is FAIL
    assert gates.specificity_noninferiority(of, late, old, 0.10).outcome is PASS
    assert gates.specificity_noninferiority(of, Scores(same.probabilities, 1e-5), old, 0.10).outcome is FAIL


def test_a_collapse_on_one_scanner_is_found_and_named() -> None:
    of = trial(500)
    new, old = reader(of, 1), reader(of, 2)
    on_y = np.array([fact.scanner == "Y" for fact in of.facts]) & (np.arange(500) % 5 > 1)
    noise = np.random.default_rng(1).random(500)
    broken = Scores(np.where(on_y, noise, new.probabilities), new.threshold)
    found = gates.worst_subgroup(of, broken, old, PLAN.gates.subgroup)
    assert found.outcome is FAIL
    assert "scanner Y" in found.words
    assert gates.worst_subgroup(of, new, old, PLAN.gates.subgroup).outcome is PASS


def test_a_subgroup_below_the_floor_fails_also_without_a_champion() -> None:
    of = trial(500)
    blind = Scores(np.random.default_rng(1).random(500), 0.5)
    found = gates.worst_subgroup(of, blind, None, PLAN.gates.subgroup)
    assert (found.outcome, found.margin) == (FAIL, PLAN.gates.subgroup.floor)


@pytest.mark.parametrize(("fact", "outcome"), [("site", INSUFFICIENT), ("scanner", PASS)])
def test_a_subgroup_that_is_too_small_is_listed_and_stops_where_the_plan_requires_it(
    fact: str, outcome: GateOutcome
) -> None:
    of = trial(500)
    facts = [replace(one, **{fact: "tiny"}) if row < 10 else one for row, one in enumerate(of.facts)]
    found = gates.worst_subgroup(replace(of, facts=facts), reader(of, 1), reader(of, 2), PLAN.gates.subgroup)
    assert found.outcome is outcome
    assert f"{fact} tiny" in found.words


def test_without_a_known_fact_no_subgroup_can_be_judged() -> None:
    of = trial(500, facts=[Facts()] * 500)
    assert gates.worst_subgroup(of, reader(of, 1), reader(of, 2), PLAN.gates.subgroup).outcome is INSUFFICIENT


def test_bold_probabilities_fail_calibration_although_every_call_is_the_same() -> None:
    of = trial(500)
    old = reader(of, 2, separation=1.0)
    bold = Scores(np.where(old.calls, 0.999, 0.001), 0.5)
    ece, brier = gates.calibration_noninferiority(of, bold, old, PLAN.gates.calibration)
    assert (ece.gate, ece.outcome) == ("ece", FAIL)
    assert (brier.gate, brier.outcome) == ("brier", FAIL)


@pytest.mark.parametrize(("times", "outcome"), [(1.0, PASS), (1.9, PASS), (2.0, INSUFFICIENT), (4.0, FAIL)])
def test_latency_is_a_multiple_of_the_champions(times: float, outcome: GateOutcome) -> None:
    old = tuple((0.01 + 0.002 * np.random.default_rng(0).random(25)).tolist())
    new = tuple(times * one * (1 + 0.02 * (-1) ** n) for n, one in enumerate(old))
    assert gates.latency_ratio(new, old, 2.0, 25, trial(100)).outcome is outcome


def test_latency_of_too_few_images_is_no_latency() -> None:
    assert gates.latency_ratio((0.1,), (0.1,), 2.0, 25, trial(100)).outcome is INSUFFICIENT
    assert gates.latency_limit((0.1,), 2.0, 25, trial(100)).outcome is INSUFFICIENT


def floors(n: int, separation: float) -> dict[str, GateVerdict]:
    of = trial(n)
    alone = replace(contest(of, reader(of, 1, separation)), champion=None, original=None)
    return {one.gate: one for one in judge(of, alone, PLAN)}


def test_a_first_champion_is_held_against_the_floors_of_the_plan() -> None:
    good, poor, few = floors(400, 4.0), floors(400, 0.5), floors(60, 4.0)
    assert overall(tuple(good.values())) is PASS
    assert "auc_champion" not in good
    assert poor["auc_floor"].outcome is FAIL
    assert overall(tuple(few.values())) is INSUFFICIENT


def test_a_version_as_good_as_the_floor_is_not_let_in() -> None:
    assert floors(400, 1.19)["auc_floor"].outcome is INSUFFICIENT  # AUC 0.80


def test_a_champion_shown_at_its_worst_by_the_draw_is_seen_as_it_is_by_the_weights() -> None:
    """All that the champion got wrong and a twentieth of the rest: unweighted an equal challenger looks better."""
    everything = trial(40_000)
    new, old = (reader(everything, name, separation=3.0, own=0.6) for name in (1, 2))
    chance = np.where(old.calls != everything.positive, 1.0, 0.05)
    rows = np.flatnonzero(np.random.default_rng(9).random(40_000) < chance)
    drawn = everything.of(rows)
    weighted = replace(drawn, weights=1 / chance[rows])
    plain = gates.sensitivity_noninferiority(drawn, new.of(rows), old.of(rows), 0.05)
    just = gates.sensitivity_noninferiority(weighted, new.of(rows), old.of(rows), 0.05)
    assert plain.value is not None
    assert just.value is not None
    assert plain.value > 0.2
    assert abs(just.value) < 0.03


def test_labels_of_readers_who_saw_the_ai_are_no_labels_for_a_gate() -> None:
    assert conditions.blinded_labels([Awareness.BLINDED] * 3).outcome is PASS
    for other in (Awareness.SAW_AI, Awareness.CORRECTED):
        assert conditions.blinded_labels([Awareness.BLINDED, other]).outcome is FAIL


def test_a_test_set_of_one_label_is_insufficient_evidence() -> None:
    assert conditions.label_balance(np.arange(100) < 9, 0.10).outcome is INSUFFICIENT
    assert conditions.label_balance(np.arange(100) < 10, 0.10).outcome is PASS
    assert conditions.label_balance(np.zeros(0, bool), 0.10).outcome is INSUFFICIENT


def test_an_alarm_that_is_open_stops_the_promotion_and_none_run_does_not() -> None:
    assert conditions.drift({}).outcome is PASS
    assert conditions.drift({"kvp": "pass", "view": "insufficient data"}).outcome is PASS
    failed = conditions.drift({"kvp": "fail", "view": "pass"})
    assert (failed.outcome, failed.words) == (FAIL, "open alarms: kvp")


def test_one_bit_between_two_loads_or_another_recorded_answer_fails_the_golden_gate() -> None:
    answers = np.array([[0.25], [0.75]], np.float32)
    other = answers.copy()
    other.view(np.uint32)[0, 0] ^= 1
    assert conditions.golden(answers, answers, None).outcome is PASS
    assert conditions.golden(answers, other, None).outcome is FAIL
    assert conditions.golden(answers, answers, answers.astype(np.float64)).outcome is PASS
    assert conditions.golden(answers, answers, answers + 0.001).outcome is FAIL
    assert conditions.golden(answers, answers, np.array([[0.25]])).outcome is FAIL


def test_a_change_beyond_the_plan_is_another_model() -> None:
    assert conditions.change_scope(frozenset({"weights", "threshold"}), PLAN.plan).outcome is PASS
    beyond = conditions.change_scope(frozenset({"weights", "targets"}), PLAN.plan)
    assert (beyond.outcome, "targets" in beyond.words) == (FAIL, True)


def test_one_failure_fails_and_one_doubt_leaves_a_doubt() -> None:
    def of(*outcomes: GateOutcome) -> GateOutcome:
        return overall([replace(conditions.drift({}), outcome=one) for one in outcomes])

    assert of(PASS, PASS) is PASS
    assert of(PASS, INSUFFICIENT) is INSUFFICIENT
    assert of(INSUFFICIENT, FAIL, PASS) is FAIL
    assert of() is INSUFFICIENT


def test_a_contest_is_judged_the_same_every_time() -> None:
    of = trial(300)
    first, again = (judge(of, contest(of, reader(of, 1)), PLAN) for _ in range(2))
    assert first == again
    assert isinstance(contest(of, reader(of, 1)), Contest)
