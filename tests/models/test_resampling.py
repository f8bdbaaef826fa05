import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from models.evaluation import calibration_error, sensitivity
from models.evaluation.estimate import Estimate, power, quantile
from models.evaluation.paired import effective, newcombe, share
from models.evaluation.resampling import (
    Sample,
    auc_of,
    brier_of,
    calibration_error_of,
    difference,
    estimate,
    share_of,
)
from tests.clock import cost

RNG = np.random.default_rng(5)
N = 240
LABELS = RNG.integers(0, 2, N).astype(np.float64)
SCORES = np.clip(0.4 * LABELS + 0.6 * RNG.random(N), 0, 1).round(2)
CALLED = SCORES > 0.5
EVERYONE = Sample(np.arange(N), np.ones(N))


def test_every_measure_of_all_cases_is_what_the_plain_one_says() -> None:
    ones = np.ones((1, N))
    assert auc_of(LABELS, SCORES)(ones)[0] == pytest.approx(roc_auc_score(LABELS, SCORES))
    assert brier_of(LABELS, SCORES)(ones)[0] == pytest.approx(brier_score_loss(LABELS, SCORES))
    assert calibration_error_of(LABELS, SCORES)(ones)[0] == pytest.approx(calibration_error(LABELS, SCORES))
    assert share_of(CALLED, LABELS > 0.5)(ones)[0] == pytest.approx(sensitivity(LABELS, CALLED))


@pytest.mark.parametrize("measure", [auc_of, brier_of, calibration_error_of])
def test_a_draw_is_the_same_as_repeating_the_cases(measure: object) -> None:
    counts = RNG.integers(0, 4, (5, N)).astype(np.float64)
    drawn = measure(LABELS, SCORES)(counts)  # type: ignore[operator]
    for value, row in zip(drawn, counts.astype(int), strict=True):
        rows = np.repeat(np.arange(N), row)
        assert value == pytest.approx(measure(LABELS[rows], SCORES[rows])(np.ones((1, len(rows))))[0])  # type: ignore[operator]


def test_whole_patients_are_drawn_so_repeated_images_do_not_narrow_the_interval() -> None:
    def width(copies: int) -> float:
        labels, scores = np.repeat(LABELS, copies), np.repeat(SCORES, copies)
        sample = Sample(np.repeat(np.arange(N), copies), np.ones(N * copies))
        found = estimate(auc_of(labels, scores), sample, 0.025, 1000, 2)
        return found.high - found.low

    assert width(5) == pytest.approx(width(1), rel=0.05)


def test_the_same_seed_gives_the_same_interval_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    first = estimate(auc_of(LABELS, SCORES), EVERYONE, 0.025, 500, 9)
    monkeypatch.setattr("models.evaluation.resampling.CHUNK", 10_000)
    assert estimate(auc_of(LABELS, SCORES), EVERYONE, 0.025, 500, 9) == first


def test_one_class_only_has_infinite_bounds() -> None:
    found = estimate(auc_of(np.ones(N), SCORES), EVERYONE, 0.025, 500, 1)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_five_hundred_draws_of_two_thousand_cases_take_less_than_three_seconds() -> None:
    labels, scores = np.tile(LABELS, 9)[:2000], np.tile(SCORES, 9)[:2000]
    sample = Sample(np.arange(2000) // 2, np.ones(2000))
    of = difference(auc_of(labels, scores), auc_of(labels, scores[::-1]))
    assert cost(lambda: estimate(of, sample, 0.025, 500, 1), 2) < 3.0


def test_newcombes_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I, case of 36, 12, 2, 0 of 50: 0.20, method 10 gives 0.0569 to 0.3404."""
    first = np.array([True] * 36 + [True] * 12 + [False] * 2)
    second = np.array([True] * 36 + [False] * 12 + [True] * 2)
    found = newcombe(first, second, np.ones(50), 0.025)
    assert found.value == pytest.approx(0.20)
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-4)


def test_newcombes_interval_does_not_collapse_where_two_versions_never_differ() -> None:
    found = newcombe(CALLED, CALLED, np.ones(N), 0.025)
    assert found.low < -0.005 < 0.005 < found.high


def test_newcombes_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(1000):
        hard = rng.random(120)
        first, second = hard < 0.9, (hard < 0.85) ^ (rng.random(120) < 0.03)
        truth = 0.9 - (0.85 * 0.97 + 0.15 * 0.03)
        found = newcombe(first, second, np.ones(120), 0.025)
        covered += found.low < truth < found.high
    assert covered / 1000 >= 0.93


def test_a_weighted_share_is_as_doubtful_as_the_equal_cases_it_is_worth() -> None:
    weights = np.where(np.arange(N) < 40, 10.0, 1.0)
    assert effective(np.ones(N)) == pytest.approx(N)
    assert 40 < effective(weights) < 100
    heavy, even = share(CALLED, weights, 0.025), share(CALLED, np.ones(N), 0.025)
    assert heavy.high - heavy.low > 1.4 * (even.high - even.low)


@pytest.mark.parametrize("measured", [share, lambda hits, weights, alpha: newcombe(hits, hits, weights, alpha)])
def test_nothing_to_count_is_no_share(measured: object) -> None:
    with pytest.raises(ValueError, match="no cases"):
        measured(np.zeros(0, bool), np.zeros(0), 0.025)  # type: ignore[operator]


def test_power_is_what_simulated_trials_pass() -> None:
    error, margin = 0.02, 0.05
    lows = 0.02 * np.random.default_rng(4).normal(size=20_000) - quantile(0.025) * error
    assert power(error, margin, 0.025) == pytest.approx(float((lows > -margin).mean()), abs=0.01)
    assert power(0.0, margin, 0.025) == 1.0


def test_an_estimates_error_and_its_negation_fit_its_bounds() -> None:
    found = Estimate(0.1, 0.1 - 2 * quantile(0.01), 0.5, 0.01)
    assert found.error == pytest.approx(2.0)
    negated = -found
    assert (negated.low, negated.high) == (-0.5, -found.low)
    assert -negated == found
