"""A sender that hands over encoded data sets exactly as they are, well-formed or not."""

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from tests.serving.gateway.door import AE_TITLE, SOURCE


@dataclass(frozen=True)
class Instance:
    """An encoded data set, and what a request says of it."""

    data: bytes
    sop_class: str
    sop_uid: str
    transfer_syntax: str = ExplicitVRLittleEndian


def instance(pixels: bytes = b"\0" * 64, **attributes: object) -> Instance:
    """A small secondary capture; `attributes` are DICOM keywords."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality = "P1", "Phantom", "OT"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, len(pixels) // 8 % 65536, 8, 8, 7
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    ds.add_new(0x7FE00010, "OB", pixels)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return Instance(buffer.getvalue(), str(ds.SOPClassUID), str(ds.SOPInstanceUID))


@contextmanager
def associated(
    port: int,
    contexts: Sequence[tuple[str, str]] = ((SecondaryCaptureImageStorage, ExplicitVRLittleEndian),),
    calling: str = SOURCE,
    called: str = AE_TITLE,
    heard: list[object] | None = None,
) -> Iterator[Association]:
    """An association for `contexts` (SOP class, transfer syntax) and verification; released, or aborted on an error.

    Every PDU that comes is added to `heard`.
    """
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    wanted = [build_context(Verification), *(build_context(*context) for context in contexts)]
    assoc = ae.associate("127.0.0.1", port, contexts=wanted, ae_title=called, evt_handlers=hearing(heard))
    # pynetdicom does not close a socket whose other side is gone.
    raw = assoc.dul.socket.socket if assoc.dul.socket else None
    try:
        yield assoc
        if assoc.is_established:
            assoc.release()
    except BaseException:
        assoc.abort()
        raise
    finally:
        if raw is not None:
            raw.close()


def hearing(heard: list[object] | None) -> list[evt.EventHandlerType]:
    """Handlers for `AE.associate` that add every PDU that comes to `heard`."""
    return [] if heard is None else [(evt.EVT_PDU_RECV, lambda event: heard.append(event.pdu))]


def rejection_in(heard: Sequence[object]) -> tuple[int, int, int] | None:
    """(result, source, reason) of the A-ASSOCIATE-RJ that was heard; None where there was none.

    `Association.is_rejected` does not say it always: where the requestor's thread is held up until the rejection has
    closed the socket, pynetdicom takes that for a connection that failed (`ACSE._negotiate_as_requestor`).
    """
    said = next((pdu for pdu in heard if isinstance(pdu, A_ASSOCIATE_RJ)), None)
    return said and (int(said.result or 0), int(said.source or 0), int(said.reason_diagnostic or 0))


def store(assoc: Association, sent: Instance, context_of: str | None = None) -> int:
    """The status of a C-STORE of `sent`, in the context of `context_of` (default: its own SOP class)."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sent.sop_class, sent.sop_uid
    request.DataSet = io.BytesIO(sent.data)
    wanted = context_of or sent.sop_class
    context = next(
        cx
        for cx in assoc.accepted_contexts
        if cx.abstract_syntax == wanted and cx.transfer_syntax[0] == sent.transfer_syntax
    )
    assoc._reactor_checkpoint.clear()
    while not assoc._is_paused:
        time.sleep(0.0005)
    try:
        assoc.dimse.send_msg(request, context.context_id)
        _, response = assoc.dimse.get_msg(block=True)
    finally:
        assoc._reactor_checkpoint.set()
    assert response is not None, "no response"
    return int(response.Status)
