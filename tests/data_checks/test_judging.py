import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from data_checks.columns import Columns
from data_checks.ground import Ground, prepare
from data_checks.judging import Finding, judge, survey
from data_checks.rules import Rules
from tests.data_checks.made_rows import MIXING, Wanted, made, moment, none_of

CHANGES = {
    "software": Wanted(count=300, seed=5, since=100, software="2.0"),
    "images": Wanted(count=300, seed=5, since=100, shift=1.5),
    "embedding": Wanted(count=300, seed=5, since=100, turned=1.5),
    "kvp": Wanted(count=300, seed=5, since=100, kvp=-12.0, shift=1.0),
    "disagreement": Wanted(count=1200, seed=5, since=100, disagreeing=0.4),
    "missing": Wanted(count=300, seed=5, since=100, lost=True),
}


@pytest.fixture(scope="module")
def ground() -> Ground:
    return prepare(made(Wanted(count=1500, seed=1)), Rules())


def odd(rows: Columns, place: np.intp, by: float) -> Columns:
    """One row further out by so many standard deviations, in what was measured and in where the model puts it."""
    numeric = {name: column.copy() for name, column in rows.numeric.items()}
    for name in ("noise", "p50"):
        numeric[name][place] += by * rows.numeric[name].std()
    assert rows.embedding is not None
    embedding = rows.embedding.copy()
    embedding[place] += by * MIXING[0]
    return replace(rows, numeric=numeric, embedding=embedding)


def only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1, [one.cause for one in found]
    return found[0]


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_one_cause_at_the_scanner_that_changed(ground: Ground, name: str) -> None:
    found = only(judge(ground, made(CHANGES[name])))
    assert (found.site, found.device) == ("north", "Maker One R2")
    assert found.statistic.p < 0.01
    assert found.statistic.enough
    assert found.statistic.m > 300


@pytest.mark.parametrize(
    ("name", "check", "column"),
    [
        ("software", "acquisition", "software"),
        ("kvp", "protocol", "kvp"),
        ("embedding", "embeddings", "embedding"),
        ("disagreement", "agreement", "disagree"),
        ("missing", "acquisition", "noise"),
    ],
)
def test_a_cause_is_named_by_what_explains_it(ground: Ground, name: str, check: str, column: str) -> None:
    found = only(judge(ground, made(CHANGES[name])))
    assert found.check == check
    assert column in (found.column, *found.moved)


def test_new_software_that_moves_columns_is_one_cause_with_its_first_row_and_all_of_its_rows(ground: Ground) -> None:
    rows = made(replace(CHANGES["software"], shift=2.0, turned=1.5))
    new = np.flatnonzero(rows.categorical["software"] == "2.0")
    found = only(judge(ground, rows))
    assert found.cause.startswith("software 2.0, never seen")
    assert found.first == rows.ids[new[0]]
    assert found.since == moment(rows, new[0])
    assert found.affected == tuple(rows.ids[new])
    assert {"noise", "p50", "embedding"} <= set(found.moved)


def test_what_the_new_software_does_not_explain_is_a_cause_of_its_own(ground: Ground) -> None:
    rows = made(Wanted(count=400, seed=7, since=0, shift=2.0))
    mixed = np.where((rows.devices == "Maker One R2") & (np.arange(400) > 330), "2.0", rows.categorical["software"])
    found = judge(ground, replace(rows, categorical={**rows.categorical, "software": mixed}))
    assert sorted(one.cause.split(":")[0] for one in found) == ["other images", "software 2.0, never seen"]


def test_the_cause_keeps_its_words_while_it_lasts(ground: Ground) -> None:
    rows = made(CHANGES["kvp"])
    causes = {one.cause for size in (180, 220, 260, 300) for one in judge(ground, rows.take(np.arange(size)))}
    assert causes == {"another kvp: Maker One R2 at north"}


def test_since_is_near_the_first_row_that_was_another(ground: Ground) -> None:
    rows = made(replace(CHANGES["images"], shift=3.0))
    found = only(judge(ground, rows))
    changed = np.flatnonzero((rows.devices == "Maker One R2") & (np.arange(300) >= 100))
    assert found.since is not None
    assert abs(found.since - moment(rows, changed[0])) < dt.timedelta(hours=4)


def test_a_scanner_never_seen_is_found_with_ten_rows_and_told_as_such(ground: Ground) -> None:
    rows = made(Wanted(count=60, seed=9))
    devices, sites = rows.devices.astype("U40"), rows.sites.copy()
    devices[-30::3], sites[-30::3] = "Maker Nine R9", "north"
    found = only(judge(ground, replace(rows, devices=devices, sites=sites)))
    assert found.cause.startswith("a scanner never seen: Maker Nine R9")
    assert len(found.affected) == 10


def test_a_scanner_that_appears_and_vanishes_is_no_alarm(ground: Ground) -> None:
    rows = made(Wanted(count=200, seed=9))
    devices, software = rows.devices.astype("U40"), rows.categorical["software"].astype("U40")
    devices[50] = "Maker Nine R9"
    software[90] = "SERVICE"
    odd = replace(rows, devices=devices, categorical={**rows.categorical, "software": software})
    for size in range(40, 201, 10):
        assert judge(ground, odd.take(np.arange(size))) == ()


