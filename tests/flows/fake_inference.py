"""An inference service that answers by a script: over the real HTTP interface, with pictures in the real store."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

from radloop.domain.enums import ResultStatus
from radloop.domain.ports import BlobStore
from radloop.domain.records import InferenceAnswer, Run, TargetScore


@dataclass
class FakeInference:
    """A running service. Change `probability`, `status`, `delay` or `spoil` at any time."""

    port: int
    store: BlobStore
    probability: float = 0.92
    status: int = 200
    delay: float = 0.0
    answer: ResultStatus = ResultStatus.OK
    reason: str | None = None
    spoil: Callable[[InferenceAnswer], InferenceAnswer | bytes] = lambda answer: answer
    questions: list[dict[str, Any]] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    """Monotonic time of each question."""
    warmed: list[str] = field(default_factory=list)
    """Digests that were to be made ready."""
    outages: int = 0
    """How often it was asked to make something ready, and could not."""
    refuses: dict[str, str] = field(default_factory=dict)
    """Digests that cannot be made ready, and the code that says why."""


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)
    with io.BytesIO() as buffer:
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


@contextmanager
def fake_inference(store: BlobStore, port: int = 0) -> Iterator[FakeInference]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/warm":
                service.outages += service.status != 200
                self._answer(_warmth(service, question) if service.status == 200 else b"{}")
                return
            service.asked_at.append(time.monotonic())
            service.questions.append(question)
            time.sleep(service.delay)
            self._answer(_body(service, question) if service.status == 200 else b"{}")

        def _answer(self, body: bytes) -> None:
            self.send_response(service.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    service = FakeInference(server.server_port, store)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def _warmth(service: FakeInference, question: dict[str, Any]) -> bytes:
    service.warmed += question["digests"]
    refused = {digest: code for digest, code in service.refuses.items() if digest in question["digests"]}
    ready = [digest for digest in question["digests"] if digest not in refused]
    return json.dumps({"ready": ready, "refused": refused}).encode()


def _body(service: FakeInference, question: dict[str, Any]) -> bytes:
    ok = service.answer is ResultStatus.OK
    score = TargetScore(target="pneumonia", probability=service.probability, instance_id=question["instances"][0]["id"])
    if ok:
        picture, heatmap = service.store.put(png(1)), service.store.put(png(2))
        score = replace(score, picture_key=picture.key, heatmap_key=heatmap.key, box=(8.0, 8.0, 40.0, 40.0))
    answer = InferenceAnswer(
        model=question["model"],
        digest=question["digest"],
        status=service.answer,
        reason=service.reason,
        scores=(score,) if ok else (),
        run=Run(batch=1, device="cpu", threads=1, build="fake", seconds=0.01),
    )
    spoiled = service.spoil(answer)
    return spoiled if isinstance(spoiled, bytes) else json.dumps(asdict(spoiled)).encode()
