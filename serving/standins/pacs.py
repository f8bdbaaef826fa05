"""A PACS stand-in: takes DICOM objects, finds studies and moves them (PS3.4 Annexes A, B and C)."""

import hashlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from serving.standins.files import keep, made
from serving.standins.script import Script

# Its log handlers write every data set out as text, for nobody.
_config.LOG_HANDLER_LEVEL = "none"

ASSOCIATIONS = 64
LARGEST_PDU = 1 << 20
SUCCESS, PENDING, CANNOT_UNDERSTAND, CANCEL = 0x0000, 0xFF00, 0xC000, 0xFE00
STORAGE = frozenset(context.abstract_syntax for context in AllStoragePresentationContexts)
SERVICES = (
    Verification,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)
STUDY_KEYS = ("StudyInstanceUID", "AccessionNumber", "PatientID", "StudyDate", "Modality")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that it has."""

    path: Path
    sop_class_uid: str
    transfer_syntax_uid: str
    keys: Mapping[str, str]


class PacsStandIn:
    """Keeps each object as a DICOM file in `folder`, named by a hash of its SOP Instance UID.

    `destinations` maps the AE titles that C-MOVE may name to host and port. `script` holds C-STORE statuses for the
    first objects, which are not kept where it is a failure.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PACS",
        host: str = "127.0.0.1",
        port: int = 0,
        destinations: Mapping[str, tuple[str, int]] = MappingProxyType({}),
        script: tuple[int, ...] = (),
    ) -> None:
        self.folder = made(folder)
        self.ae_title = ae_title
        self._address = (host, port)
        self._destinations = destinations
        self._script = Script(script, SUCCESS)
        self._stored = dict(_read(path) for path in self.files)
        self._lock = threading.Lock()
        self._ae = _entity(ae_title)
        self.port = port

    def __enter__(self) -> Self:
        """Start listening."""
        handlers = [
            (evt.EVT_CONN_OPEN, _answer_at_once),
            (evt.EVT_REQUESTED, _support_what_is_proposed),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_C_MOVE, self._on_move),
        ]
        server = self._ae.start_server(self._address, block=False, evt_handlers=handlers)
        self.port = int(server.socket.getsockname()[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and abort what is open."""
        self._ae.shutdown()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every object that it has, as files."""
        return tuple(sorted(self.folder.glob("*.dcm")))

    def _on_store(self, event: Event) -> int:
        status = self._script.next()
        if status >= 0xA000 and not 0xB000 <= status <= 0xBFFF:
            return status
        data: bytes = event.encoded_dataset()
        uid = str(event.request.AffectedSOPInstanceUID)
        path = keep(self.folder, f"{hashlib.sha256(uid.encode()).hexdigest()[:32]}.dcm", data)
        try:
            _, stored = _read(path)
        except (ValueError, KeyError, AttributeError, EOFError):
            path.unlink()
            return CANNOT_UNDERSTAND
        with self._lock:
            self._stored[uid] = stored
        return status

    def _on_find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        query: Dataset = event.identifier
        if query.get("QueryRetrieveLevel") != "STUDY":
            yield CANNOT_UNDERSTAND, None
            return
        for objects in self._studies().values():
            if event.is_cancelled:
                yield CANCEL, None
                return
            if _matches(query, objects):
                yield PENDING, _answer(objects, self.ae_title)

    def _on_move(self, event: Event) -> Iterator[object]:
        destination = self._destinations.get(str(event.move_destination).strip())
        if destination is None:
            yield None, None  # pynetdicom answers 0xA801
            return
        objects = self._studies().get(str(event.identifier.get("StudyInstanceUID", "")), [])
        pairs = {(one.sop_class_uid, one.transfer_syntax_uid) for one in objects}
        yield *destination, {"contexts": [build_context(*pair) for pair in sorted(pairs)]}
        yield len(objects)
        for one in objects:
            yield PENDING, dcmread(one.path)

    def _studies(self) -> dict[str, list[Stored]]:
        with self._lock:
            stored = list(self._stored.values())
        studies: dict[str, list[Stored]] = {}
        for one in stored:
            studies.setdefault(one.keys["StudyInstanceUID"], []).append(one)
        return studies


def _entity(ae_title: str) -> AE:
    ae = AE(ae_title=ae_title)
    ae.maximum_associations = ASSOCIATIONS
    ae.maximum_pdu_size = LARGEST_PDU
    for sop_class in SERVICES:
        ae.add_supported_context(sop_class)
    return ae


def _support_what_is_proposed(event: Event) -> None:
    """Support each storage class proposed in any transfer syntax: copying all 180 for each association takes 0.2 s."""
    proposed = event.assoc.requestor.primitive.presentation_context_definition_list
    event.assoc.acceptor.supported_contexts = [
        *event.assoc.acceptor.supported_contexts,
        *(build_context(syntax, ALL_TRANSFER_SYNTAXES) for syntax in STORAGE & {cx.abstract_syntax for cx in proposed}),
    ]


def _answer_at_once(event: Event) -> None:
    # Nagle's algorithm would hold a response back until the request's last segment is acknowledged.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _read(path: Path) -> tuple[str, Stored]:
    """A stored object and its SOP Instance UID."""
    ds = dcmread(path, stop_before_pixels=True, specific_tags=list(STUDY_KEYS))
    keys = {keyword: str(ds.get(keyword, "") or "") for keyword in STUDY_KEYS}
    meta = ds.file_meta
    stored = Stored(path, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID), keys)
    return str(meta.MediaStorageSOPInstanceUID), stored


def _matches(query: Dataset, objects: list[Stored]) -> bool:
    """Single values, lists of UIDs and date ranges (PS3.4 section C.2.2.2); an empty or unknown key matches all."""
    first = objects[0].keys
    uids = query.get("StudyInstanceUID") or ()
    wanted_uids = {str(uids)} if isinstance(uids, str) else {str(uid) for uid in uids}
    modality = str(query.get("ModalitiesInStudy") or "")
    return (
        (not wanted_uids or first["StudyInstanceUID"] in wanted_uids)
        and (not modality or any(one.keys["Modality"] == modality for one in objects))
        and all(str(query.get(k) or "") in ("", first[k]) for k in ("AccessionNumber", "PatientID"))
        and _in_range(str(query.get("StudyDate") or ""), first["StudyDate"])
    )


def _in_range(wanted: str, date: str) -> bool:
    earliest, dash, latest = wanted.partition("-")
    if not dash:
        return not wanted or wanted == date
    return bool(date) and earliest <= date and (not latest or date <= latest)


def _answer(objects: list[Stored], ae_title: str) -> Dataset:
    first, answer = objects[0].keys, Dataset()
    answer.QueryRetrieveLevel = "STUDY"
    answer.RetrieveAETitle = ae_title
    answer.StudyInstanceUID = first["StudyInstanceUID"]
    answer.AccessionNumber, answer.PatientID = first["AccessionNumber"], first["PatientID"]
    answer.StudyDate = first["StudyDate"]
    answer.ModalitiesInStudy = sorted({one.keys["Modality"] for one in objects})
    answer.NumberOfStudyRelatedInstances = len(objects)
    return answer