@pytest.mark.parametrize("back", range(1, 9))
def test_a_study_far_beyond_any_is_found_wherever_it_lies_among_the_latest(ground: Ground, back: int) -> None:
    """One lateral view sent as PA: not only while it happens to be the newest but one."""
    rows = made(Wanted(count=300, seed=8))
    place = np.flatnonzero(rows.devices == "Maker One R2")[-back]
    found = only(judge(ground, odd(rows, place, 12.0)))
    assert found.device == "Maker One R2"
    assert rows.ids[place] in found.affected


@pytest.mark.parametrize("back", range(1, 9))
def test_one_study_that_is_only_odd_is_no_alarm(ground: Ground, back: int) -> None:
    rows = made(Wanted(count=300, seed=8))
    place = np.flatnonzero(rows.devices == "Maker One R2")[-back]
    assert judge(ground, odd(rows, place, 2.5)) == ()


def test_a_scanner_that_sends_no_more_is_no_alarm(ground: Ground) -> None:
    rows = made(Wanted(count=300, seed=11))
    assert judge(ground, rows.take(rows.devices != "Maker One R2")) == ()


def test_another_share_of_work_between_scanners_is_no_drift(ground: Ground) -> None:
    rows = made(Wanted(count=600, seed=12))
    kept = (rows.devices != "Maker One R1") | (np.arange(600) % 5 == 0)
    assert judge(ground, rows.take(kept)) == ()


def test_without_a_change_hardly_anything_alarms(ground: Ground) -> None:
    """Of 80 windows without a change at most 1 alarms at a false-discovery rate of 0.002: 0.16 are expected."""
    said = [survey(ground, made(Wanted(count=150, seed=1000 + seed))).surest for seed in range(80)]
    assert sum(one <= Rules().rate for one in said) <= 1
    # And p values are honest: at a rate of 0.2 no more than that share alarms, chance allowed for.
    assert sum(one <= 0.2 for one in said) <= 24


@pytest.mark.parametrize("size", [50, 64, 100, 120])
def test_a_reference_of_few_rows_is_no_reason_to_alarm(size: int) -> None:
    """Its rows of one scanner are hardly more than their columns: 20 windows of 60 rows, none of which has changed."""

    def of_one_scanner(seed: int, count: int) -> Columns:
        rows = made(Wanted(count=4 * count, seed=seed))
        rows = rows.take(np.flatnonzero(rows.devices == "Maker One R1")[:count])
        noise = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
        return replace(rows, embedding=noise)

    said = [survey(of_one_scanner(seed, size), of_one_scanner(500 + seed, 60), Rules()).surest for seed in range(20)]
    assert sum(one <= Rules().rate for one in said) == 0


@pytest.mark.parametrize("size", [0, 1])
def test_an_empty_window_and_one_row_say_nothing(ground: Ground, size: int) -> None:
    found = survey(ground, made(Wanted(count=20, seed=3)).take(np.arange(size)))
    assert found.findings == ()
    assert len(found.insufficient) == size


def test_without_a_reference_nothing_is_judged_and_that_is_said() -> None:
    rows = made(Wanted(count=100, seed=3))
    for reference in (none_of(rows), rows.take(np.arange(20))):
        found = survey(reference, made(Wanted(count=200, seed=4, shift=9.0)), Rules())
        assert found.findings == ()
        assert {one.device for one in found.insufficient} == set(rows.devices)
        assert all(one.m < 50 for one in found.insufficient)


def test_values_that_were_always_missing_are_no_news() -> None:
    def bare(rows: Columns) -> Columns:
        n = len(rows)
        numeric = {name: np.full(n, np.nan) for name in rows.numeric}
        categorical = {name: np.full(n, "") for name in rows.categorical}
        return replace(
            rows, numeric=numeric, categorical=categorical, embedding=np.full((n, 64), np.nan, np.float32),
            disagree=np.full(n, np.nan), sites=np.full(n, ""), devices=np.full(n, ""),
            at=np.full(n, np.datetime64("NaT", "us")),
        )  # fmt: skip

    assert judge(bare(made(Wanted(count=500, seed=1))), bare(made(Wanted(count=100, seed=2)))) == ()


def test_no_embedding_at_all_is_judged_by_the_rest() -> None:
    reference, rows = (replace(made(one), embedding=None) for one in (Wanted(count=900, seed=1), CHANGES["images"]))
    assert only(judge(reference, rows)).device == "Maker One R2"


@pytest.mark.parametrize("change", ["quiet", "images"])
def test_clocks_that_jump_move_nothing(ground: Ground, change: str) -> None:
    rows = made(CHANGES["images"] if change == "images" else Wanted(count=300, seed=21))
    at = rows.at.copy()
    at[100:150] -= np.timedelta64(400, "D")
    at[200:260] += np.timedelta64(9000, "D")
    at[270] = np.datetime64("NaT")
    jumped, straight = judge(ground, replace(rows, at=at)), judge(ground, rows)
    assert [(one.cause, one.first, one.affected) for one in jumped] == [
        (one.cause, one.first, one.affected) for one in straight
    ]


def test_the_same_rows_are_judged_the_same(ground: Ground) -> None:
    rows = made(CHANGES["images"])
    assert judge(ground, rows) == judge(made(Wanted(count=1500, seed=1)), rows, Rules())


def test_more_rows_than_are_looked_at_are_thinned_and_still_judged() -> None:
    few = Rules(lengths=(5, 50))
    reference = made(Wanted(count=1500, seed=1))
    rows = made(Wanted(count=60_000, seed=31, since=58_000, shift=2.0))
    assert [one.device for one in judge(reference, rows, few)] == ["Maker One R2"]
