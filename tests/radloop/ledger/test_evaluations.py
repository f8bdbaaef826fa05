from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from radloop.domain.enums import GateOutcome, Split
from radloop.domain.errors import NotFound
from radloop.domain.ids import new_id
from radloop.domain.learning import Evaluation, GateVerdict
from radloop.ledger import Ledger, evaluations
from radloop.ledger.learning import cohort_members, cohorts, patients, training_copies
from tests.radloop.ledger.rows import NOW

PASSED = GateVerdict(
    gate="auc_champion", outcome=GateOutcome.PASS, value=0.01, low=-0.02, high=0.04, margin=0.05, n=400, words="fine"
)
UNMEASURED = replace(PASSED, gate="ece", outcome=GateOutcome.INSUFFICIENT_EVIDENCE, value=None, low=None, high=None)


def cohort(ledger: Ledger, name: str, copies: range, split: Split = Split.TEST, model: str = "m") -> str:
    """A cohort of copies by number; the copies are made where they are missing."""
    facts = {"model": "m", "patient": "pa", "site": "", "scanner": "", "sex": "", "age_band": "", "at": NOW}
    with ledger.write() as conn:
        there = set(conn.scalars(training_copies.select().with_only_columns(training_copies.c.id)))
        if not there:
            conn.execute(insert(patients).values(id="pa", patient_id="1", issuer=""))
        rows = [{"id": f"c{n}", "content_sha256": f"c{n}", "pixel_sha256": f"p{n}", **facts} for n in copies]
        if new := [row for row in rows if row["id"] not in there]:
            conn.execute(insert(training_copies), new)
        values = {"id": name, "digest": name, "model": model, "manifest": "{}", "left_out": [], "actor": "ann"}
        conn.execute(insert(cohorts).values(**values, at=NOW))
        members = [{"cohort_id": name, "copy_id": f"c{n}", "split": split.value} for n in copies]
        conn.execute(insert(cohort_members), members)
    return name


def look(cohort_id: str, number: int = 1, **changes: object) -> Evaluation:
    made = Evaluation(
        id=new_id("ev"),
        model="m",
        digest="d" * 64,
        champion="c" * 64,
        original=None,
        cohort_id=cohort_id,
        plan_sha256="a" * 64,
        look=number,
        alpha=0.025,
        outcome=GateOutcome.INSUFFICIENT_EVIDENCE,
        gates=(),
        actor="ann",
        at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_look_is_kept_undecided_and_concluded_once(ledger: Ledger) -> None:
    draft = look(cohort(ledger, "one", range(4)))
    with ledger.write() as conn:
        evaluations.add(conn, draft)
    with ledger.write() as conn:
        assert evaluations.get(conn, draft.id) == draft
        assert evaluations.conclude(conn, draft.id, GateOutcome.PASS, [PASSED, UNMEASURED])
    with ledger.write() as conn:
        assert not evaluations.conclude(conn, draft.id, GateOutcome.FAIL, [UNMEASURED])
        assert not evaluations.conclude(conn, "nobody", GateOutcome.FAIL, [UNMEASURED])
        found = evaluations.of_digest(conn, draft.digest)
    assert found == (replace(draft, outcome=GateOutcome.PASS, gates=(PASSED, UNMEASURED)),)


def test_one_look_has_one_number(ledger: Ledger) -> None:
    name = cohort(ledger, "one", range(4))
    with ledger.write() as conn:
        evaluations.add(conn, look(name))
    with pytest.raises(IntegrityError), ledger.write() as conn:
        evaluations.add(conn, look(name))


def test_looks_at_a_test_set_count_also_under_another_name_where_enough_images_are_the_same(ledger: Ledger) -> None:
    first = cohort(ledger, "first", range(10))
    grown = cohort(ledger, "grown", range(18))
    fresh = cohort(ledger, "fresh", range(100, 110))
    trained_on = cohort(ledger, "trained", range(10), Split.TRAIN)
    with ledger.write() as conn:
        evaluations.add(conn, look(first, 1))
        evaluations.add(conn, look(first, 2))
        assert evaluations.looks(conn, first) == 2
        assert evaluations.looks(conn, grown) == 0
        assert evaluations.looks(conn, grown, shared=0.5) == 2
        assert evaluations.looks(conn, grown, shared=0.6) == 0
        assert evaluations.looks(conn, fresh, shared=0.1) == 0
        with pytest.raises(NotFound):
            evaluations.looks(conn, trained_on)
        with pytest.raises(NotFound):
            evaluations.hold(conn, "nobody")


def test_looks_that_race_get_different_numbers(ledger: Ledger) -> None:
    name = cohort(ledger, "one", range(4))

    def take(_: int) -> int:
        with ledger.write() as conn:
            evaluations.hold(conn, name)
            number = evaluations.looks(conn, name) + 1
            evaluations.add(conn, look(name, number))
            return number

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(take, range(8))) == list(range(1, 9))


def test_the_newest_evaluation_comes_first(ledger: Ledger) -> None:
    name = cohort(ledger, "one", range(4))
    old, new, other = look(name, 1), look(name, 2, at=NOW.replace(year=2027)), look(name, 3, digest="e" * 64, model="n")
    with ledger.write() as conn:
        for one in (old, new, other):
            evaluations.add(conn, one)
        assert evaluations.of_digest(conn, "d" * 64) == (new, old)
        assert evaluations.known(conn, "m") == (new, old)
        assert {one.id for one in evaluations.known(conn)} == {old.id, new.id, other.id}
