"""The suite `labels`: what a cohort has to be before a model learns from it."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from flows import cohort_checks
from flows.house import House
from radloop.domain.enums import Awareness, Split
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.learning import Cohort, CohortMember, Facts, Label
from radloop.ledger import checks
from radloop.ledger.tables import audit_events
from tests.flows import cards, traffic
from tests.flows.test_watch import OLD, send


def member(number: int, split: Split = Split.TRAIN, value: int | None = None) -> CohortMember:
    return CohortMember(
        copy_id=f"tc_{number}",
        patient=f"pa_{number}",
        instance_id=None,
        content_sha256=f"c{number}",
        pixel_sha256=f"p{number}",
        split=split,
        label=Label(
            target="pneumonia",
            value=number % 2 if value is None else value,
            reader="ann",
            awareness=Awareness.BLINDED,
            origin="import",
        ),
        facts=Facts(scanner="AcmeRay X1"),
        stratum="import",
        probability=1.0,
    )


def cohort(*members: CohortMember) -> Cohort:
    return Cohort(id="co_1", digest="d" * 64, model=cards.NAME, members=members, left_out=(), actor="ann", at=utc_now())


GOOD = tuple(member(n, (Split.TRAIN, Split.VALIDATION, Split.TEST)[n % 3]) for n in range(60))


def held(house: House, one: Cohort) -> dict[str, str]:
    return {found.check.partition(".")[2]: found.outcome for found in cohort_checks.hold(house, one, "ann")}


def test_a_fair_cohort_passes_and_its_outcomes_are_kept(house: House) -> None:
    assert held(house, cohort(*GOOD)) == {
        "balance": "pass", "leakage": "pass", "integrity": "pass", "envelope": "insufficient data",
    }  # fmt: skip
    with house.ledger.read() as conn:
        assert {one.suite for one in checks.latest(conn, 10)} == {"labels"}


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ((*GOOD, replace(member(0), split=Split.TEST, copy_id="x")), "leakage"),
        ((*GOOD, replace(member(99), patient="pa_1")), "leakage"),
        (tuple(member(n, value=int(n == 0)) for n in range(60)), "balance"),
        ((), "balance"),
    ],
)
def test_a_cohort_that_leaks_or_has_one_label_is_refused_on_record(
    house: House, members: tuple[CohortMember, ...], check: str
) -> None:
    with pytest.raises(Rejected, match=check):
        cohort_checks.hold(house, cohort(*members), "ann")
    with house.ledger.read() as conn:
        assert {one.check: one.outcome for one in checks.latest(conn, 10)}[f"{cards.NAME}.{check}"] == "fail"
        e = audit_events.c
        assert conn.scalar(select(e.actor).where(e.action == "training.deny", e.object_id == "co_1")) == "ann"


def test_scanners_of_live_traffic_that_the_cohort_never_saw_are_said_and_refuse_nothing(house: House) -> None:
    send(house, OLD, 60)
    assert held(house, cohort(*GOOD))["envelope"] == "pass"
    send(house, traffic.Scanner(model_name="X2", station="S9"), 30, seed=5)
    assert held(house, cohort(*GOOD))["envelope"] == "fail"
