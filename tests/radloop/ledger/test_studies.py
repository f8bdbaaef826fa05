from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from radloop.domain.enums import Signal, StudyState, Urgency
from radloop.domain.records import Evidence
from radloop.ledger import Ledger, instances, reports, results, studies
from tests.radloop.ledger.rows import NOW, arrival, result

LEASE = timedelta(seconds=6)
NUMBERS = count(1)


@pytest.fixture
def version_id(ledger: Ledger) -> str:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        assert studies.complete(conn, receipt.version_id, Evidence(signal=Signal.SINGLE_IMAGE), NOW, 1)
    return receipt.version_id


def test_a_study_is_not_complete_when_an_instance_arrived_since_it_was_counted(ledger: Ledger) -> None:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        instances.record(conn, [arrival(sop="1.2.3.5")])
        assert not studies.complete(conn, receipt.version_id, Evidence(), NOW, 1)


def test_a_claimed_study_is_claimed_again_only_after_its_lease_ended(ledger: Ledger, version_id: str) -> None:
    with ledger.write() as conn:
        assert len(studies.claim(conn, "a", NOW, NOW + LEASE, 8)) == 1
        assert studies.claim(conn, "b", NOW, NOW + LEASE, 8) == ()
        studies.renew(conn, "a", [version_id], NOW + 2 * LEASE)
        assert studies.claim(conn, "b", NOW + 1.5 * LEASE, NOW + 3 * LEASE, 8) == ()
        assert len(studies.claim(conn, "b", NOW + 2.1 * LEASE, NOW + 4 * LEASE, 8)) == 1
        assert not studies.answer(conn, version_id, "a", None, Urgency.ROUTINE, NOW)
        assert studies.answer(conn, version_id, "b", None, Urgency.ROUTINE, NOW)


def test_a_dead_owners_claims_are_given_back_at_once(ledger: Ledger, version_id: str) -> None:
    with ledger.write() as conn:
        studies.claim(conn, "host_1/77", NOW, NOW + LEASE, 8)
        assert studies.release(conn, "host%1/") == 0
        assert studies.release(conn, "host_1/") == 1
        assert studies.get(conn, version_id).state is StudyState.COMPLETE


def test_a_postponed_study_says_why_and_comes_due_later(ledger: Ledger, version_id: str) -> None:
    with ledger.write() as conn:
        studies.claim(conn, "a", NOW, NOW + LEASE, 8)
        assert studies.postpone(conn, version_id, "a", "AI unavailable", NOW + LEASE)
        assert studies.get(conn, version_id).reason == "AI unavailable"
        assert studies.claim(conn, "a", NOW, NOW + LEASE, 8) == ()
        assert len(studies.claim(conn, "a", NOW + LEASE, NOW + LEASE, 8)) == 1


def test_one_result_per_version_and_model_digest_and_it_reads_back_as_it_was(ledger: Ledger, version_id: str) -> None:
    first = result(version_id)
    with ledger.write() as conn:
        assert results.add(conn, first)
        assert not results.add(conn, result(version_id))
        assert results.of_version(conn, version_id) == (first,)


def test_a_later_version_names_the_earlier_result(ledger: Ledger, version_id: str) -> None:
    first = result(version_id)
    with ledger.write() as conn:
        results.add(conn, first)
        (late,) = instances.record(conn, [arrival(sop="1.2.3.9")])
        assert results.predecessor(conn, late.version_id, "cxr") == first
        assert results.predecessor(conn, version_id, "cxr") is None


def test_the_report_has_one_row_per_study_its_newest_version_first_arrived_last(
    ledger: Ledger, version_id: str
) -> None:
    with ledger.write() as conn:
        results.add(conn, result(version_id))
        instances.record(conn, [arrival("1.8", "1.8.1")])
    with ledger.read() as conn:
        rows = {row["study_uid"]: row for row in reports.study_rows(conn)}
        assert len(reports.study_rows(conn, limit=1)) == 1
    assert rows["1.2.3"]["results"][0]["findings"][0]["label"] == "Pneumonia"
    assert rows["1.8"]["state"] == "RECEIVING"


class Lifecycle(RuleBasedStateMachine):
    """Whatever the order of events, a version only ever moves forward and no instance is lost."""

    opened: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.study = f"1.7.{next(NUMBERS)}"
        self.sent: set[str] = set()
        self.answered: dict[str, int] = {}
        self.clock = NOW

    @rule(n=st.integers(0, 5))
    def arrive(self, n: int) -> None:
        with self.opened.write() as conn:
            instances.record(conn, [arrival(self.study, f"{self.study}.{n}")])
        self.sent.add(f"{self.study}.{n}")

    @precondition(lambda self: self.sent)
    @rule()
    def complete(self) -> None:
        with self.opened.write() as conn:
            version = studies.latest_of(conn, self.study)
            studies.complete(conn, version.id, Evidence(signal=Signal.QUIET_PERIOD), self.clock, version.instances)

    @rule(owner=st.sampled_from(["a", "b"]), crash=st.booleans())
    def read(self, owner: str, crash: bool) -> None:
        self.clock += 2 * LEASE
        with self.opened.write() as conn:
            claimed = studies.claim(conn, owner, self.clock, self.clock + LEASE, 99)
        for version in claimed if not crash else ():
            with self.opened.write() as conn:
                assert studies.answer(conn, version.id, owner, None, Urgency.ROUTINE, self.clock)
            self.answered[version.id] = version.instances

    @invariant()
    def nothing_is_lost(self) -> None:
        with self.opened.read() as conn:
            version = studies.latest_of(conn, self.study)
            assert (version.instances if version else 0) == len(self.sent)
            for version_id, held in self.answered.items():
                done = studies.get(conn, version_id)
                assert (done.state, done.instances) == (StudyState.ANSWERED, held)


def test_the_study_state_machine_holds_for_any_order_of_events(ledger: Ledger) -> None:
    machine = type("Machine", (Lifecycle,), {"opened": ledger})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
