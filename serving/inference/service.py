"""The BentoML service: admission, the way of one request, and BentoML's adaptive batching in the middle."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import bentoml
import structlog
import torch
from bentoml import IODescriptor
from bentoml.exceptions import BentoMLException
from starlette.responses import JSONResponse, Response

import radloop
from models.runtime import LoadedModel
from radloop.domain.errors import RadloopError, Rejected, Unavailable
from radloop.domain.records import InferenceAnswer, Run
from radloop.settings import InferenceSettings
from serving.inference.answering import answered, unanswered
from serving.inference.contract import Digests, Overloaded, PastDeadline, Reference, References, as_json, refusal
from serving.inference.looking import Eye, Keep, Unseen, View
from serving.inference.reader import Reader, Reading
from serving.inference.shelf import Shelf, Warmth
from serving.inference.wire import JsonOnly

log = structlog.get_logger(__name__)

NAME: Final = "radloop_inference"
AT_ONCE: Final = 16
"""Requests that hold images in memory; more wait."""
WAITING: Final = 64
"""Requests in all; more are told to come back."""
KEPT_IMAGES: Final = 4
"""A study of up to this many images keeps its pixels until its pictures are made; a larger one decodes those again."""
HUNG: Final = 2.0
"""A forward pass that takes this many deadlines will never end."""
FOREVER: Final = 2**53
EXIT_HUNG: Final = 70  # sysexits.h, EX_SOFTWARE
BUILD: Final = f"radloop {radloop.__version__}, torch {torch.__version__}"


@dataclass(frozen=True, slots=True)
class Bench:
    """What a request needs at hand."""

    shelf: Shelf
    eye: Eye
    reader: Reader
    settings: InferenceSettings
    threads: int


def build(bench: Bench) -> Any:
    """The service as BentoML knows it; `to_asgi` of what comes back is the application."""
    settings = bench.settings
    members = {
        "bench": bench,
        "__doc__": "See `serving.inference`.",
        # BentoML documents what `_study` returns; the response is made in `infer`, for its status and headers.
        "infer": bentoml.api(_Endpoints.infer, route="/infer", output_spec=IODescriptor.from_output(_study)),
        "warm": bentoml.api(_Endpoints.warm, route="/warm", output_spec=IODescriptor.from_output(_warmed)),
        "read": bentoml.api(
            _Endpoints.read,
            batchable=True,
            max_batch_size=settings.max_batch,
            max_latency_ms=int(settings.deadline_seconds * 1000),
        ),
    }
    service = bentoml.service(
        name=NAME,
        workers=1,
        # Ours comes first and says more; this one is for what we did not think of.
        traffic={"timeout": HUNG * settings.deadline_seconds + 10},
        logging={"access": {"enabled": False}},
        # Its client to itself takes a fresh session every hundred requests or five minutes, and closes the old one
        # under whatever is still on its way there: those fail with 500. A session in this process does not age.
        runner_connection={"max_requests": FOREVER, "max_age": float(FOREVER)},
    )(type("Inference", (_Endpoints,), members))
    service.add_asgi_middleware(JsonOnly)
    return service


class _Endpoints:
    """What the service does; `build` makes BentoML's service of it."""

    bench: Bench
    to_async: Any
    """BentoML's in-process client to this very service: what goes through it is batched."""

    def __init__(self) -> None:
        self._requests = 0
        self._room = asyncio.Semaphore(AT_ONCE)

    async def infer(self, model: str, digest: str, instances: References) -> Response:
        """One model's answer for one study version."""
        try:
            return Response(as_json(await self._answer(model, digest, instances)), media_type="application/json")
        except RadloopError as error:
            log.warning("refused", code=error.code)
            said = refusal(error, self.bench.settings.retry_seconds)
            return JSONResponse(dict(said.body), said.status, dict(said.headers))

    async def warm(self, model: str, digests: Digests) -> Response:
        """Have these versions ready before they may be asked; what is not wanted any more is put away."""
        warmth = await _warmed(self.bench, model, digests)
        return JSONResponse({"ready": warmth.ready, "refused": dict(warmth.refused)})

    async def read(self, tickets: list[int]) -> list[bool]:
        """Read prepared images by their tickets. For this process itself: a stranger has no tickets."""
        reader = self.bench.reader
        reading = asyncio.get_running_loop().run_in_executor(reader.thread, reader.read, tickets)
        try:
            return await asyncio.wait_for(reading, HUNG * self.bench.settings.deadline_seconds)
        except TimeoutError:
            # A thread cannot be ended. The supervisor starts another process; waiting requests are asked again.
            log.critical("a forward pass hangs")
            os._exit(EXIT_HUNG)

    async def _answer(self, model: str, digest: str, instances: Sequence[Reference]) -> InferenceAnswer:
        if self._requests >= WAITING:
            raise Overloaded("too many requests wait")
        self._requests += 1
        try:
            async with asyncio.timeout(self.bench.settings.deadline_seconds), self._room:
                return await _study(self.bench, self.to_async, model, digest, instances)
        except TimeoutError:
            raise PastDeadline("no answer within the deadline") from None
        finally:
            self._requests -= 1


async def _warmed(bench: Bench, name: str, digests: Sequence[str]) -> Warmth:
    return await asyncio.to_thread(bench.shelf.keep, name, digests)


async def _study(bench: Bench, batched: Any, name: str, digest: str, instances: Sequence[Reference]) -> InferenceAnswer:
    """The way of one request: the model, the images, the batch, the answer."""
    started = time.monotonic()
    model = await asyncio.to_thread(bench.shelf.get, name, digest)
    views, unseen = await _looked(bench.eye, model, instances)
    readings = await _read(bench.reader, batched, model, views)
    run = Run(
        batch=max((reading.batch for reading in readings), default=0),
        device="cpu",
        threads=bench.threads,
        build=BUILD,
        seconds=round(time.monotonic() - started, 4),
    )
    if not readings:
        return unanswered(model, unseen, run)
    try:
        return await asyncio.to_thread(answered, model, bench.eye, readings, unseen, run)
    except Rejected as error:  # it could be decoded a moment ago
        raise Unavailable("an image could not be decoded again") from error


async def _looked(eye: Eye, model: LoadedModel, instances: Sequence[Reference]) -> tuple[list[View], list[Unseen]]:
    keep = Keep.PICTURE if len(instances) == 1 else Keep.PIXELS if len(instances) <= KEPT_IMAGES else Keep.NOTHING
    loop = asyncio.get_running_loop()
    seen = await asyncio.gather(*(loop.run_in_executor(eye.threads, eye.look, one, model, keep) for one in instances))
    return [one for one in seen if isinstance(one, View)], [one for one in seen if isinstance(one, Unseen)]


async def _read(reader: Reader, batched: Any, model: LoadedModel, views: Sequence[View]) -> list[Reading]:
    """Through BentoML's batching and back.

    Raises:
        Unavailable: the batch was shed, or the forward pass failed (out of memory).
    """
    tickets = reader.admit(model, views)
    try:
        if tickets:
            await batched.read(tickets)
    except BentoMLException as error:
        raise Unavailable(f"the forward pass failed: {_status(error).phrase}") from None
    finally:
        readings = reader.collect(tickets)
    return [_there(reading) for reading in readings]


def _there(reading: Reading | None) -> Reading:
    if reading is None:
        raise Unavailable("the forward pass left an image out")
    return reading


def _status(error: BentoMLException) -> HTTPStatus:
    return HTTPStatus(error.error_code)
