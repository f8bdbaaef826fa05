"""C-STORE as a client, towards real and hostile peers."""

import io
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ComprehensiveSRStorage

from integrations.dimse import ADAPTER, FileOutcome, echo, files_under, send_files
from radloop.domain.enums import PeerRole
from radloop.domain.errors import InvalidObject, Permanent, RadloopError, RefusedByPeer, Unavailable, Unparsable
from radloop.domain.records import Accepted
from radloop.settings import Peer
from tests.peers.dcmtk import storescp
from tests.peers.dicom_files import dicom_file
from tests.peers.orthanc import orthanc
from tests.peers.parcels import parcel
from tests.peers.programs import need
from tests.peers.sockets import Behaviour, closing, dripping, hostile, refusing, saying, silent


def peer_at(port: int, ae_title: str = "STORESCP", **more: object) -> Peer:
    given = {"answer_seconds": 20.0, "connect_seconds": 5.0, **more}
    return Peer(name="pacs", roles=(PeerRole.RESULTS,), ae_title=ae_title, host="127.0.0.1", port=port, **given)


def data_set(file: bytes) -> bytes:
    """The encoded data set, without the file meta information that each side writes for itself."""
    group_length = int.from_bytes(file[140:144], "little")
    return file[144 + group_length :]


def test_stored_bytes_arrive_as_they_are() -> None:
    files = [dicom_file(pixels=bytes([n]) * 4096) for n in range(5)]
    with storescp() as scp:
        outcomes = ADAPTER.send(peer_at(scp.port), [parcel(file) for file in files])
        received = sorted(data_set(path.read_bytes()) for path in scp.files)
    assert outcomes == (Accepted(),) * 5
    assert received == sorted(map(data_set, files))


def test_orthanc_takes_objects_and_hands_them_back() -> None:
    file = dicom_file()
    with orthanc() as pacs:
        peer = peer_at(pacs.port, pacs.ae_title)
        assert ADAPTER.send(peer, [parcel(file)]) == (Accepted(),)
        assert ADAPTER.send(peer, [parcel(file)]) == (Accepted(),), "sent again after a lost response"
        (instance,) = pacs.instances
        assert data_set(pacs.file(instance)) == data_set(file)


def test_nothing_to_send_opens_no_association() -> None:
    assert ADAPTER.send(peer_at(9), []) == ()


def test_an_object_that_is_no_dicom_file_fails_alone() -> None:
    with storescp() as scp:
        outcomes = ADAPTER.send(peer_at(scp.port), [parcel(b"hello", "ob_9"), parcel(dicom_file())])
    assert isinstance(outcomes[0], InvalidObject)
    assert "ob_9" in str(outcomes[0])
    assert outcomes[1] == Accepted()


def test_a_class_that_the_peer_does_not_take_is_refused_alone() -> None:
    unknown = dicom_file(SOPClassUID="1.2.840.10008.5.1.4.1.1.999999")
    with storescp() as scp:
        outcomes = ADAPTER.send(peer_at(scp.port), [parcel(unknown), parcel(dicom_file())])
        alone = ADAPTER.send(peer_at(scp.port), [parcel(unknown)])
    assert isinstance(outcomes[0], RefusedByPeer)
    assert outcomes[1] == Accepted()
    assert isinstance(alone[0], RefusedByPeer)


def test_a_peer_that_refuses_associations_for_good_parks_everything() -> None:
    with storescp("--refuse") as scp:
        outcomes = ADAPTER.send(peer_at(scp.port), [parcel(dicom_file()), parcel(dicom_file())])
    assert all(isinstance(outcome, RadloopError) for outcome in outcomes)
    assert "rejected the association" in str(outcomes[0])


def test_a_wrong_called_ae_title_is_refused_for_good() -> None:
    with orthanc() as pacs:
        (outcome,) = ADAPTER.send(peer_at(pacs.port, "SOMEBODYELSE"), [parcel(dicom_file())])
    assert isinstance(outcome, RefusedByPeer)
    assert "AE title" in str(outcome)


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_a_peer_that_aborts_is_unavailable_for_every_object(option: str) -> None:
    with storescp(option) as scp:
        outcomes = ADAPTER.send(peer_at(scp.port), [parcel(dicom_file()) for _ in range(4)])
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4


def test_a_peer_slower_than_its_deadline_is_unavailable() -> None:
    begun = time.monotonic()
    with storescp("--sleep-during 20") as scp:
        (outcome,) = ADAPTER.send(peer_at(scp.port, answer_seconds=1.0), [parcel(dicom_file())])
        taken = time.monotonic() - begun
    assert isinstance(outcome, Unavailable)
    assert taken < 15


GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
HUGE_PDU = b"\x02\x00\x7f\xff\xff\xff" + b"\0" * 8
REJECT_FOR_NOW = bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 1])
REJECT_FOR_GOOD = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3])
REJECT_BUSY_SAID_PERMANENT = bytes([3, 0, 0, 0, 0, 4, 0, 1, 3, 2])
REJECT_NONSENSE = bytes([3, 0, 0, 0, 0, 4, 0, 9, 9, 9])


