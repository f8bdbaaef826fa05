import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.evaluation.delong import delong
from models.evaluation.resampling import Sample, auc_of, difference, estimate
from models.evaluation.trial import Floats
from tests.clock import cost

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 2, 300).astype(np.float64)
SHARED = RNG.normal(size=300)
FIRST, SECOND = (np.round(LABELS + SHARED + 0.7 * RNG.normal(size=300), 1) for _ in range(2))


def by_all_pairs(labels: Floats, *scores: Floats) -> tuple[Floats, Floats]:
    """The paper as it is written: the kernel over all pairs, then the sums of its structural components."""
    kernels = []
    for one in scores:
        up, down = one[labels > 0.5][:, None], one[labels < 0.5][None, :]
        kernels.append((up > down) + 0.5 * (up == down))
    psi = np.stack(kernels)
    m, n = psi.shape[1:]
    aucs = psi.mean(axis=(1, 2))
    v10, v01 = psi.mean(axis=2) - aucs[:, None], psi.mean(axis=1) - aucs[:, None]
    return aucs, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n


def test_it_is_the_papers_sum_over_all_pairs_ties_included() -> None:
    aucs, covariance = by_all_pairs(LABELS, FIRST, SECOND)
    found = delong(LABELS, FIRST, SECOND)
    np.testing.assert_allclose(found.aucs, aucs, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-10)
    assert found.aucs[0] == pytest.approx(roc_auc_score(LABELS, FIRST))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40))
def test_it_is_the_papers_sum_for_any_scores(cases: list[tuple[int, int, int]]) -> None:
    labels, first, second = (np.array(column, np.float64) for column in zip(*cases, strict=True))
    if min(labels.sum(), (1 - labels).sum()) < 2:
        with pytest.raises(ValueError, match="two cases"):
            delong(labels, first, second)
        return
    aucs, covariance = by_all_pairs(labels, first, second)
    found = delong(labels, first, second)
    np.testing.assert_allclose(found.aucs, aucs, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)


def test_the_bootstrap_finds_the_same_interval() -> None:
    sample = Sample(np.arange(300), np.ones(300))
    drawn = estimate(difference(auc_of(LABELS, FIRST), auc_of(LABELS, SECOND)), sample, 0.025, 4000, 1)
    paired = delong(LABELS, FIRST, SECOND).difference(0.025)
    assert drawn.value == pytest.approx(paired.value)
    assert (drawn.low, drawn.high) == pytest.approx((paired.low, paired.high), abs=0.006)


def test_a_weight_of_two_gives_the_auc_of_a_case_that_is_there_twice() -> None:
    weights = np.where(np.arange(300) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(300), weights.astype(int))
    weighted = delong(LABELS, FIRST, SECOND, weights=weights)
    assert weighted.aucs == pytest.approx(delong(LABELS[twice], FIRST[twice], SECOND[twice]).aucs)


def test_weights_undo_a_biased_draw() -> None:
    """All of one version's errors and a fifth of the rest: unweighted the version looks worse than it is."""
    rng = np.random.default_rng(3)
    labels = (rng.random(40_000) < 0.5).astype(np.float64)
    scores = labels + rng.normal(size=40_000)
    wrong = (scores > 0.5) != (labels > 0.5)
    chance = np.where(wrong, 1.0, 0.2)
    rows = np.flatnonzero(rng.random(40_000) < chance)
    truth = delong(labels, scores).aucs[0]
    weighted = delong(labels[rows], scores[rows], weights=1 / chance[rows]).area(0.001)
    assert weighted.low < truth < weighted.high
    assert delong(labels[rows], scores[rows]).area(0.001).high < truth


def test_its_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    truth, covered, worlds = 0.8413447, 0, 400  # Phi(sqrt(2) / sqrt(2)) for a distance of sqrt(2)
    for _ in range(worlds):
        labels = (np.arange(160) % 2).astype(np.float64)
        found = delong(labels, np.sqrt(2) * labels + rng.normal(size=160)).area(0.05)
        covered += found.low < truth < found.high
    assert 0.86 <= covered / worlds <= 0.94


def test_two_thousand_cases_cost_milliseconds() -> None:
    labels, first, second = (np.tile(column, 7) for column in (LABELS, FIRST, SECOND))
    assert cost(lambda: delong(labels, first, second)) < 0.1
