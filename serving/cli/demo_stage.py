"""The demo's stage: a home of its own, the stand-ins, and the phantom studies that are sent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from radloop.domain.errors import Unavailable

if TYPE_CHECKING:
    from pydicom import Dataset

SENDER: Final = "PHANTOMS"

SETTINGS: Final = """# The demo's settings: free ports everywhere, our own stand-ins as peers.
[gateway]
dicom_port = 0
hl7_port = 0
[completeness]
settle_seconds = 0.5
quiet_seconds = 2.0
[site]
name = "radloop demo"
[inference]
port = 0
[prefect]
port = 0
[mlflow]
port = 0
[console]
port = 0

[peers.modality]
ae_title = "{sender}"
host = "127.0.0.1"
roles = ["source"]
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
roles = ["results"]
[peers.ris]
mllp = "127.0.0.1:{ris}"
roles = ["reports", "orders"]
priority_upgrade = "ORM"
[peers.ehr]
fhir = "http://127.0.0.1:{ehr}/fhir"
roles = ["reports"]

[[routes]]
models = ["cxr_pneumonia"]
when = {{ modality = ["CR", "DX"], body_part = ["CHEST", ""] }}
[[routes]]
models = ["brain_mr_tumour"]
when = {{ modality = ["MR"], body_part = ["BRAIN", "HEAD", ""] }}
[[routes]]
models = ["head_ct_haemorrhage"]
when = {{ modality = ["CT"], body_part = ["HEAD"] }}
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the demo keeps what it makes."""

    root: Path

    @property
    def home(self) -> Path:
        """RADLOOP_HOME of the demo."""
        return self.root / "home"

    @property
    def peers(self) -> Path:
        """What the stand-ins got: pacs/, ris/, ehr/."""
        return self.root / "peers"

    @property
    def sent(self) -> Path:
        """The phantom studies."""
        return self.root / "sent"

    @property
    def pictures(self) -> Path:
        """Pictures for a person, PNG."""
        return self.root / "pictures"

    @property
    def reports(self) -> Path:
        """Reports for a person, text and JSON."""
        return self.root / "reports"


@dataclass(frozen=True, slots=True)
class Phantom:
    """One study that is sent: what it shows, and its files."""

    label: str
    study_uid: str
    files: tuple[Path, ...]


def draw(folder: Path) -> tuple[Phantom, ...]:
    """Draw the studies: chest radiographs, brain series, a head CT, and one that no model may read."""
    from models.phantoms import brain_slices, chest, head_ct, unreadable_study

    return (
        _kept(folder, "chest, clear", [chest(11, opacity=False, rows=1024)]),
        _kept(folder, "chest, clear (2)", [chest(23, opacity=False, rows=1024)]),
        _kept(folder, "chest, opacity", [chest(13, opacity=True, rows=1024)]),
        _kept(folder, "chest, opacity (2)", [chest(19, opacity=True, rows=1024)]),
        _kept(folder, "brain, clear, 5 slices", brain_slices(21, lesion=False, count=5)),
        _kept(folder, "brain, lesion, 5 slices", brain_slices(29, lesion=True, count=5)),
        _kept(folder, "head CT, bleed, 3 slices", head_ct(37, bleed=True, count=3)),
        _kept(folder, "foot CT, no model", unreadable_study(31, count=2)),
    )


def _kept(folder: Path, label: str, images: "list[Dataset]") -> Phantom:
    folder.mkdir(parents=True, exist_ok=True)
    start = len(list(folder.iterdir()))
    files = []
    for number, image in enumerate(images, start=start):
        files.append(folder / f"{number:03}.dcm")
        image.save_as(files[-1], enforce_file_format=True)
    return Phantom(label, str(images[0].StudyInstanceUID), tuple(files))


@contextmanager
def stand_ins(folder: Path) -> Iterator[dict[str, int]]:
    """Our own PACS, RIS and EHR, listening; their ports by name. They end with the block, and with us.

    Raises:
        Unavailable: they did not start.
    """
    argv = [sys.executable, "-m", "serving.standins", "--folder", str(folder)]
    # A session of its own: Ctrl-C is ours to handle, the stand-ins go last.
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise Unavailable("the stand-ins did not start")
            yield json.loads(line)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def write_settings(home: Path, ports: dict[str, int]) -> None:
    """The demo's radloop.toml."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "radloop.toml").write_text(SETTINGS.format(sender=SENDER, **ports))
