"""Statuses of real associations, the tables behind them, and the reader of file meta information."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association

from integrations.dimse import ADAPTER, Commitment, request_commitment
from integrations.dimse.association import Checkpoint
from integrations.dimse.part10 import read_meta
from integrations.dimse.statuses import rejection, store_outcome
from radloop.domain.errors import RadloopError, RefusedByPeer, Unavailable, Unparsable
from radloop.domain.records import Accepted
from tests.integrations.dimse.test_dimse_send import peer_at
from tests.peers.dicom_files import dicom_file
from tests.peers.parcels import parcel

COMMITMENT = "1.2.840.10008.1.20.1"


@contextmanager
def answering(*statuses: int) -> Iterator[int]:
    """The port of an SCP that answers each C-STORE, or N-ACTION, with the next status."""
    left = list(statuses)

    def on_store(event: evt.Event) -> int:
        return left.pop(0)

    def on_action(event: evt.Event) -> tuple[int, None]:
        return left.pop(0), None

    ae = AE(ae_title="STORESCP")
    ae.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    ae.add_supported_context(COMMITMENT)
    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_N_ACTION, on_action)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        ae.shutdown()


def test_every_status_of_one_association_is_read_by_itself() -> None:
    statuses = (0x0000, 0xB000, 0xA700, 0xA900, 0xC123, 0x0122, 0x0111, 0x0110, 0x0000)
    with answering(*statuses) as port:
        outcomes = ADAPTER.send(peer_at(port), [parcel(dicom_file()) for _ in statuses])
    assert outcomes[0] == outcomes[8] == Accepted()
    assert outcomes[1] == Accepted(("0xB000",))
    assert outcomes[6] == Accepted(("0x0111",))
    kinds = [type(outcome) for outcome in (*outcomes[2:6], outcomes[7])]
    assert kinds == [Unavailable, RefusedByPeer, RefusedByPeer, RefusedByPeer, Unavailable]
    assert "0xC123" in str(outcomes[4])


def test_commitment_is_asked_for() -> None:
    with answering(0x0000) as port:
        request_commitment(peer_at(port), [Commitment(SecondaryCaptureImageStorage, "1.2.3")], "1.2.4")


def test_commitment_refused_is_an_error() -> None:
    with answering(0x0122) as port, pytest.raises(RefusedByPeer, match="0x0122"):
        request_commitment(peer_at(port), [Commitment(SecondaryCaptureImageStorage, "1.2.3")], "1.2.4")


# Our release may cross the peer's report: pynetdicom's own thread then ends on an event that PS3.8 has no row for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_on_the_same_association_does_no_harm_and_is_asked_for_again() -> None:
    """The peer hears 0x0110, or that we are gone, and has to report over an association of its own (PS3.4 J.3.3)."""
    said = []

    def on_action(event: evt.Event) -> tuple[int, None]:
        thread = threading.Thread(target=report, args=(event.assoc, event.action_information.TransactionUID))
        thread.start()
        threads.append(thread)
        return 0x0000, None

    def report(assoc: Association, transaction_uid: str) -> None:
        information = Dataset()
        information.TransactionUID = transaction_uid
        try:
            status, _ = assoc.send_n_event_report(information, 1, COMMITMENT, COMMITMENT + ".1")
        except RuntimeError:
            return
        said.append(status.get("Status"))

    threads: list[threading.Thread] = []
    ae = AE(ae_title="STORESCP")
    ae.dimse_timeout = 5
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, on_action)])
    try:
        port = server.socket.getsockname()[1]
        request_commitment(peer_at(port), [Commitment(SecondaryCaptureImageStorage, "1.2.3")], "1.2.4")
    finally:
        for thread in threads:
            thread.join(10.0)
        ae.shutdown()
    assert said in ([], [None], [0x0110])


@given(st.integers(0, 0xFFFF))
@example(0x0000)
@example(0xB007)
def test_every_status_has_an_outcome_and_only_success_and_warnings_are_taken(status: int) -> None:
    outcome = store_outcome("pacs", status)
    warned = 0xB000 <= status <= 0xBFFF or status in {0x0001, 0x0107, 0x0111, 0x0116}
    assert isinstance(outcome, Accepted) == (status == 0 or warned)
    if isinstance(outcome, Accepted):
        assert outcome.warnings == ((f"0x{status:04X}",) if warned else ())


def test_no_response_is_worth_another_try() -> None:
    assert isinstance(store_outcome("pacs", None), Unavailable)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(0, 255))
def test_a_rejection_is_final_only_where_it_says_so(result: int, source: int, reason: int) -> None:
    expected = Unavailable if result == 2 or source == 3 else RefusedByPeer
    assert type(rejection("pacs", result, source, reason)) is expected


FILE = dicom_file()


def test_the_meta_of_a_file_is_read() -> None:
    meta = read_meta(FILE)
    assert (meta.sop_class_uid, meta.transfer_syntax_uid) == (SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    assert FILE[meta.offset : meta.offset + 2] == b"\x08\x00"
    assert meta.sop_uid not in repr(meta)


@given(st.integers(0, read_meta(FILE).offset - 1))
def test_a_file_cut_within_its_meta_is_never_misread(length: int) -> None:
    try:
        meta = read_meta(FILE[:length])
    except Unparsable:
        return
    assert meta.offset <= length, "cut after the three UIDs"
    assert replace(meta, offset=0) == replace(read_meta(FILE), offset=0)


@given(st.binary(max_size=300))
@example(b"\x02\x00\x00\x00OB\0\0\xff\xff\xff\xff")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        meta = read_meta(b"\0" * 128 + b"DICM" + data)
    except RadloopError as error:
        assert isinstance(error, Unparsable)
    else:
        assert meta.offset <= 132 + len(data)


def test_whoever_is_let_go_passes_however_soon_it_is_stopped_again() -> None:
    gate, passed, ended = Checkpoint(), 0, threading.Event()

    def walk() -> None:
        nonlocal passed
        while not ended.is_set():
            gate.wait()
            passed += 1

    walker = threading.Thread(target=walk)
    walker.start()
    try:
        for _ in range(300):
            gate.clear()
            before = passed
            gate.set()
            gate.clear()
            assert passed > before
    finally:
        ended.set()
        gate.set()
        walker.join(10)
