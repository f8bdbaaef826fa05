import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from models.evaluation import auc, bootstrap, brier, calibration_error, sensitivity, specificity, wilson

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 300)
SCORES = np.clip(0.35 * LABELS + RNG.random(300) * 0.65, 0, 1).round(2)


def test_auc_and_brier_are_those_of_scikit_learn_ties_included() -> None:
    assert auc(LABELS, SCORES) == pytest.approx(roc_auc_score(LABELS, SCORES))
    assert brier(LABELS, SCORES) == pytest.approx(brier_score_loss(LABELS, SCORES))
    assert np.isnan(auc(np.ones(3), np.ones(3)))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, allow_subnormal=False)), min_size=2, max_size=50))
def test_turning_the_scores_round_mirrors_auc(cases: list[tuple[bool, float]]) -> None:
    labels, scores = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    if 0 < labels.sum() < len(labels):
        assert auc(labels, scores) == pytest.approx(1 - auc(labels, -scores))


def test_sensitivity_and_specificity_count_their_own_class() -> None:
    labels, called = np.array([1, 1, 1, 0, 0]), np.array([True, True, False, False, True])
    assert sensitivity(labels, called) == pytest.approx(2 / 3)
    assert specificity(labels, called) == pytest.approx(1 / 2)


def test_a_calibrated_forecast_has_no_calibration_error_and_a_bold_one_has() -> None:
    labels = np.array([0, 1] * 50)
    assert calibration_error(labels, np.full(100, 0.5)) == pytest.approx(0)
    assert calibration_error(labels, np.full(100, 0.9)) == pytest.approx(0.4)


def test_the_bootstrap_draws_whole_patients_so_repeated_images_do_not_narrow_it() -> None:
    def interval(copies: int) -> float:
        labels, scores = np.repeat(LABELS, copies), np.repeat(SCORES, copies)
        groups = np.repeat(np.arange(300), copies)
        found = bootstrap(lambda rows: auc(labels[rows], scores[rows]), groups, draws=300)
        assert found.low < found.value < found.high
        return found.high - found.low

    assert interval(5) == pytest.approx(interval(1), rel=0.05)


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    groups = np.arange(300)
    first, again = (bootstrap(lambda rows: float(SCORES[rows].mean()), groups, draws=100, seed=4) for _ in range(2))
    assert first == again


def test_wilsons_interval_is_the_published_one() -> None:
    found = wilson(90, 100)
    assert (round(found.low, 3), round(found.high, 3)) == (0.826, 0.945)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
