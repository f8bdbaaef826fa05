"""Group commit: one transaction for all that wait, and each gets its own receipt."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection

from radloop.domain.errors import RadloopError, StorageFull, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import Arrival, Blob, InstanceHeader
from radloop.ledger import Ledger, instances
from radloop.ledger.instances import Outcome, Receipt
from serving.gateway import committer as module
from serving.gateway.committer import Committer, NotRecordable


def arrival(number: int, content: str = "0") -> Arrival:
    header = InstanceHeader(
        study_uid="1.2", series_uid="1.2.3", sop_uid=f"1.2.3.{number}", sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        transfer_syntax_uid="1.2.840.10008.1.2.1", modality="OT", patient_id="P1", issuer="", accession_number="",
    )  # fmt: skip
    blob = Blob(f"{number:032x}", content * 64, 10)
    return Arrival(header=header, blob=blob, content_sha256=content * 64, peer="modality", received_at=utc_now())


def test_what_waits_together_is_committed_together_and_each_gets_its_own_receipt(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    first_is_in, go = threading.Event(), threading.Event()
    real = instances.record

    def slow(conn: Connection, arrivals: Sequence[Arrival]) -> tuple[Receipt, ...]:
        batches.append(len(arrivals))
        first_is_in.set()
        assert go.wait(20.0)
        return real(conn, arrivals)

    monkeypatch.setattr(module.instances, "record", slow)
    committer = Committer(ledger)
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(committer.record, arrival(0))]
        assert first_is_in.wait(20.0)
        answers += [pool.submit(committer.record, arrival(number)) for number in range(1, 12)]
        while len(committer._queue) < 11:
            threading.Event().wait(0.01)
        go.set()
        receipts = [answer.result(20.0) for answer in answers]
    assert batches == [1, 11]
    assert [receipt.arrival.header.sop_uid for receipt in receipts] == [f"1.2.3.{number}" for number in range(12)]
    assert {receipt.outcome for receipt in receipts} == {Outcome.STORED}


def test_the_same_and_another_content_are_told_apart(ledger: Ledger) -> None:
    committer = Committer(ledger)
    outcomes = [committer.record(arrival(1, content)).outcome for content in ("a", "a", "b")]
    assert outcomes == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT]


@pytest.mark.parametrize("error", [Unavailable("locked"), StorageFull("full")])
def test_a_failed_commit_is_everyones_error_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RadloopError
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    committer = Committer(ledger)

    def failing(*_: object) -> tuple[Receipt, ...]:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(module.instances, "record", failing)
        with pytest.raises(type(error)):
            committer.record(arrival(1))
    assert committer.record(arrival(1)).outcome is Outcome.STORED
    ledger.close()


def test_an_arrival_that_the_ledger_refuses_costs_the_others_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = instances.record

    def picky(conn: Connection, arrivals: Sequence[Arrival]) -> tuple[Receipt, ...]:
        if any(one.header.sop_uid.endswith(".3") for one in arrivals):
            raise ValueError("not this one")
        return real(conn, arrivals)

    monkeypatch.setattr(module.instances, "record", picky)
    committer = Committer(ledger)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(committer.record, arrival(number)) for number in range(8)]
        failed = [number for number, answer in enumerate(answers) if answer.exception(20.0)]
    assert failed == [3]
    assert isinstance(answers[3].exception(), NotRecordable)


def test_a_defect_in_the_ledger_leaves_nobody_waiting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[Receipt, ...]:
        raise KeyError("a defect")

    monkeypatch.setattr(module.instances, "record", broken)
    committer = Committer(ledger)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(committer.record, arrival(number)) for number in range(4)]
        assert all(answer.exception(20.0) for answer in answers)
