"""Sending many studies and counting what came of them: shared by the fault campaign and the benches."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE

from models.phantoms.chest import chest
from tests.acceptance.conftest import SENDER


@dataclass
class Sent:
    """What a sender knows: which studies were acknowledged, when, and which were not."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    refused: int = 0


def radiographs(count: int, rows: int = 512, distinct: int = 8) -> list[Dataset]:
    """`count` studies of one phantom radiograph each, `distinct` pictures among them."""
    bases = [chest(seed, opacity=bool(seed % 2), rows=rows) for seed in range(distinct)]
    return [_renamed(bases[n % distinct]) for n in range(count)]


def send_until_acknowledged(studies: Sequence[Dataset], port: int, seconds: float) -> Sent:
    """Send one by one, each again and again until 0x0000: what a modality does while we are being killed."""
    sent, deadline = Sent(), time.monotonic() + seconds
    for ds in studies:
        while not _store(ds, port):
            sent.refused += 1
            assert time.monotonic() < deadline, "a study was not acknowledged in time"
            time.sleep(0.2)
        sent.acknowledged[str(ds.StudyInstanceUID)] = time.monotonic()
    return sent


def send_at_once(studies: Sequence[Dataset], port: int, associations: int) -> Sent:
    """Send all over a few associations in parallel."""
    sent, lock = Sent(), threading.Lock()

    def work(part: Sequence[Dataset]) -> None:
        assoc = _associate(port, part[0])
        for ds in part:
            status = assoc.send_c_store(ds)
            with lock:
                if status and status.Status == 0:
                    sent.acknowledged[str(ds.StudyInstanceUID)] = time.monotonic()
                else:
                    sent.refused += 1
        assoc.release()

    threads = [threading.Thread(target=work, args=(studies[n::associations],)) for n in range(associations)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def oru_per_study(received: Sequence[bytes]) -> dict[str, set[bytes]]:
    """The distinct MSH-10 of the ORU messages of each study UID."""
    found: dict[str, set[bytes]] = {}
    for message in received:
        segments = message.split(b"\r")
        if b"ORU^R01" in segments[0]:
            study = (
                next(s for s in segments if s.startswith(b"OBX") and b"113014^DICOM Study" in s).split(b"|")[5].decode()
            )
            found.setdefault(study, set()).add(segments[0].split(b"|")[9])
    return found


def stored_objects(folder: Path) -> Counter[tuple[str, str]]:
    """(study UID, SOP class) of every file below a folder."""
    found = (dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm"))
    return Counter((str(ds.StudyInstanceUID), str(ds.SOPClassUID)) for ds in found)


def _renamed(base: Dataset) -> Dataset:
    ds = deepcopy(base)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
    return ds


def _associate(port: int, ds: Dataset):
    ae = AE(SENDER)
    ae.connection_timeout = 5
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    return ae.associate("127.0.0.1", port, ae_title="RADLOOP")


def _store(ds: Dataset, port: int) -> bool:
    assoc = _associate(port, ds)
    if not assoc.is_established:
        return False
    status = assoc.send_c_store(ds)
    if assoc.is_established:
        assoc.release()
    return "Status" in status and status.Status == 0
