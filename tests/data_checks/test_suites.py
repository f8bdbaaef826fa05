"""The suite `acquisition` by Great Expectations, over a ledger on each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from data_checks.catalog import catalog
from data_checks.check import Check, ClosedSet, Present, Range
from data_checks.suites import FAIL, INSUFFICIENT, PASS, SUITE, Window, run_acquisition
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition
from radloop.ledger import Ledger, acquisitions, checks, instances
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.tables import acquisitions as acquisition_table
from tests.radloop.ledger import rows

GOOD = Acquisition(
    instance_id="",
    version_id="",
    modality="CR",
    body_part="CHEST",
    view="PA",
    manufacturer="AcmeRay",
    photometric="MONOCHROME2",
    kvp=110.0,
    rows=1024,
    columns=1024,
    bits_stored=12,
    spacing=0.35,
    transfer_syntax="1.2.840.10008.1.2.1",
)


def fill(ledger: Ledger, *wanted: Acquisition) -> None:
    """Give each acquisition an instance, and keep it."""
    arrivals = [rows.arrival(f"1.2.{n}", f"1.2.{n}.1") for n in range(len(wanted))]
    with ledger.write() as conn:
        receipts = instances.record(conn, arrivals)
        made = [
            replace(one, instance_id=receipt.instance_id or "", version_id=receipt.version_id or "")
            for one, receipt in zip(wanted, receipts, strict=True)
        ]
        acquisitions.add(conn, made)


def now() -> Window:
    end = utc_now() + timedelta(seconds=1)
    return Window(end - timedelta(days=1), end)


def by_check(outcomes: tuple[CheckOutcome, ...]) -> dict[str, CheckOutcome]:
    return {one.check: one for one in outcomes}


def test_good_acquisitions_pass_every_check_that_may_judge_them(ledger: Ledger) -> None:
    fill(ledger, *[GOOD] * 20, replace(GOOD, modality="MR", view="", kvp=None, thickness=5.0, body_part="BRAIN"))
    found = by_check(run_acquisition(ledger, now()))
    assert set(found) == set(catalog())
    assert {name: one.outcome for name, one in found.items() if one.outcome != PASS} == {}
    assert found["kvp"].rows == 20, "only projections and CT are asked for their voltage"
    assert found["thickness"].rows == 1


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        ("modality", {"modality": "XX"}),
        ("photometric", {"photometric": "INVERTED"}),
        ("view", {"view": "UPSIDE DOWN"}),
        ("kvp", {"kvp": 110000.0}),
        ("rows", {"rows": 70000}),
        ("columns", {"columns": 1}),
        ("bits_stored", {"bits_stored": 1}),
        ("spacing", {"spacing": 350.0}),
        ("matrix_present", {"rows": None}),
    ],
)
def test_one_bad_row_fails_its_check_and_no_other(tmp_path: object, check: str, bad: dict[str, object]) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    fill(ledger, *[GOOD] * 20, replace(GOOD, **bad))  # type: ignore[arg-type]
    failed = [one for one in run_acquisition(ledger, now()) if one.outcome == FAIL]
    assert [(one.check, one.unexpected) for one in failed] == [(check, 1)]
    ledger.close()


def test_missing_values_fail_only_beyond_the_share_that_is_allowed(ledger: Ledger) -> None:
    nameless = replace(GOOD, body_part="")
    fill(ledger, *[GOOD] * 10, *[nameless] * 10)
    assert by_check(run_acquisition(ledger, now()))["body_part_present"].outcome == PASS
    with ledger.write() as conn:
        conn.execute(acquisition_table.update().values(body_part=""))
    failed = by_check(run_acquisition(ledger, now()))["body_part_present"]
    assert (failed.outcome, failed.unexpected) == (FAIL, 20)


def test_an_empty_window_says_insufficient_data(ledger: Ledger) -> None:
    fill(ledger, GOOD)
    past = Window(utc_now() - timedelta(days=3), utc_now() - timedelta(days=2))
    outcomes = run_acquisition(ledger, past)
    assert {one.outcome for one in outcomes} == {INSUFFICIENT}
    assert {one.rows for one in outcomes} == {0}


def test_too_few_rows_say_insufficient_data_for_a_share(ledger: Ledger) -> None:
    fill(ledger, *[replace(GOOD, manufacturer="")] * 19)
    found = by_check(run_acquisition(ledger, now()))
    assert found["manufacturer_present"].outcome == INSUFFICIENT
    assert found["modality"].outcome == PASS


def test_outcomes_are_kept_and_hold_no_value_of_a_row(ledger: Ledger) -> None:
    fill(ledger, replace(GOOD, modality="ZQTOKEN", description="ZQTOKEN"))
    outcomes = run_acquisition(ledger, now())
    with ledger.write() as conn:
        checks.add(conn, outcomes)
    with ledger.read() as conn:
        kept = checks.latest(conn, 100)
    assert {one.check for one in kept} == set(catalog())
    assert "ZQTOKEN" not in repr(kept)


@pytest.mark.parametrize("check", catalog().values(), ids=lambda check: check.name)
def test_every_check_names_a_column_and_a_rule_that_can_hold(check: Check) -> None:
    assert check.column in acquisition_table.c
    assert check.promise
    assert SUITE == "acquisition"
    match check.rule:
        case ClosedSet(values=values):
            assert len(set(values)) == len(values) > 0
        case Range(low=low, high=high):
            assert low is not None or high is not None
            assert low is None or high is None or low < high
        case Present(share=share):
            assert 0 < share <= 1
