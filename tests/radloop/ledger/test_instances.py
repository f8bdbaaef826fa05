from concurrent.futures import ThreadPoolExecutor

from radloop.domain.enums import StudyState, Urgency
from radloop.domain.records import Evidence, Order
from radloop.ledger import Ledger, blobs, instances, objects, orders, results, studies
from radloop.ledger.instances import Outcome
from tests.radloop.ledger.rows import NOW, arrival, result, stored


def test_the_same_bytes_twice_make_one_row_even_in_one_batch(ledger: Ledger) -> None:
    with ledger.write() as conn:
        receipts = instances.record(conn, [arrival(), arrival()])
    with ledger.write() as conn:
        again = instances.record(conn, [arrival()])
        assert instances.count(conn) == 1
    assert [r.outcome for r in (*receipts, *again)] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.DUPLICATE]


def test_other_bytes_under_the_same_uid_are_a_conflict_and_change_nothing(ledger: Ledger) -> None:
    with ledger.write() as conn:
        instances.record(conn, [arrival(content="c1")])
        (receipt,) = instances.record(conn, [arrival(content="c2")])
        assert receipt.outcome is Outcome.CONFLICT
        assert instances.known_content(conn, "1.2.3.4") == "c1"


def test_a_late_instance_opens_the_next_version_which_counts_the_whole_study(ledger: Ledger) -> None:
    with ledger.write() as conn:
        (first,) = instances.record(conn, [arrival()])
        assert studies.complete(conn, first.version_id, Evidence(), NOW, 1)
        (late,) = instances.record(conn, [arrival(sop="1.2.3.5", modality="MR")])
        version = studies.get(conn, late.version_id)
        assert (version.number, version.state, version.instances) == (2, StudyState.RECEIVING, 2)
        assert version.modalities == ("CR", "MR")
        assert len(instances.of_version(conn, first.version_id)) == 1
        assert len(instances.of_version(conn, late.version_id)) == 2


def test_an_object_of_ours_that_comes_back_is_recognised(ledger: Ledger) -> None:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        answer = result(receipt.version_id)
        results.add(conn, answer)
        objects.add(conn, stored(answer.id, identifier="2.25.77"))
        (own,) = instances.record(conn, [arrival(sop="2.25.77")])
        assert own.outcome is Outcome.OWN
        assert instances.count(conn) == 1


def test_a_study_that_was_ordered_urgently_is_claimed_first(ledger: Ledger) -> None:
    stat = Order(
        accession_number="A2",
        placer_number="P",
        filler_number="F",
        patient_id="P1",
        issuer="",
        priority=Urgency.CRITICAL,
    )
    with ledger.write() as conn:
        orders.record(conn, stat, "ris")
        receipts = instances.record(
            conn,
            [arrival("1.1", "1.1.1"), arrival("1.2", "1.2.1", accession_number="A2"), arrival("1.3", "1.3.1")],
        )
        for receipt in receipts:
            studies.complete(conn, receipt.version_id, Evidence(), NOW, 1)
        (claimed,) = studies.claim(conn, "runner", NOW, NOW, 1)
    assert claimed.study_uid == "1.2"


def test_concurrent_batches_lose_and_double_nothing(ledger: Ledger) -> None:
    def send(worker: int) -> None:
        for n in range(10):
            with ledger.write() as conn:
                instances.record(conn, [arrival("1.9", f"1.9.{n}"), arrival("1.9", f"1.9.{worker}.{n}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(100, 104)))
    with ledger.read() as conn:
        (version,) = studies.receiving(conn)
        assert version.instances == instances.count(conn) == 50


def test_blobs_that_no_row_names_are_told_apart(ledger: Ledger) -> None:
    kept = arrival()
    with ledger.write() as conn:
        instances.record(conn, [kept])
        assert blobs.referenced(conn, [kept.blob.key, "orphan"]) == {kept.blob.key}
