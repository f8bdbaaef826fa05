"""From the last C-STORE response to the answer, one radiograph at a time and many at once; uploads; memory and start.

`python -m tests.bench.answer [--quick] [--json FILE]`.
The house runs with a real Orthanc as PACS and an MLLP peer as RIS.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from radloop.process import free_port
from tests.acceptance.conftest import World, peers
from tests.acceptance.house import PORTS, House, house
from tests.acceptance.load import radiographs, send_at_once, send_until_acknowledged
from tests.clock import until
from tests.peers.dicom_files import part10
from tests.peers.fhir import fhir_peer
from tests.peers.mllp import mllp_peer
from tests.peers.orthanc import orthanc

ROWS = 1024
ASSOCIATIONS = 4
UPLOADS = 6


@dataclass(frozen=True)
class Figures:
    """What was measured. Seconds, and MB of resident memory; processes by name."""

    up_seconds: float
    rest_mb: float
    rest_mb_by_process: dict[str, float]
    upload_first: float
    upload_p50: float
    one_p50: float
    one_p95: float
    one_count: int
    many: int
    many_answered: int
    many_seconds: float
    many_per_second: float


def main(argv: Sequence[str] | None = None) -> Figures:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 singly, 20 at once; not 40 and 200")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(argv)
    singles, many = (10, 20) if options.quick else (40, 200)
    figures = measure(singles, many)
    for name, value in asdict(figures).items():
        print(f"{name:>20}  {value}")  # noqa: T201 - a bench prints
    if options.json:
        options.json.write_text(json.dumps(asdict(figures), indent=2))
    return figures


def measure(singles: int, many: int) -> Figures:
    """Run one house through start, rest, single radiographs and a crowd."""
    port = free_port()
    settings = PORTS.replace("dicom_port = 0", f"dicom_port = {port}")
    with (
        tempfile.TemporaryDirectory(prefix="radloop-bench-") as folder,
        orthanc() as pacs,
        mllp_peer("AA") as ris,
        fhir_peer() as ehr,
        house(Path(folder, "home"), peers(pacs, ris, ehr), settings, up=False) as opened,
    ):
        opened.cli("up", "--wait")
        opened.cli("down")
        started = time.monotonic()
        opened.cli("up", "--wait")
        up_seconds = time.monotonic() - started
        world = World(opened, port, pacs, ris, ehr)
        time.sleep(5)
        rest = memory(opened)
        read = uploads(opened, UPLOADS)
        one = [single(world) for _ in range(singles)]
        seconds, answered = crowd(world, many)
    return Figures(
        up_seconds=round(up_seconds, 1),
        rest_mb=round(sum(rest.values())),
        rest_mb_by_process=rest,
        upload_first=round(read[0], 2),
        upload_p50=round(statistics.median(read[1:]), 2),
        one_p50=round(statistics.median(one), 2),
        one_p95=round(sorted(one)[max(0, round(0.95 * len(one)) - 1)], 2),
        one_count=len(one),
        many=many,
        many_answered=answered,
        many_seconds=round(seconds, 1),
        many_per_second=round(answered / seconds, 2),
    )


def memory(opened: House) -> dict[str, float]:
    """Proportional memory (PSS, MB) of every process and its children: shared pages are counted once."""
    found = {}
    # A gateway that listens for HL7 too has a row for each port.
    for pid, name in {pid: name for name, pid in reversed(opened.pids().items())}.items():
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        found[name] = round(sum(p.memory_full_info().pss for p in family) / 1e6, 1)
    return found


def uploads(opened: House, count: int) -> list[float]:
    """Seconds from the begin of an upload of one radiograph to its report, the first of the house and those after."""
    token = opened.json("actor", "add", "bench")["token"]
    base = f"http://127.0.0.1:{opened.ports()['console']}/api/v1/uploads"
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60) as http:

        def read(image: bytes) -> float:
            began = time.monotonic()
            upload = http.post(base, json={}).raise_for_status().json()["id"]
            http.post(f"{base}/{upload}/files", content=image).raise_for_status()
            report = http.post(f"{base}/{upload}/reading").raise_for_status().json()["report"]
            seconds = time.monotonic() - began
            assert [answer["status"] for study in report["studies"] for answer in study["answers"]] == ["OK"]
            return seconds

        return [read(part10(ds)) for ds in radiographs(count, rows=2 * ROWS)]


def single(world: World) -> float:
    """Seconds from the C-STORE response to the SR accepted by the PACS and the ORU acknowledged."""
    (ds,) = radiographs(1, rows=ROWS)
    send_until_acknowledged([ds], world.port, 30)
    last_image = time.time()
    uid = str(ds.StudyInstanceUID)
    world.house.answered([uid], 60)
    row = world.house.studies()[uid]
    wanted = [d["accepted_at"] for d in row["deliveries"] if d["kind"] in ("SR", "ORU")]
    return max(datetime.fromisoformat(at).timestamp() for at in wanted) - last_image


def crowd(world: World, many: int) -> tuple[float, int]:
    """Seconds from the first send to the last answer delivered, and how many were answered."""
    studies = radiographs(many, rows=ROWS)
    started = time.monotonic()
    sent = send_at_once(studies, world.port, ASSOCIATIONS)
    uids = set(sent.acknowledged)

    def all_answered() -> bool:
        rows = world.house.studies()
        return all(uid in rows and rows[uid]["state"] == "ANSWERED" for uid in uids)

    until(all_answered, 30 + 3 * many, world.house.brief)
    return time.monotonic() - started, len(uids)


if __name__ == "__main__":
    main()
