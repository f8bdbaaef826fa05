"""The paths of images: the stacks of a study, their frames as numbers for the viewer, heatmaps over them.

Frames are decoded in bounded children, a few at a time; who asks for one meanwhile waits without holding a thread.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Final, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from flows.final_report import shown
from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.errors import NotFound
from radloop.domain.records import Finding, Instance
from radloop.ledger import instances as instance_rows
from radloop.ledger import results as result_rows
from radloop.ledger import studies as study_rows
from radloop.pixels import DecodePool, read_header
from radloop.render.overlay import heat_layer, heated
from serving.console.api.readings import REFUSALS, OurId
from serving.console.framing import framed
from serving.console.identity import HouseHere, house_of, may
from serving.console.reading_room import ReadingRoom
from serving.console.stacks import Stack, stacks_of

images = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["reading"])
Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]
FrameNumber = Annotated[int, Path(ge=0, lt=65_536)]
Ordinal = Annotated[int, Path(ge=0, lt=1000)]
CHILDREN: Final = 2
AT_A_TIME: Final = 6
"""Requests for images in threads at once: those that decode, and as many that read, shrink or write."""
THUMBNAIL: Final = 256
T = TypeVar("T")


@cache
def pool() -> DecodePool:
    """The decoders of this process; they start with the first page that will want them."""
    return DecodePool(CHILDREN)


def warm() -> None:
    """Begin to start the decoders, so that the first image need not wait for them."""
    pool()


@images.get("/studies/{version_id}/images")
async def get_images(request: Request, version_id: OurId, _: Viewer) -> list[Stack]:
    """The images of a study version, by series and in the order of reading."""
    return await _in_turn(request, partial(_stacks, house_of(request), _room(request), version_id))


@images.get("/instances/{instance_id}/frames/{number}", response_class=Response)
async def get_frame(request: Request, instance_id: OurId, number: FrameNumber, who: Viewer) -> Response:
    """One frame: little-endian 16-bit numbers (bytes of R, G, B where it is coloured), at most 1600 a side.

    The header X-Frame says as JSON how to draw them (`FrameFacts`).
    """
    return await _in_turn(request, partial(_frame, house_of(request), _room(request), who, instance_id, number))


@images.get("/results/{result_id}/findings/{ordinal}/heatmap", response_class=Response)
def get_heatmap(request: Request, result_id: OurId, ordinal: Ordinal, house: HouseHere, who: Viewer) -> Response:
    """Where the model looked: a coloured, half transparent PNG that covers the whole image."""
    finding = _finding(house, result_id, ordinal)
    _room(request).views.record(who, "result", "result", result_id)
    return Response(heat_layer(house.store.get(finding.heatmap_key or "")), media_type="image/png")


@images.get("/results/{result_id}/findings/{ordinal}/thumbnail", response_class=Response)
def get_thumbnail(request: Request, result_id: OurId, ordinal: Ordinal, house: HouseHere, who: Viewer) -> Response:
    """The image with the heat over it, small."""
    finding = _finding(house, result_id, ordinal)
    _room(request).views.record(who, "result", "result", result_id)
    picture, heat = house.store.get(finding.picture_key or ""), house.store.get(finding.heatmap_key or "")
    return Response(heated(picture, heat, THUMBNAIL), media_type="image/png")


def _finding(house: House, result_id: str, ordinal: int) -> Finding:
    """A finding that readers are shown and that has a heatmap."""
    with house.ledger.read() as conn:
        result = result_rows.get(conn, result_id)
    found = result.findings[ordinal : ordinal + 1] if result is not None and shown(result) else ()
    if not found or not found[0].heatmap_key or not found[0].picture_key:
        raise NotFound("there is no such heatmap")
    return found[0]


async def _in_turn(request: Request, work: Callable[[], T]) -> T:
    """In one of a few threads: however many scroll, the other pages keep theirs."""
    state = request.app.state
    if not hasattr(state, "image_threads"):
        state.image_threads = anyio.CapacityLimiter(AT_A_TIME)
    return await anyio.to_thread.run_sync(work, limiter=state.image_threads)


def _room(request: Request) -> ReadingRoom:
    room: ReadingRoom = request.app.state.reading_room
    return room


def _stacks(house: House, room: ReadingRoom, version_id: str) -> list[Stack]:
    with house.ledger.read() as conn:
        if study_rows.get(conn, version_id) is None:
            raise NotFound("there is no such study version")
        found = instance_rows.of_version(conn, version_id)
    return list(room.kept.get(("stacks", version_id), len(found), lambda: stacks_of(house.store, found)))


def _frame(house: House, room: ReadingRoom, who: Who, instance_id: str, number: int) -> Response:
    data = house.store.get(_instance(house, instance_id).blob.key)
    header = read_header(data)
    facts, pixels = framed(pool().decode_coloured(data, number), header)
    room.views.record(who, "image", "instance", instance_id)
    return Response(pixels, media_type="application/octet-stream", headers={"X-Frame": facts.as_json()})


def _instance(house: House, instance_id: str) -> Instance:
    with house.ledger.read() as conn:
        found = instance_rows.get(conn, instance_id)
    if found is None:
        raise NotFound("there is no such instance")
    return found
