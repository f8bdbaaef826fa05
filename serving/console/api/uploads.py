"""The paths /api/v1/uploads: hand in images by hand, have them read, take the report away, delete it all."""

import asyncio
import tempfile
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from flows import uploads as verbs
from flows.discarding import discard
from flows.house import House
from flows.unpacking import Subject
from radloop.domain.access import Permission, Who
from radloop.domain.errors import NotFound, TooLarge
from radloop.ledger import uploads as rows
from radloop.ledger.uploads import FileKind, Upload, UploadState
from radloop.render.overlay import heated
from serving.console.api.readings import REFUSALS, OurId, as_file
from serving.console.identity import HouseHere, may
from serving.console.refusals import PastDeadline

uploads = APIRouter(prefix="/api/v1/uploads", responses=REFUSALS, tags=["uploads"])
Uploader = Annotated[Who, may(Permission.UPLOAD)]
SILENCE_SECONDS: Final = 20.0
"""A body of which nothing came for this long is given up."""
LONG_SIDE: Final = 1024
SHOWN: Final = 20
Number = Annotated[int, Path(ge=0, le=9999)]


class UploadIn(BaseModel):
    """How what is handed in shall be treated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deidentify: bool = Field(default=False, description="take identity away before anything is kept")


class UploadOut(BaseModel):
    """One upload, and what the models said of it."""

    id: str
    at: datetime
    delete_at: datetime
    state: UploadState
    deidentified: bool
    images: int
    report: Mapping[str, Any] | None


class TakenOut(BaseModel):
    """What became of one file: images taken, and the codes of why others were not."""

    taken: int
    refused: tuple[str, ...]


@uploads.post("", status_code=HTTPStatus.CREATED)
def post_upload(said: UploadIn, house: HouseHere, who: Uploader) -> UploadOut:
    """Begin an upload."""
    return out(house, verbs.begin(house, who.actor.name, deidentify=said.deidentify))


@uploads.get("")
def list_uploads(house: HouseHere, who: Uploader) -> tuple[UploadOut, ...]:
    """One's own uploads that are still there, the newest first."""
    with house.ledger.read() as conn:
        found = rows.of_actor(conn, who.actor.name, SHOWN)
    return tuple(out(house, one) for one in found)


@uploads.post("/{upload_id}/files")
async def post_file(
    upload_id: OurId,
    request: Request,
    house: HouseHere,
    who: Uploader,
    subject: Annotated[Subject, Query(description="what a picture without a header shows")] = Subject.CHEST_XRAY,
) -> TakenOut:
    """Hand in one file as the body: DICOM, PNG, JPEG, or a ZIP of such. Its name is not asked for."""
    upload = await run_in_threadpool(mine, house, who, upload_id)
    # Nameless: it is gone with the process, whatever happens.
    with tempfile.TemporaryFile(dir=house.settings.home) as file:
        await _spool(request, file, house.settings.upload.max_bytes)
        done = await run_in_threadpool(verbs.take, house, upload, file, subject)
    return TakenOut(taken=done.taken, refused=done.refused)


@uploads.post("/{upload_id}/reading")
async def post_reading(upload_id: OurId, house: HouseHere, who: Uploader) -> UploadOut:
    """Have it read now; answers with the report."""
    upload = await run_in_threadpool(mine, house, who, upload_id)
    done = await verbs.read(house, upload)
    return await run_in_threadpool(out, house, done)


@uploads.get("/{upload_id}")
def get_upload(upload_id: OurId, house: HouseHere, who: Uploader) -> UploadOut:
    """One upload of one's own."""
    return out(house, mine(house, who, upload_id))


@uploads.delete("/{upload_id}")
def delete_upload(upload_id: OurId, house: HouseHere, who: Uploader) -> UploadOut:
    """Delete it now: images, pictures, objects, report."""
    upload = mine(house, who, upload_id)
    shown = out(house, upload)
    discard(house, upload.id, who.actor.name)
    return shown.model_copy(update={"state": UploadState.DELETED, "report": None})


@uploads.get("/{upload_id}/objects/{object_id}", response_class=Response, responses=as_file("application/dicom"))
def get_object(upload_id: OurId, object_id: OurId, house: HouseHere, who: Uploader) -> Response:
    """One of the DICOM objects that were made: the structured report, or the picture."""
    with house.ledger.read() as conn:
        rows.get(conn, upload_id, who.actor.name)
        found = next((one for one in rows.files(conn, upload_id, FileKind.OBJECT) if one.id == object_id), None)
    if found is None:
        raise NotFound("there is no such object")
    headers = {"Content-Disposition": f'attachment; filename="{object_id}.dcm"'}
    return Response(house.store.get(found.blob.key), media_type="application/dicom", headers=headers)


@uploads.get(
    "/{upload_id}/pictures/{study}/{answer}/{finding}.png",
    response_class=Response,
    responses=as_file("image/png"),
)
def get_picture(
    upload_id: OurId,
    study: Number,
    answer: Number,
    finding: Number,
    house: HouseHere,
    who: Uploader,
    heat: bool = True,  # noqa: FBT001, FBT002 - a name of the query
) -> Response:
    """The key image of a finding, with the heatmap over it or without."""
    said = _finding(mine(house, who, upload_id), study, answer, finding)
    picture = house.store.get(said["picture_key"])
    shown = heated(picture, house.store.get(said["heatmap_key"]), LONG_SIDE) if heat else picture
    return Response(shown, media_type="image/png")


def mine(house: House, who: Who, upload_id: str) -> Upload:
    """An upload of whoever asks.

    Raises:
        NotFound: they have none of this id.
    """
    with house.ledger.read() as conn:
        return rows.get(conn, upload_id, who.actor.name)


def out(house: House, upload: Upload) -> UploadOut:
    """For the wire: without keys of the store."""
    with house.ledger.read() as conn:
        images, _ = rows.size(conn, upload.id)
    return UploadOut(
        id=upload.id,
        at=upload.at,
        delete_at=upload.delete_at,
        state=upload.state,
        deidentified=upload.deidentify,
        images=images,
        report=_without_keys(upload.report) if upload.report else None,
    )


def _without_keys(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **report,
        "studies": [{**study, "answers": [_answer(a) for a in study["answers"]]} for study in report["studies"]],
    }


def _answer(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**answer, "findings": [_shown(finding) for finding in answer["findings"]]}


def _shown(finding: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {name: value for name, value in finding.items() if not name.endswith("_key")}
    return {**kept, "has_picture": bool(finding["picture_key"] and finding["heatmap_key"])}


def _finding(upload: Upload, study: int, answer: int, finding: int) -> Mapping[str, Any]:
    studies = upload.report["studies"] if upload.report else []
    try:
        said: Mapping[str, Any] = studies[study]["answers"][answer]["findings"][finding]
    except IndexError:
        raise NotFound("there is no such picture") from None
    if not (said["picture_key"] and said["heatmap_key"]):
        raise NotFound("there is no such picture")
    return said


async def _spool(request: Request, file: IO[bytes], most: int) -> None:
    """The body into a file; nothing of it is believed before it was counted."""
    count = 0
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise PastDeadline("the upload stalled; nothing of it was kept") from None
        count += len(chunk)
        if count > most:
            raise TooLarge(f"an upload may have {most} bytes")
        await run_in_threadpool(file.write, chunk)
    await run_in_threadpool(file.seek, 0)
