import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from data_checks.statistics import envelope, far, ks, mixture, mmd, profile, psi
from data_checks.statistics.chi_square import chi_square, from_counts
from data_checks.statistics.cusum import begin, cusum, known_rate
from data_checks.statistics.exact import rise
from data_checks.statistics.fdr import adjusted, discoveries, halves
from data_checks.statistics.missing import missing
from data_checks.statistics.novel import novel
from data_checks.statistics.tail import tail

RNG = np.random.default_rng


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 500, 2.5), (10, 500, 1.5), (25, 400, 1.0), (60, 300, 0.8)])
def test_ks_agrees_with_the_exact_test_of_scipy_in_its_tail(n: int, m: int, shift: float) -> None:
    reference, window = RNG(n).normal(size=m), RNG(n + 1).normal(shift, 1, size=n)
    found, exact = ks.ks(reference, window), ks_2samp(reference, window, method="exact")
    assert found.value == pytest.approx(exact.statistic)
    assert found.p == pytest.approx(exact.pvalue, rel=0.25)


def test_ks_reads_ties_as_scipy_does_and_counts_no_missing_value() -> None:
    reference, window = RNG(1).integers(0, 4, 300).astype(float), RNG(2).integers(0, 5, 80).astype(float)
    with_gaps = np.concatenate([window, np.full(7, np.nan)])
    found = ks.ks(reference, with_gaps)
    assert found.value == pytest.approx(ks_2samp(reference, window).statistic)
    assert (found.n, found.m) == (80, 300)


@pytest.mark.parametrize(("n", "shift"), [(100, 0.5), (200, 0.35), (500, 0.23)])
def test_ks_names_the_shift_that_it_finds_four_times_in_five(n: int, shift: float) -> None:
    assert ks.smallest_shift(n, 100_000, 0.01) == pytest.approx(shift, abs=0.03)
    found = [
        ks.ks(RNG(seed).normal(size=4000), RNG(9000 + seed).normal(shift, 1, size=n)).p <= 0.01 for seed in range(50)
    ]
    assert 0.6 < np.mean(found) < 0.97


def test_chi_square_is_scipys_where_nothing_is_pooled() -> None:
    known, seen = np.array([300.0, 200.0, 100.0]), np.array([30.0, 40.0, 30.0])
    found, right = from_counts(known, seen), chi2_contingency(np.array([known, seen]))
    assert (found.value, found.p) == (pytest.approx(right.statistic), pytest.approx(right.pvalue))


def test_chi_square_pools_rare_categories_and_judges_no_single_one() -> None:
    reference = np.array(["PA"] * 500 + ["AP"] * 200 + [f"rare {n}" for n in range(60)])
    window = np.array(["PA"] * 50 + ["AP"] * 20 + [f"other {n}" for n in range(6)])
    found = chi_square(reference, window)
    assert found.p > 0.5
    assert not chi_square(np.array(["PA"] * 100), np.array(["PA"] * 50)).enough


def test_psi_has_a_threshold_from_the_sizes() -> None:
    # MLOPS: the 95th percentile without a change, with 10 bins.
    for n, limit in ((50, 0.34), (100, 0.17), (200, 0.09), (500, 0.04)):
        assert psi.threshold(n, 1_000_000, alpha=0.05) == pytest.approx(limit, abs=0.012)
    quiet = psi.psi(RNG(1).normal(size=3000), RNG(2).normal(size=200))
    moved = psi.psi(RNG(1).normal(size=3000), RNG(2).normal(0.5, 1, size=200))
    assert quiet.p > 0.01 > 1e-6 > moved.p
    assert moved.value > quiet.smallest_shift
    assert not psi.psi(RNG(1).normal(size=3000), RNG(2).normal(size=20)).enough


def test_mmd_is_quiet_on_the_same_and_finds_a_small_turn_of_many_numbers() -> None:
    reference = RNG(0).normal(size=(400, 64)).astype(np.float32)
    quiet = [mmd.mmd(reference, RNG(seed).normal(size=(40, 64)).astype(np.float32)).p for seed in range(1, 60)]
    assert np.mean(np.array(quiet) < 0.05) < 0.12
    assert min(quiet) > 1e-4
    moved = mmd.mmd(reference, RNG(99).normal(0.25, 1, size=(40, 64)).astype(np.float32))
    assert moved.p < 1e-4
    assert moved.value > moved.smallest_shift > 0


