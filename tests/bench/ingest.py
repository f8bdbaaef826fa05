"""Ingest beside dcmtk's storescp and Orthanc: `python -m tests.bench.ingest [--quick] [--json FILE]`.

One sender for all three: dcmtk's storescu, a process per association, which invents a new SOP Instance UID for every
instance. Every run has a fresh server in a fresh folder on the same disk; the three take turns, and the median counts.
Our gateway is durable when it answers (AES, fsync, ledger); storescp never syncs, Orthanc runs on its defaults.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from radloop.settings import GatewaySettings
from tests.peers.dcmtk import storescp
from tests.peers.orthanc import orthanc
from tests.peers.programs import need
from tests.serving.gateway.door import AE_TITLE, SOURCE, make_home, process_door

SEND_SECONDS = 600.0


@dataclass(frozen=True)
class Image:
    """What is sent: 16-bit, rows x columns."""

    name: str
    sop_class: str
    modality: str
    rows: int
    columns: int


CT = Image("CT 512x512", CTImageStorage, "CT", 512, 512)
DX = Image("DX 2500x2048", DigitalXRayImageStorageForPresentation, "DX", 2500, 2048)


@dataclass(frozen=True)
class Load:
    """`associations` senders at once, `instances` each."""

    image: Image
    associations: int
    instances: int


@dataclass(frozen=True)
class Target:
    """A running server: where it listens and, for ours, its processes."""

    port: int
    ae_title: str
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the table: instances per second, the median of all rounds, and the highest resident memory in MB."""

    image: str
    associations: int
    instances: int
    radloop: float
    storescp: float
    orthanc: float
    memory_mb: float

    @property
    def text(self) -> str:
        """As it is printed."""
        best = max(self.storescp, self.orthanc)
        return (
            f"{self.image:14} {self.associations:4} {self.instances:5} {self.radloop:9.1f} {self.storescp:9.1f} "
            f"{self.orthanc:9.1f} {self.radloop / best:7.2f}x {self.memory_mb:8.0f}"
        )


HEADER = (
    f"{'image':14} {'assoc':>4} {'each':>4} {'radloop/s':>9} {'storescp':>9} {'orthanc':>9} {'ratio':>8} {'RSS MB':>8}"
)

QUICK = (Load(CT, 1, 60), Load(CT, 4, 30))
FULL = tuple(Load(image, associations, each) for image, each in ((CT, 100), (DX, 12)) for associations in (1, 4, 8, 16))


@contextmanager
def radloop_server(processes: int) -> Iterator[Target]:
    """Our gateway, in as many processes as are asked for, on one port."""
    with tempfile.TemporaryDirectory(prefix="radloop-") as folder, ExitStack() as stack:
        home = make_home(Path(folder), f"processes = {processes}")
        names = ["gateway", *(f"gateway-{number}" for number in range(2, processes + 1))]
        doors = [stack.enter_context(process_door(home, name=name, index=index))[0] for index, name in enumerate(names)]
        yield Target(doors[0].dicom_port, AE_TITLE, tuple(door.pid for door in doors))


@contextmanager
def storescp_server(_processes: int) -> Iterator[Target]:
    """dcmtk's storescp --fork."""
    with storescp() as running:
        yield Target(running.port, running.ae_title)


@contextmanager
def orthanc_server(_processes: int) -> Iterator[Target]:
    """Orthanc on its SQLite default."""
    with orthanc() as running:
        yield Target(running.port, running.ae_title)


SERVERS: dict[str, Callable[[int], object]] = {
    "radloop": radloop_server,
    "storescp": storescp_server,
    "orthanc": orthanc_server,
}


def measure(loads: Sequence[Load], rounds: int, processes: int) -> list[Row]:
    """Run every load against every server, interleaved."""
    rows = []
    for load in loads:
        rates: dict[str, list[float]] = {name: [] for name in SERVERS}
        memory = 0.0
        for number in range(rounds):
            # Each round begins with another server, so that none always has the warm or the cold disk.
            names = list(SERVERS)[number % 3 :] + list(SERVERS)[: number % 3]
            for name in names:
                rate, peak = _run(name, load, processes)
                rates[name].append(rate)
                memory = max(memory, peak)
        median = {name: statistics.median(found) for name, found in rates.items()}
        rows.append(Row(load.image.name, load.associations, load.instances, **median, memory_mb=memory))
        print(rows[-1].text, flush=True)  # noqa: T201
    return rows


def _run(name: str, load: Load, processes: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = [_write(Path(folder, f"{number}.dcm"), load.image) for number in range(load.associations)]
        os.sync()
        with SERVERS[name](processes) as target:  # type: ignore[attr-defined]
            seconds = _send(target, files, load.instances)
            return load.associations * load.instances / seconds, sum(map(_peak_mb, target.pids))


def _send(target: Target, files: Sequence[Path], instances: int) -> float:
    command = [need("storescu", "dcmtk"), "-aet", SOURCE, "-aec", target.ae_title, "--repeat", str(instances), "+II"]
    started = time.monotonic()
    senders = [
        subprocess.Popen([*command, "127.0.0.1", str(target.port), str(file)], stdout=subprocess.DEVNULL)
        for file in files
    ]
    statuses = [sender.wait(SEND_SECONDS) for sender in senders]
    seconds = time.monotonic() - started
    if any(statuses):
        raise RuntimeError("a sender failed")
    return seconds


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _write(path: Path, image: Image) -> Path:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = image.sop_class, generate_uid(), image.modality
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.StudyID, ds.AccessionNumber = "BENCH", "Bench", "1", ""
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = image.rows, image.columns, 16, 12, 11
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    noise = np.random.default_rng(0).integers(0, 4096, image.rows * image.columns, dtype=np.uint16)
    ds.add_new(0x7FE00010, "OW", noise.tobytes())
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def main() -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two loads and one round, not all and three")
    default = GatewaySettings().processes
    parser.add_argument("--processes", type=int, default=default, help=f"gateway processes; without it {default}")
    parser.add_argument("--json", type=Path, help="write the rows here, too")
    arguments = parser.parse_args()
    print(HEADER)  # noqa: T201
    rows = measure(QUICK if arguments.quick else FULL, 1 if arguments.quick else 3, arguments.processes)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
