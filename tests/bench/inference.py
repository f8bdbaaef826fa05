"""Inference through the service beside a bare torch loop: `python -m tests.bench.inference [--quick] [--json FILE]`.

Both read the same files with the same model and explain every one: the loop with pydicom and torch alone, in one
process that does nothing else; the service as a client meets it over HTTP, with its bounded decoders, its encrypted
store and its pictures. The two take turns, and the median counts. Real radiographs where ../shared/data is there,
else phantoms; 1024 px, JPEG 2000.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pydicom
import torch
from pydicom.uid import JPEG2000Lossless

from models.bundles import install
from models.catalog import catalog
from models.phantoms import chest
from models.preparation import header_facts, to_unit
from models.runtime import LoadedModel, load
from radloop.settings import load_settings
from radloop.store import Keyring
from tests.peers.dicom_files import part10
from tests.serving.inference.house import ModelServer, make_home, model_server

REAL = Path(__file__).parents[3] / "shared" / "data" / "cxr"
MODEL = "cxr_pneumonia"
AT_ONCE = 8
PROBE = 20
"""Images of the breakdown."""


@dataclass(frozen=True)
class Report:
    """Milliseconds per image, the median over rounds; latencies of single requests, one at a time; memory in MB."""

    images: int
    source: str
    bare_ms: float
    service_one_at_a_time_ms: float
    service_eight_at_once_ms: float
    ratio_one_at_a_time: float
    ratio_eight_at_once: float
    latency_p50_ms: float
    latency_p95_ms: float
    decode_ms: float
    prepare_ms: float
    predict_and_explain_ms: float
    memory_mb: float
    start_seconds: float


def main() -> None:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="24 images, one round")
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    arguments = parser.parse_args()
    report = measure(images=24, rounds=1) if arguments.quick else measure(images=200, rounds=3)
    for name, value in asdict(report).items():
        sys.stdout.write(f"{name:28} {value}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1) + "\n")


def measure(images: int, rounds: int) -> Report:
    """Both, in turns."""
    files, source = load_images(images)
    with tempfile.TemporaryDirectory(prefix="radloop-") as folder:
        home = make_home(Path(folder) / "home")
        bundle = install_champion(home)
        started = time.monotonic()
        with model_server(home, bundle.name) as server:
            start_seconds = time.monotonic() - started
            return compare(server, load(bundle), files, rounds, source, start_seconds)


def compare(
    server: ModelServer, model: LoadedModel, files: Sequence[bytes], rounds: int, source: str, start_seconds: float
) -> Report:
    torch.set_num_threads(psutil.cpu_count(logical=True) or 1)
    references = [server.keep_bytes(data) for data in files]
    ask = asker(server)
    latencies: list[float] = []
    for data, reference in zip(files[:5], references[:5], strict=True):  # warm, both of them
        bare(model, data)
        ask(reference)
    bare_ms, single_ms, together_ms = [], [], []
    for _ in range(rounds):
        bare_ms.append(per_image(files, lambda data: bare(model, data)))
        single_ms.append(per_image(references, lambda reference: latencies.append(timed(ask, reference))))
        together_ms.append(together(ask, references))
    middle = {name: statistics.median(values) for name, values in
              (("bare", bare_ms), ("single", single_ms), ("together", together_ms))}  # fmt: skip
    decode_ms, prepare_ms, read_ms = breakdown(model, files[:PROBE])
    return Report(
        images=len(files),
        source=source,
        bare_ms=round(middle["bare"], 1),
        service_one_at_a_time_ms=round(middle["single"], 1),
        service_eight_at_once_ms=round(middle["together"], 1),
        ratio_one_at_a_time=round(middle["single"] / middle["bare"], 2),
        ratio_eight_at_once=round(middle["together"] / middle["bare"], 2),
        latency_p50_ms=round(float(np.percentile(latencies, 50)), 1),
        latency_p95_ms=round(float(np.percentile(latencies, 95)), 1),
        decode_ms=round(decode_ms, 1),
        prepare_ms=round(prepare_ms, 1),
        predict_and_explain_ms=round(read_ms, 1),
        memory_mb=memory(server.process.pid),
        start_seconds=round(start_seconds, 1),
    )


def load_images(count: int) -> tuple[list[bytes], str]:
    """Files of the chest set, or phantoms made to be like them."""
    if REAL.is_dir():
        return [path.read_bytes() for path in sorted(REAL.glob("*.dcm"))[:count]], "real radiographs"
    phantoms = [chest(seed, opacity=seed % 2 == 0, rows=1024) for seed in range(min(count, 20))]
    for ds in phantoms:
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    return [part10(phantoms[number % len(phantoms)]) for number in range(count)], "phantoms"


def install_champion(home: Path) -> Path:
    settings = load_settings(home)
    return install(catalog()[MODEL].bundle, settings.models_path, Keyring.load(settings.keys_path).signing_key)


def asker(server: ModelServer) -> Callable[[dict[str, str]], None]:
    model = catalog()[MODEL]

    def ask(reference: dict[str, str]) -> None:
        server.ask(reference, model=model.name)

    return ask


def bare(model: LoadedModel, data: bytes) -> None:
    """What a script would do: decode, prepare, predict with Grad-CAM."""
    ds = pydicom.dcmread(BytesIO(data))
    model.predict_and_explain(model.prepare(to_unit(ds.pixel_array, header_facts(ds)))[None])


def per_image(items: Sequence[Any], work: Callable[[Any], object]) -> float:
    started = time.perf_counter()
    for item in items:
        work(item)
    return (time.perf_counter() - started) * 1000 / len(items)


def together(ask: Callable[[dict[str, str]], None], references: Sequence[dict[str, str]]) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(ask, references))
    return (time.perf_counter() - started) * 1000 / len(references)


def timed(ask: Callable[[dict[str, str]], None], reference: dict[str, str]) -> float:
    started = time.perf_counter()
    ask(reference)
    return (time.perf_counter() - started) * 1000


def breakdown(model: LoadedModel, files: Sequence[bytes]) -> tuple[float, float, float]:
    """Where the bare loop's time goes: decode, prepare, predict and explain."""
    sets = [pydicom.dcmread(BytesIO(data)) for data in files]
    decode_ms = per_image(sets, lambda ds: ds.pixel_array.sum())
    units = [(ds.pixel_array, header_facts(ds)) for ds in sets]
    prepare_ms = per_image(units, lambda unit: model.prepare(to_unit(*unit)))
    tensors = [model.prepare(to_unit(*unit))[None] for unit in units]
    return decode_ms, prepare_ms, per_image(tensors, model.predict_and_explain)


def memory(pid: int) -> float:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return round(sum(one.memory_full_info().pss for one in family) / 1e6, 0)


if __name__ == "__main__":
    main()
