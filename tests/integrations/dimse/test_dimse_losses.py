"""Peers that accept an association and then fail: within a response, on one object, or without end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from integrations.dimse import ADAPTER, StudyQuery, find_studies, query
from integrations.dimse.association import Checkpoint
from radloop.domain.errors import TooLarge, Unavailable
from radloop.domain.records import Accepted
from tests.clock import until
from tests.integrations.dimse.test_dimse_send import peer_at
from tests.peers.dicom_files import dicom_file
from tests.peers.parcels import parcel
from tests.peers.sockets import hostile, silent

Handler = Callable[[evt.Event], object]


@contextmanager
def scp(on_store: Handler | None = None, on_find: Handler | None = None) -> Iterator[int]:
    """The port of an SCP with these handlers."""
    ae = AE(ae_title="STORESCP")
    ae.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    given = ((evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, on_find))
    handlers = [(event, handler) for event, handler in given if handler]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        ae.shutdown()


HALF_A_RESPONSE = b"\x04\x00\x00\x00\x00\x80\x00\x00"


@pytest.mark.parametrize("every", [None, 0.3], ids=["stopped", "drip"])
def test_a_peer_that_stops_within_a_response_holds_nobody(every: float | None) -> None:
    stop = threading.Event()

    def on_store(event: evt.Event) -> int:
        sock = event.assoc.dul.socket.socket
        sock.sendall(HALF_A_RESPONSE)
        while not stop.wait(every):
            try:
                sock.sendall(b"\0")
            except OSError:
                break
        return 0x0000

    with scp(on_store) as port:
        begun = time.monotonic()
        outcomes = ADAPTER.send(peer_at(port, answer_seconds=1.0), [parcel(dicom_file()) for _ in range(4)])
        taken = time.monotonic() - begun
        stop.set()
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
    assert taken < 25


# The SCP of this test, not our side, leaves its aborted socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_object_that_a_peer_cannot_stand_does_not_hold_the_others() -> None:
    poison = dicom_file(PatientID="POISON")

    def on_store(event: evt.Event) -> int:
        if event.dataset.PatientID == "POISON":
            event.assoc.abort()
        return 0x0000

    with scp(on_store) as port:
        outcomes = ADAPTER.send(peer_at(port), [parcel(poison), *(parcel(dicom_file()) for _ in range(3))])
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Accepted, Accepted, Accepted]


def test_a_peer_without_end_of_matches_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MOST_MATCHES", 5)

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        while not event.assoc.is_aborted:
            match = Dataset()
            match.StudyInstanceUID = "1.2"
            yield 0xFF00, match

    with scp(on_find=on_find) as port, pytest.raises(TooLarge, match="narrow the query"):
        find_studies(peer_at(port), StudyQuery())


def test_a_cleared_checkpoint_holds_the_thread_before_it_reads_on() -> None:
    checkpoint, stop, laps = Checkpoint(), threading.Event(), [0]

    def reactor() -> None:
        while not stop.is_set():
            checkpoint.wait()
            laps[0] += 1

    thread = threading.Thread(target=reactor)
    thread.start()
    for _ in range(500):
        checkpoint.clear()
        seen = laps[0]
        time.sleep(0.0001)
        assert laps[0] == seen
        checkpoint.set()
    stop.set()
    thread.join(5)
    checkpoint.clear()  # nobody comes by any more: it returns all the same


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with hostile(silent) as port:
        ADAPTER.send(peer_at(port, answer_seconds=0.5), [parcel(dicom_file())])
        left = [t for t in threading.enumerate() if t not in before and "serve_one" not in t.name]
        until(lambda: not [t.name for t in left if t.is_alive() and "accept" not in t.name])
