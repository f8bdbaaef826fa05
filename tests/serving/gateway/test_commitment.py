"""N-EVENT-REPORT of storage commitment at the door: who may report, what is taken, and when it is acknowledged."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel

from radloop.domain.enums import ObjectKind, Urgency
from radloop.domain.errors import TooLarge, Unavailable, Unparsable
from radloop.domain.ids import utc_now
from radloop.ledger import Ledger, commitments, deliveries, instances, objects, results
from serving.gateway.association import EventReport
from serving.gateway.commitment import WELL_KNOWN_INSTANCE, CommitmentAnswers, read_answer
from tests.clock import until
from tests.radloop.ledger.rows import arrival, result, stored
from tests.serving.gateway.door import AE_TITLE, Door, make_home, open_door, process_door
from tests.serving.gateway.sender import associated, hearing, instance, rejection_in, store
from tests.serving.gateway.test_dimse import event_report, pdus_of, store_request

# pynetdicom's requestor leaves its socket to the collector where the other side closed first (`_shutdown_socket`).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PEERS = """
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 104
roles = ["results"]
commitment = true
[peers.archive]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 104
roles = ["results"]
commitment = true
[peers.workstation]
ae_title = "WORKSTATION"
host = "127.0.0.1"
port = 104
roles = ["results"]
[peers.modality]
ae_title = "MODALITY"
host = "127.0.0.1"
roles = ["source"]
[peers.twofold_source]
ae_title = "TWOFOLD"
host = "127.0.0.1"
roles = ["source"]
[peers.twofold]
ae_title = "TWOFOLD"
host = "127.0.0.1"
port = 104
roles = ["results"]
commitment = true
"""
TRANSACTION = "2.25.100"
SR, SC = "2.25.1", "2.25.2"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A gateway, and two objects that `pacs` was asked to keep."""
    with open_door(make_home(tmp_path / "home", peers=PEERS)) as opened:
        ask(opened, "pacs", TRANSACTION)
        yield opened


def ask(door: Door, peer: str, transaction: str) -> None:
    now = utc_now()
    with door.ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        answer = result(receipt.version_id)
        results.add(conn, answer)
        for made in (stored(answer.id, ObjectKind.SR, SR), stored(answer.id, ObjectKind.SC, SC)):
            objects.add(conn, made)
            deliveries.queue(conn, made, receipt.version_id, peer, Urgency.URGENT)
        for one in deliveries.claim(conn, peer, "runner", utc_now(), utc_now(), 10):
            deliveries.accepted(conn, one.id, [], now)
            commitments.expect(conn, one.id, now)
        assert len(commitments.ask(conn, peer, transaction, utc_now(), 10, float)) == 2


def states(door: Door) -> dict[str, str]:
    with door.ledger.read() as conn:
        found = deliveries.counts(conn)
    return {state: number for state, number in found.items() if number}


def information(
    *kept: str, failed: tuple[str, ...] = (), reason: int = 0x0112, transaction: str = TRANSACTION
) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction
    ds.RetrieveAETitle = "PACS"
    ds.ReferencedSOPSequence = Items([_item(uid) for uid in kept])
    if failed:
        ds.FailedSOPSequence = Items([_item(uid, reason) for uid in failed])
    return ds


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = SecondaryCaptureImageStorage, uid
    if reason is not None:
        item.FailureReason = reason
    return item


@contextmanager
def reporting(
    door: Door,
    calling: str = "PACS",
    roles: bool = True,
    syntax: str = ExplicitVRLittleEndian,
    heard: list[object] | None = None,
) -> Iterator[Association]:
    """An association of a storage commitment SCP."""
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    role = [build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)] if roles else []
    contexts = [build_context(StorageCommitmentPushModel, syntax)]
    assoc = ae.associate(
        "127.0.0.1",
        door.dicom_port,
        contexts=contexts,
        ae_title=AE_TITLE,
        ext_neg=role,
        evt_handlers=hearing(heard),
    )
    raw = assoc.dul.socket.socket if assoc.dul.socket else None
    try:
        yield assoc
        if assoc.is_established:
            assoc.release()
    finally:
        if raw is not None:
            raw.close()


def report(
    assoc: Association,
    ds: Dataset,
    event_type: int = 1,
    instance_uid: str = WELL_KNOWN_INSTANCE,
    sop_class: str = StorageCommitmentPushModel,
) -> int:
    status, _ = assoc.send_n_event_report(ds, event_type, sop_class, instance_uid, meta_uid=StorageCommitmentPushModel)
    return int(status.Status)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_report_of_the_peer_as_scp_commits_what_it_keeps(door: Door, syntax: str) -> None:
    with reporting(door, syntax=syntax) as assoc:
        (context,) = assoc.accepted_contexts
        assert (context.as_scu, context.as_scp) == (False, True)
        assert report(assoc, information(SR, SC)) == 0x0000
        assert states(door) == {"COMMITTED": 2}
    assert len(door.audited("committed")) == 2