def test_mmd_says_of_how_many_rows_it_spoke() -> None:
    found = mmd.mmd(RNG(0).normal(size=(900, 64)), RNG(1).normal(size=(2000, 64)))  # type: ignore[arg-type]
    assert (found.n, found.m) == (mmd.MOST, mmd.MOST)


def test_the_mixture_is_a_chi_square_where_all_weights_are_one() -> None:
    assert mixture.tail(18.307, np.ones(10)) == pytest.approx(0.05, abs=1e-4)
    assert mixture.quantile(0.05, np.ones(10)) == pytest.approx(18.307, abs=1e-3)


def test_cusum_finds_disagreement_that_doubles_and_since_when() -> None:
    reference = (RNG(1).random(2000) < 0.08).astype(float)
    window = np.concatenate([(RNG(2).random(200) < 0.08), (RNG(3).random(300) < 0.22)]).astype(float)
    window[5] = np.nan
    found = cusum(reference, window)
    assert found.p < 1e-4
    assert found.n == 499
    assert abs(begin(window[np.isfinite(window)], known_rate(reference)) - 200) < 60


def test_cusum_bears_false_alarms_no_more_often_than_it_says() -> None:
    reference = (RNG(1).random(2000) < 0.08).astype(float)
    quiet = [cusum(reference, (RNG(seed).random(300) < 0.08).astype(float)).p <= 0.05 for seed in range(300)]
    assert np.mean(quiet) <= 0.05


@pytest.mark.parametrize("table", [(3, 10, 2, 50), (1, 1, 0, 400), (8, 20, 100, 400), (20, 20, 0, 300)])
def test_the_exact_rise_is_fishers(table: tuple[int, int, int, int]) -> None:
    hits, n, before, m = table
    right = fisher_exact([[hits, n - hits], [before, m - before]], alternative="greater").pvalue
    assert rise(hits, n, before, m) == pytest.approx(right, rel=1e-6)


def test_a_scanner_never_seen_is_found_with_ten_rows_and_not_with_one() -> None:
    known = np.array(["R1"] * 500)
    assert novel(known, np.array(["R1"] * 40 + ["R9"] * 10)).p < 1e-8
    assert novel(known, np.array(["R1"] * 49 + ["R9"])).p > 0.05
    assert not novel(known, np.array([""] * 5)).enough


def test_what_never_lacked_a_value_and_now_does_is_found() -> None:
    found = missing(np.zeros(400, np.bool_), np.arange(20) % 2 == 0)
    assert found.p < 1e-9
    assert found.value == 0.5
    assert missing(np.zeros(400, np.bool_), np.zeros(20, np.bool_)).p == 1.0


def test_the_envelope_counts_rows_outside_on_either_side() -> None:
    reference = RNG(1).normal(size=1000)
    window = np.concatenate([RNG(2).normal(size=40), [-6.0, -5.0, 6.0, 7.0]])
    assert envelope.envelope(reference, window).p < 0.01
    assert envelope.envelope(reference, window[:40]).p > 0.01


def test_a_profile_finds_what_every_column_moves_by_a_little() -> None:
    known = profile.profile(RNG(1).normal(size=(600, 20)), (3, 10, 30))
    assert known is not None
    quiet = [profile.statistic(known, known.whitened(RNG(s).normal(size=(30, 20)))).p for s in range(2, 202)]
    assert np.mean(np.array(quiet) < 0.05) < 0.1
    moved = RNG(300).normal(0.4, 1, size=(30, 20))
    assert profile.statistic(known, known.whitened(moved)).p < 1e-6
    joined = np.concatenate([RNG(301).normal(size=(70, 20)), moved])
    assert abs(profile.begin(known.whitened(joined)) - 70) <= 5
    assert profile.profile(RNG(1).normal(size=(20, 4)), (3,)) is None