# pynetdicom's own reader thread may die of what such a peer sends; what counts is what we make of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (silent, Unavailable),
        (closing, Unavailable),
        (saying(GARBAGE), Unavailable),
        (saying(HUGE_PDU), Unavailable),
        (saying(b"\x02\x00"), Unavailable),
        (dripping(b"\x02\x00\x00\x01\x00\x00"), Unavailable),
        (saying(REJECT_FOR_NOW), Unavailable),
        (saying(REJECT_BUSY_SAID_PERMANENT), Unavailable),
        (saying(REJECT_NONSENSE), Unavailable),
        (saying(REJECT_FOR_GOOD), RefusedByPeer),
    ],
    ids=["silent", "closing", "garbage", "huge", "half", "drip", "busy", "busy-permanent", "nonsense", "refused"],
)
def test_a_peer_that_breaks_the_protocol_ends_in_an_outcome_soon(
    behave: Behaviour, expected: type[RadloopError]
) -> None:
    begun = time.monotonic()
    with hostile(behave) as port:
        outcomes = ADAPTER.send(
            peer_at(port, answer_seconds=1.0, connect_seconds=2.0), [parcel(dicom_file()) for _ in range(3)]
        )
        taken = time.monotonic() - begun
    assert [type(outcome) for outcome in outcomes] == [expected] * 3
    assert taken < 15


def test_a_peer_that_is_not_there_is_unavailable() -> None:
    with refusing() as port:
        assert isinstance(ADAPTER.send(peer_at(port), [parcel(dicom_file())])[0], Unavailable)


def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    peer = peer_at(104).model_copy(update={"host": "no-such-host.invalid"})
    assert isinstance(ADAPTER.send(peer, [parcel(dicom_file())])[0], Unavailable)


def test_a_peer_without_dicom_address_is_a_permanent_error() -> None:
    peer = Peer(name="ris", roles=(PeerRole.REPORTS,), mllp="127.0.0.1:1")
    assert isinstance(ADAPTER.send(peer, [parcel(dicom_file())])[0], Permanent)


def test_no_outcome_names_a_uid() -> None:
    file = dicom_file()
    uid = str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID)
    with refusing() as port:
        outcome = ADAPTER.send(peer_at(port), [parcel(file)])[0]
    assert uid not in f"{outcome!s}{outcome!r}"


def test_echo_tells_the_round_trip() -> None:
    with storescp() as scp:
        assert 0 < echo(peer_at(scp.port)) < 5


def test_echo_says_that_a_peer_is_away() -> None:
    with refusing() as port, pytest.raises(Unavailable):
        echo(peer_at(port))


def outcomes_by_name(outcomes: list[FileOutcome]) -> dict[str, Accepted | RadloopError]:
    return {one.path.name: one.outcome for one in outcomes}


def even(data: bytes) -> bytes:
    """PS3.5 section A.5: a deflated data set of odd length (image_dfl.dcm has one) is padded with a zero byte."""
    return data + b"\0" * (len(data) % 2)


def test_files_go_out_as_stored_and_what_is_not_dicom_is_left(tmp_path: Path) -> None:
    names = ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm"]
    for name in names:
        path = get_testdata_file(name)
        assert path is not None
        tmp_path.joinpath(name).write_bytes(Path(str(path)).read_bytes())
    tmp_path.joinpath("notes.txt").write_text("not an image")
    tmp_path.joinpath("DICOMDIR").write_text("an index")
    with storescp() as scp:
        outcomes = list(send_files(peer_at(scp.port), files_under([tmp_path])))
        received = sorted(data_set(path.read_bytes()) for path in scp.files)
    found = outcomes_by_name(outcomes)
    assert isinstance(found.pop("notes.txt"), Unparsable)
    assert found == dict.fromkeys(names, Accepted())
    assert received == sorted(even(data_set(tmp_path.joinpath(name).read_bytes())) for name in names)
    assert tmp_path.joinpath("notes.txt").exists()


def test_more_contexts_than_one_association_holds_go_over_several(tmp_path: Path) -> None:
    for n in range(140):
        tmp_path.joinpath(f"{n:03}").write_bytes(dicom_file(SOPClassUID=f"1.2.840.10008.5.1.4.1.1.8888.{n}"))
    tmp_path.joinpath("known").write_bytes(dicom_file(SOPClassUID=ComprehensiveSRStorage))
    with storescp("-pm") as scp:
        outcomes = list(send_files(peer_at(scp.port), files_under([tmp_path])))
    assert len(outcomes) == 141
    assert all(one.outcome == Accepted() for one in outcomes)


def test_a_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    with storescp() as scp:
        (one,) = send_files(peer_at(scp.port), [tmp_path / "gone.dcm"])
    assert isinstance(one.outcome, Unparsable)


def test_dcmtk_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nothing"):
        need("no-such-program", "nothing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nothing"):
        need("no-such-program", "nothing")
