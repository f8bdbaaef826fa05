"""C-FIND and C-MOVE towards Orthanc, and towards peers that answer oddly."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from integrations.dimse import StudyQuery, count_instances, find_studies, move
from radloop.domain.enums import PeerRole
from radloop.domain.errors import RefusedByPeer, Unavailable
from radloop.settings import Peer
from tests.peers.dcmtk import storescp
from tests.peers.dicom_files import dicom_file
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.programs import free_port
from tests.peers.sockets import hostile, silent

DESTINATION = "DESTINATION"


def peer_at(port: int, ae_title: str = "ORTHANC") -> Peer:
    return Peer(
        name="pacs",
        roles=(PeerRole.SOURCE,),
        ae_title=ae_title,
        host="127.0.0.1",
        port=port,
        answer_seconds=20.0,
        connect_seconds=2.0,
    )


@pytest.fixture(scope="module")
def destination_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def pacs(destination_port: int) -> Iterator[Orthanc]:
    """Orthanc with a CR study of three images from 2024-03-01 and an MR study of one from 2024-03-05."""
    with orthanc(modalities={"destination": (DESTINATION, "127.0.0.1", destination_port)}) as running:
        for _ in range(3):
            running.upload(dicom_file(StudyInstanceUID="1.2.3.1", Modality="CR", StudyDate="20240301"))
        running.upload(dicom_file(StudyInstanceUID="1.2.3.2", Modality="MR", StudyDate="20240305"))
        yield running


def test_studies_are_found_by_modality(pacs: Orthanc) -> None:
    (study,) = find_studies(peer_at(pacs.port), StudyQuery(modality="CR"))
    assert (study.study_uid, study.modalities, study.instances) == ("1.2.3.1", ("CR",), 3)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, {"1.2.3.1", "1.2.3.2"}),
        (datetime(2024, 3, 2, tzinfo=UTC), None, {"1.2.3.2"}),
        (None, datetime(2024, 3, 2, tzinfo=UTC), {"1.2.3.1"}),
        (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 5, tzinfo=UTC), {"1.2.3.1", "1.2.3.2"}),
        (datetime(2025, 1, 1, tzinfo=UTC), None, set()),
    ],
)
def test_studies_are_found_by_date(
    pacs: Orthanc, since: datetime | None, until: datetime | None, expected: set[str]
) -> None:
    found = find_studies(peer_at(pacs.port), StudyQuery(since=since, until=until))
    assert {study.study_uid for study in found} == expected


def test_a_peer_says_how_many_instances_a_study_has(pacs: Orthanc) -> None:
    assert count_instances(peer_at(pacs.port), "1.2.3.1") == 3


def test_an_unknown_study_has_no_count(pacs: Orthanc) -> None:
    assert count_instances(peer_at(pacs.port), "1.2.3.999") is None


def test_a_study_is_moved_and_every_sub_operation_counted(pacs: Orthanc, destination_port: int) -> None:
    with storescp(ae_title=DESTINATION, port=destination_port) as scp:
        outcome = move(peer_at(pacs.port), "1.2.3.1", DESTINATION)
        assert (outcome.completed, outcome.failed, outcome.remaining) == (3, 0, 0)
        assert len(scp.files) == 3


def test_a_move_to_an_unknown_destination_is_refused(pacs: Orthanc) -> None:
    with pytest.raises((RefusedByPeer, Unavailable)):
        move(peer_at(pacs.port), "1.2.3.1", "NOBODY")


def test_a_remote_study_never_shows_its_uid(pacs: Orthanc) -> None:
    assert "1.2.3" not in repr(find_studies(peer_at(pacs.port), StudyQuery()))


@pytest.mark.parametrize(
    "ask", [lambda p: find_studies(p, StudyQuery()), lambda p: count_instances(p, "1.2"), lambda p: move(p, "1.2", "X")]
)
def test_a_silent_peer_is_unavailable_soon(ask) -> None:
    begun = time.monotonic()
    with hostile(silent) as port, pytest.raises(Unavailable):
        ask(peer_at(port).model_copy(update={"answer_seconds": 1.0}))
    assert time.monotonic() - begun < 15


Answer = tuple[int, Dataset | None]


@contextmanager
def answering(*rounds: list[Answer]) -> Iterator[int]:
    """The port of an SCP that gives one list of answers per C-FIND, and the first list for C-MOVE."""
    left = list(rounds)

    def on_find(event: evt.Event) -> Iterator[Answer]:
        yield from left.pop(0)

    def on_move(event: evt.Event) -> Iterator[object]:
        yield None, None

    ae = AE(ae_title="ORTHANC")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        ae.shutdown()


def match(**values: object) -> Answer:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return 0xFF00, ds


def test_a_peer_that_does_not_count_has_its_images_counted() -> None:
    rounds = (
        [match(StudyInstanceUID="1.2")],
        [match(SeriesInstanceUID="1.2.1"), match(SeriesInstanceUID="1.2.2")],
        [match(SOPInstanceUID="1.2.1.1"), match(SOPInstanceUID="1.2.1.2")],
        [match(SOPInstanceUID="1.2.2.1")],
    )
    with answering(*rounds) as port:
        assert count_instances(peer_at(port), "1.2") == 3


def test_a_peer_that_ignores_the_modality_has_its_answer_filtered() -> None:
    answers = [
        match(StudyInstanceUID="1.2.1", ModalitiesInStudy=["CR", "SR"]),
        match(StudyInstanceUID="1.2.2", ModalitiesInStudy="MR"),
        match(StudyInstanceUID="1.2.3"),
    ]
    with answering(answers) as port:
        found = find_studies(peer_at(port), StudyQuery(modality="CR"))
    assert [study.study_uid for study in found] == ["1.2.1", "1.2.3"]
    assert found[1].instances is None


@pytest.mark.parametrize(
    ("status", "error"),
    [(0xA700, Unavailable), (0xA900, RefusedByPeer), (0xC001, RefusedByPeer), (0x0122, RefusedByPeer)],
)
def test_a_failed_query_says_whether_to_try_again(status: int, error: type[Exception]) -> None:
    with answering([(status, None)]) as port, pytest.raises(error, match=f"0x{status:04X}"):
        find_studies(peer_at(port), StudyQuery())


def test_an_unknown_move_destination_is_refused_for_good() -> None:
    with answering() as port, pytest.raises(RefusedByPeer, match="0xA801"):
        move(peer_at(port), "1.2", "NOBODY")


def test_the_phantom_file_reads_back() -> None:
    assert pydicom.dcmread(io.BytesIO(dicom_file(PatientID="X"))).PatientID == "X"