def test_what_the_peer_does_not_keep_is_queued_again_with_its_reason(door: Door) -> None:
    with reporting(door) as assoc:
        assert report(assoc, information(SR, failed=(SC,)), event_type=2) == 0x0000
    assert states(door) == {"COMMITTED": 1, "QUEUED": 1}
    with door.ledger.read() as conn:
        (queued,) = deliveries.unfinished(conn)
    assert queued.error == "not committed: 0x0112 no such object instance"
    assert door.audited("not committed") == [queued.id]


def test_a_peer_that_selects_no_role_is_heard_as_well(door: Door) -> None:
    """PS3.7 D.3.3.4 wants role selection; an SCP that left it out said the same by what it sends."""
    with reporting(door, roles=False) as assoc:
        assert len(assoc.accepted_contexts) == 1
        assoc.accepted_contexts[0]._as_scp = True
        assert report(assoc, information(SR, SC)) == 0x0000
    assert states(door) == {"COMMITTED": 2}


def test_a_repeated_report_is_taken_again_and_changes_nothing(door: Door) -> None:
    with reporting(door) as assoc:
        for _ in range(3):
            assert report(assoc, information(SR, failed=(SC,)), event_type=2) == 0x0000
    assert states(door) == {"COMMITTED": 1, "QUEUED": 1}
    assert len(door.audited("committed")) == len(door.audited("not committed")) == 1


def test_a_stranger_cannot_associate_and_a_peer_that_is_not_asked_gets_no_context(door: Door) -> None:
    heard: list[object] = []
    with reporting(door, "STRANGER", heard=heard):
        assert rejection_in(heard) == (1, 1, 3)
    for peer in ("WORKSTATION", "MODALITY"):
        with reporting(door, peer) as assoc:
            assert {cx.result for cx in assoc.rejected_contexts} == {3}
            assert not assoc.accepted_contexts
    assert states(door) == {"ACCEPTED": 2}


def test_a_peer_cannot_answer_for_another(door: Door) -> None:
    with reporting(door, "ARCHIVE") as assoc:
        assert report(assoc, information(SR, SC)) == 0x0115
    assert states(door) == {"ACCEPTED": 2}


def test_a_system_with_a_second_name_as_a_source_answers_under_the_one_that_was_asked(tmp_path: Path) -> None:
    with open_door(make_home(tmp_path / "home", peers=PEERS)) as door:
        ask(door, "twofold", TRANSACTION)
        with reporting(door, "TWOFOLD") as assoc:
            assert report(assoc, information(SR, SC)) == 0x0000
        assert states(door) == {"COMMITTED": 2}


def test_what_is_no_answer_of_ours_gets_the_status_that_says_so_and_changes_nothing(door: Door) -> None:
    unknown, none = information(SR, SC, transaction="2.25.101"), information(SR, SC)
    del none.TransactionUID
    with reporting(door) as assoc:
        assert report(assoc, unknown) == 0x0115
        assert report(assoc, none) == 0x0212
        assert report(assoc, information(SR, SC), event_type=3) == 0x0113
        assert report(assoc, information(SR, SC), instance_uid="1.2.3") == 0x0112
        assert report(assoc, information(SR, SC), sop_class=SecondaryCaptureImageStorage) == 0x0118
        assert report(assoc, information(*(f"2.25.{n}" for n in range(20_000)))) == 0x0213
        assert states(door) == {"ACCEPTED": 2}
        assert report(assoc, information(SR, SC)) == 0x0000, "the association outlives them all"
    assert door.set_aside == ()


def test_nothing_is_acknowledged_before_the_commit_and_the_report_may_come_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit fails after everything was done in it: the peer is told, and nothing is half done."""
    with reporting(door) as assoc:
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "write", _fails_at_commit(Ledger.write))
            assert report(assoc, information(SR, SC)) == 0x0110
        assert states(door) == {"ACCEPTED": 2}
        assert report(assoc, information(SR, SC)) == 0x0000
    assert states(door) == {"COMMITTED": 2}
    assert len(door.audited("committed")) == 2


def test_an_answer_that_never_reached_the_peer_is_repeated_harmlessly(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between our commit and our response."""
    with monkeypatch.context() as patch, reporting(door) as assoc:
        patch.setattr(CommitmentAnswers, "report", _dies_after(CommitmentAnswers.report))
        assoc.dimse_timeout = 1
        with contextlib.suppress(AttributeError):
            report(assoc, information(SR, SC))
    assert states(door) == {"COMMITTED": 2}
    with reporting(door) as assoc:
        assert report(assoc, information(SR, SC)) == 0x0000
    assert len(door.audited("committed")) == 2


