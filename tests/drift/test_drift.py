"""The bench of changes: thresholds hold the rate they are set to, and all of it runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.phantoms.scanners import CHANGES
from tests.drift.calibration import PER, TIE, Combination, FalseAlarms, delays, false_alarms, threshold
from tests.drift.streams import STEP


def null(runs: int = 200, looks: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(runs, looks))


def test_interval_of_a_rate_is_the_exact_one() -> None:
    """Garwood's table: 10 events are compatible with means from 4.795 to 18.39."""
    found = FalseAlarms(count=10, studies=PER)
    assert (found.rate, round(found.low, 3), round(found.high, 2)) == (10, 4.795, 18.39)
    assert FalseAlarms(count=0, studies=PER).low == 0


def test_threshold_is_the_lowest_that_keeps_the_upper_end() -> None:
    scores = null()
    limit = threshold(scores, 1.0)
    kept = false_alarms(scores, limit)
    peaks = np.sort(scores.max(axis=1))
    looser = false_alarms(scores, peaks[peaks < limit].max())
    assert kept.high <= 1.0 < looser.high
    assert looser.count == kept.count + 1


def test_statistic_that_is_certain_without_a_change_has_no_threshold() -> None:
    scores = null()
    scores[:50, 3] = 300.0
    assert threshold(scores, 1.0) == np.inf


def test_delay_counts_studies_to_the_first_alarm_and_one_look_more_where_there_is_none() -> None:
    scores = np.array([[0.0, 5.0, 0.0], [0.0, 0.0, 0.0], [9.0, np.nan, np.nan]])
    assert delays(scores, 5.0).tolist() == [2 * STEP, 4 * STEP, STEP]


def test_combination_alarms_where_a_part_reaches_its_limit() -> None:
    parts = [null(seed=1), null(seed=2) * 100]
    combined = Combination(parts)
    scores = combined.score(parts)
    limit = threshold(scores, 1.0)
    reached = [part >= needed for part, needed in zip(parts, combined.limits(limit), strict=True)]
    assert np.all((scores >= limit) >= np.any(reached, axis=0)), "a part that may stop has made it alarm"
    assert np.all((scores >= limit + 3 * TIE) <= np.any(reached, axis=0))
    assert 8 <= false_alarms(scores, limit).count <= 10, "ranks that tie must not make it stricter than its parts"


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_small_run_writes_the_page_and_its_drawing(tmp_path: Path) -> None:
    """With evidently and alibi-detect themselves, in the environment that it makes where there is none."""
    command = [sys.executable, "-m", "tests.drift", "--size", "small", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    page = (tmp_path / "drift.md").read_text()
    assert all(f"| {name} |" in page for name in ("radloop", "evidently together", "alibi together", *CHANGES))
    assert (tmp_path / "drift.svg").read_text().startswith("<svg")