def test_a_profile_is_honest_where_rows_lie_out_in_the_same_direction() -> None:
    """Skewed columns that move together: two rows far out on the same side are no change."""

    def skewed(seed: int, count: int) -> np.ndarray:
        common = RNG(seed).exponential(size=(count, 1))
        return np.asarray(common + 0.5 * RNG(seed + 1).exponential(size=(count, 12)))

    known = profile.profile(skewed(1, 600), (2, 3, 5))
    assert known is not None
    white = [known.whitened(skewed(10 + 2 * seed, 3)) for seed in range(2000)]
    p = np.array([profile.tails(known, profile.squares(known, rows, [2]), [2])[0] for rows in white])
    assert p.min() > 1e-6
    assert np.mean(p < 0.01) < 0.02
    assert np.mean(p < 0.001) < 0.003


def test_a_tail_goes_on_where_the_sample_ends() -> None:
    sample = tail(RNG(1).exponential(size=1000))
    for share in (0.5, 0.05, 1e-3, 1e-4):
        # Rather too often than too rarely: 30 values say how fast it falls off.
        assert 0.7 * share < float(sample.chances(np.array(-math.log(share)))) < 7 * share
        assert float(sample.chances(np.array(sample.limit(share)))) == pytest.approx(share, rel=0.05)
    assert 0 < float(sample.chances(np.array(100.0))) < 1e-15


@pytest.mark.parametrize("size", [240, 5000])
def test_a_heavy_tail_makes_less_than_one_row_in_5000_sure_to_be_odd(size: int) -> None:
    """Cubic tails, the heaviest that mean and variance stand for: 100,000 rows, each held against 20 references."""
    odd = [
        np.mean(tail(RNG(seed).pareto(3, size)).chances(RNG(900 + seed).pareto(3, 5_000)) < 1e-8) for seed in range(20)
    ]
    assert np.mean(odd) < 1 / 5000


def test_one_row_alone_counts_only_for_what_it_is_and_two_count_for_more() -> None:
    usual = RNG(1).random(30)
    assert far.rarity(np.empty(0)) == 1.0
    assert far.rarity(np.append(usual, 1e-9)) == pytest.approx(31e-9 * len(far.COUNTS), rel=1e-3)
    assert far.rarity(np.append(usual, [1e-5, 1e-5])) < 1e-5 < far.rarity(np.append(usual, 1e-5))
    quiet = [far.rarity(RNG(seed).random(30)) for seed in range(400)]
    assert np.mean(np.array(quiet) < 0.05) < 0.07


def test_a_share_of_the_rate_is_what_some_tests_get_and_the_rate_is_held() -> None:
    few = np.arange(40) < 2
    weights = halves(few, 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[few].sum() == pytest.approx(weights[~few].sum())
    assert halves(np.ones(3, np.bool_), 0.5).tolist() == [1, 1, 1]
    found = [adjusted(RNG(seed).random(40), weights).min() <= 0.2 for seed in range(400)]
    assert 0.12 < np.mean(found) < 0.26


def test_benjamini_and_hochbergs_own_example() -> None:
    # Benjamini and Hochberg 1995, section 3.2: four are rejected at 5 %.
    p = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]
    )  # fmt: skip
    assert discoveries(p, 0.05).sum() == 4
    assert discoveries(p[::-1], 0.05)[::-1].tolist() == discoveries(p, 0.05).tolist()
    assert (adjusted(p) >= p).all()
    assert len(adjusted(np.empty(0))) == 0


@pytest.mark.parametrize("size", [0, 1])
def test_too_little_is_said_and_never_an_alarm(size: int) -> None:
    reference, few = RNG(1).normal(size=200), np.full(size, 99.0)
    found = (
        ks.ks(reference, few),
        psi.psi(reference, few),
        mmd.mmd(RNG(1).normal(size=(200, 64)).astype(np.float32), np.full((size, 64), 9, np.float32)),
        chi_square(np.array(["a"] * 100), np.array(["b"] * size)),
        cusum(np.zeros(200), np.ones(size)),
        missing(np.zeros(200, np.bool_), np.ones(size, np.bool_)),
        ks.ks(reference, np.full(40, np.nan)),
        envelope.envelope(reference, np.full(40, np.nan)),
        novel(np.array(["a"] * 100), np.array([""] * 9)),
    )
    for one in found:
        assert not one.enough
        assert one.p == 1.0
        assert math.isinf(one.smallest_shift)