def test_what_was_acknowledged_outlives_a_kill_and_may_be_reported_to_the_next_gateway(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", peers=PEERS)
    with process_door(home) as (door, process):
        ask(door, "pacs", TRANSACTION)
        with reporting(door) as assoc:
            assert report(assoc, information(SR, SC)) == 0x0000
            process.kill()
            process.wait(10)
    (home / "run" / "gateway.json").unlink()
    with process_door(home) as (door, _):
        assert states(door) == {"COMMITTED": 2}
        with reporting(door) as assoc:
            assert report(assoc, information(SR, SC)) == 0x0000
        assert len(door.audited("committed")) == 2


def test_the_context_of_commitment_takes_no_instance(door: Door) -> None:
    sent = instance()
    with reporting(door) as assoc:
        send_as_it_is(assoc, store_request(sent.sop_class, sent.sop_uid, sent.data))
        until(lambda: assoc.is_aborted)
    assert door.set_aside == ()
    assert sent.sop_uid not in {one.header.sop_uid for one in door.instances}


def test_a_context_of_storage_takes_no_report(door: Door) -> None:
    with associated(door.dicom_port, calling="TWOFOLD") as assoc:
        assert store(assoc, instance()) == 0x0000
        data = encode(information(SR, SC), is_implicit_vr=False, is_little_endian=True)
        send_as_it_is(assoc, event_report(data))
        until(lambda: assoc.is_aborted)
    assert states(door) == {"ACCEPTED": 2}


def send_as_it_is(assoc: Association, message: object) -> None:
    """In the last context of the association, whatever that is for."""
    context_id = max(context.context_id for context in assoc.accepted_contexts)
    for pdu in pdus_of(message, 16384):
        assoc.dul.socket.send(pdu[:10] + bytes([context_id]) + pdu[11:])


def reported(data: bytes | None, syntax: str = ExplicitVRLittleEndian) -> EventReport:
    return EventReport(
        sop_class_uid=StorageCommitmentPushModel,
        sop_uid=WELL_KNOWN_INSTANCE,
        event_type=1,
        transfer_syntax_uid=syntax,
        data=None if data is None else memoryview(data),
        peers=frozenset(("pacs",)),
    )


@given(st.binary(max_size=400), st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
def test_bytes_that_are_no_event_information_are_refused_and_nothing_worse(data: bytes, syntax: str) -> None:
    with pytest.raises(Unparsable):
        read_answer(reported(data, syntax))


@given(st.data())
def test_information_that_was_cut_or_spoiled_is_refused_or_read_and_nothing_worse(data: st.DataObject) -> None:
    whole = bytearray(encode(information(SR, failed=(SC,)), is_implicit_vr=False, is_little_endian=True) or b"")
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Unparsable):
        read_answer(reported(bytes(whole)))
    with contextlib.suppress(Unparsable):
        read_answer(reported(bytes(whole[:at])))


@pytest.mark.parametrize("undefined", [True, False], ids=["undefined length", "defined length"])
def test_sequences_are_read_with_and_without_lengths(undefined: bool) -> None:
    ds = information(SR, failed=(SC,), reason=0x0001)
    for name in ("ReferencedSOPSequence", "FailedSOPSequence"):
        ds[name].is_undefined_length = undefined
        for item in ds[name].value:
            item.is_undefined_length_sequence_item = undefined
    answer = read_answer(reported(encode(ds, is_implicit_vr=False, is_little_endian=True)))
    assert (answer.transaction_uid, answer.kept) == (TRANSACTION, {SR})
    assert answer.failed == {SC: "not committed: 0x0001 not in the standard"}


def test_information_that_was_let_go_is_too_large() -> None:
    with pytest.raises(TooLarge):
        read_answer(reported(None))


def _fails_at_commit(write: object) -> object:
    @contextmanager
    def failing(self: Ledger) -> Iterator[object]:
        with write(self) as conn:  # type: ignore[operator]
            yield conn
            raise Unavailable("the ledger went away")

    return failing


def _dies_after(report: object) -> object:
    def dying(self: CommitmentAnswers, said: EventReport) -> int:
        report(self, said)  # type: ignore[operator]
        raise ConnectionAbortedError

    return dying
