"""How readers' words come in: REST, the command line, a DICOM SR by C-STORE, an HL7 report by MLLP. A quarter each."""

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from pydicom import dcmread

from models.phantoms.sites import TARGET, Case, SimulatedReader
from radloop.domain.enums import Awareness, VerdictKind
from tests.loop.stage import Stage
from tests.peers.assessments import Said, assess

NAMES: Final = {"rosa": "REED^ROSA", "ravi": "RAO^RAVI"}
IDS: Final = {"rosa": "R1", "ravi": "R2"}
CODES: Final = {"pneumonia": "233604007^Pneumonia^SCT", "tumour": "126952004^Neoplasm of brain^SCT"}
WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Reading:
    """What a reader says of one answered study: `there` or not, of the model's one finding."""

    study_uid: str
    row: Any
    target: str
    reader: str
    there: bool

    @property
    def result(self) -> Any:
        """The champion's answer."""
        return next(result for result in self.row["results"] if result["status"] == "OK")

    @property
    def finding(self) -> Any:
        """Its one finding."""
        return self.result["findings"][0]

    @property
    def called(self) -> bool:
        """Whether the model called it."""
        return bool(self.finding["probability"] >= self.finding["threshold"])

    @property
    def kind(self) -> VerdictKind:
        """The verdict that follows."""
        if self.there is self.called:
            return VerdictKind.CONFIRM
        return VerdictKind.REJECT if self.called else VerdictKind.ADD


def read_all(stage: Stage, readings: Sequence[Reading]) -> dict[str, int]:
    """Every reading through one door, in turn; how many came through each."""
    doors: tuple[tuple[str, Callable[[Stage, Reading], None], int], ...] = (
        ("REST", by_rest, 10),
        ("DICOM SR", by_sr, 2),
        ("HL7 ORU", by_oru, 2),
        ("command line", by_command, 1),
    )
    order = [door for door in doors for _ in range(door[2])]
    counts = {name: 0 for name, _, _ in doors}
    for number, reading in enumerate(readings):
        name, enter, _ = order[number % len(order)]
        enter(stage, reading)
        counts[name] += 1
    return counts


def reading_of(case: Case, row: Any, reader: SimulatedReader) -> Reading:
    """What a simulated reader says of a phantom."""
    return Reading(row["study_uid"], row, TARGET, reader.name, reader.says(case))


def by_rest(stage: Stage, one: Reading) -> None:
    """POST, with the reader's own token; the reader was blinded."""
    base = f"http://127.0.0.1:{stage.port('console')}/api/v1"
    headers = {"Authorization": f"Bearer {stage.tokens[one.reader]}"}
    said = {"finding": one.target, "kind": one.kind.value, "awareness": Awareness.BLINDED.value}
    answer = httpx.post(
        f"{base}/results/{one.result['id']}/verdicts", json=said, headers=headers, trust_env=False, timeout=30
    )
    if answer.status_code != httpx.codes.CREATED:
        raise SystemExit(f"the console answered {answer.status_code}: {answer.text}")


def by_command(stage: Stage, one: Reading) -> None:
    """`radloop verdict`."""
    stage.cli(
        *("verdict", one.result["id"], "--finding", one.target, "--kind", one.kind.value.lower()),
        *("--awareness", "blinded"),
        who=one.reader,
    )


def by_sr(stage: Stage, one: Reading) -> None:
    """The workstation takes our SR from the PACS and sends its assessment back to us."""
    report = _our_sr(stage, one.study_uid)
    said = Said(number=0, kind=one.kind, awareness=Awareness.BLINDED)
    ds = assess(report.read_bytes(), [said], reader=NAMES[one.reader], login=IDS[one.reader], at=datetime.now(UTC))
    path = stage.folder / "assessment.dcm"
    ds.save_as(path, enforce_file_format=True)
    stage.cli("send", "--aet", "PHANTOMS", str(path))


def by_oru(stage: Stage, one: Reading) -> None:
    """The RIS sends its final report, coded."""
    accession, patient = _identity(stage, one.study_uid)
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    control = f"L{abs(hash(one.study_uid)) % 10**12}"
    segments = [
        f"MSH|^~\\&|RIS|RADIOLOGY|RADLOOP|RADIOLOGY|{now}||ORU^R01^ORU_R01|{control}|P|2.5.1",
        f"PID|1||{patient}",
        f"OBR|1|||XR^Chest|||{now}|||||||||||{accession}||||{now}||RAD|F|||||||{IDS[one.reader]}^{NAMES[one.reader]}",
        f"OBX|1|ID|{CODES[one.target]}||{'Y' if one.there else 'N'}||||||F",
    ]
    port = next(p["port"] for p in stage.json("status")["processes"] if p["name"].endswith(".hl7"))
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as sock:
        sock.sendall(b"\x0b" + ("\r".join(segments) + "\r").encode() + b"\x1c\r")
        answer = sock.recv(65536).decode()
    if f"MSA|AA|{control}" not in answer:
        raise SystemExit(f"the report was not taken: {answer!r}")


def _our_sr(stage: Stage, study_uid: str) -> Path:
    for path in (stage.folder / "peers" / "pacs").glob("*.dcm"):
        ds = dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "Modality"])
        if ds.get("Modality") == "SR" and ds.StudyInstanceUID == study_uid:
            return path
    raise SystemExit("the PACS has no SR of this study")


def _identity(stage: Stage, study_uid: str) -> tuple[str, str]:
    found = json.loads((stage.folder / "sent.json").read_text())[study_uid]
    return found["accession"], found["patient"]
