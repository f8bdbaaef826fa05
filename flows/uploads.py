"""Hand in, read, look, delete: images outside the hospital's stream, with the same models, cards and objects.

What comes in here is never sent, learned from, counted or watched, and goes after `[upload] keep_hours`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic
from typing import IO, Any, Final

import structlog
from pydicom import Dataset

from flows import acquisitions, answers, door, encoding, inference, routing
from flows.encoding import Invalid, Made, Surroundings
from flows.house import House
from flows.routing import Appointment
from flows.unpacking import Room, Subject, pieces
from flows.wanted import Recipients
from integrations.deidentify import Pseudonyms, deidentify_file, site_key
from integrations.objects.context import PriorityMessage
from radloop import audit
from radloop.domain.enums import ObjectKind, ResultStatus, StudyState, Urgency
from radloop.domain.errors import DuplicateConflict, NotFound, Rejected, Transient
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Acquisition, AuditEvent, Blob, Evidence, Instance, Result, StudyVersion
from radloop.ledger import uploads as rows
from radloop.ledger.uploads import FileKind, Upload, UploadFile, UploadState
from radloop.pixels import parse_identity, read_header, split

log = structlog.get_logger()

PEER: Final = "upload"
PROJECT: Final = "uploads"
MADE: Final = (ObjectKind.SR, ObjectKind.SC)
INTERRUPTED: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file that was handed in: images taken, and the reasons of those that were not."""

    taken: int
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """One image on its way to a model."""

    instance: Instance
    header: Dataset
    row: Acquisition


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """What one model said of one study, and the objects that were made of it."""

    appointment: Appointment
    result: Result
    quality: tuple[str, ...]
    objects: tuple[Made | Invalid, ...]


def begin(house: House, actor: str, *, deidentify: bool) -> Upload:
    """A new upload, to which files may come."""
    now = utc_now()
    made = Upload(
        id=new_id("up"),
        actor=actor,
        at=now,
        delete_at=now + timedelta(hours=house.settings.upload.keep_hours),
        state=UploadState.TAKING,
        deidentify=deidentify,
        report=None,
        read_at=None,
    )
    with house.ledger.write() as conn:
        rows.add(conn, made)
        audit.append(conn, _event(made, "upload", "de-identified" if deidentify else ""))
    return made


def take(house: House, upload: Upload, file: IO[bytes], subject: Subject) -> Taken:
    """Take the images in one file; each is durable, and named by the ledger, when this returns.

    Raises:
        TooLarge: more than the site's settings allow.
        Unparsable: a ZIP that cannot be opened.
        DuplicateConflict: the upload is closed.
        StorageFull, Unavailable: the store's and the ledger's.
    """
    if upload.state is not UploadState.TAKING:
        raise DuplicateConflict("this upload is closed: begin another one")
    with house.ledger.read() as conn:
        count, size = rows.size(conn, upload.id)
    limits = house.settings.upload
    room = Room(limits.max_files - count, limits.max_bytes - size)
    kept: list[UploadFile] = []
    refused: list[str] = []
    for piece in pieces(file, subject, room):
        reason = piece.reason
        if piece.data is not None:
            data, reason = _cleaned(house, upload, piece.data)
            if data is not None:
                kept.append(_file(FileKind.IMAGE, count + len(kept), house.store.put(data)))
        if reason:
            refused.append(reason)
    with house.ledger.write() as conn:
        rows.add_files(conn, upload.id, kept)
    return Taken(len(kept), tuple(refused))


async def read(house: House, upload: Upload) -> Upload:
    """Have every routed model read an upload, and keep what they say.

    Raises:
        Rejected: there is no image in it.
        DuplicateConflict: it is being read.
        Unavailable: a model could not be asked; it may be tried again.
    """
    images = await asyncio.to_thread(_images, house, upload)
    if not images:
        raise Rejected("there is no image in this upload that could be read")
    await asyncio.to_thread(_start, house, upload)
    began = monotonic()
    try:
        studies = [await _study(house, upload, of_study) for of_study in images.values()]
    except Transient:
        await asyncio.to_thread(_fail, house, upload)
        raise
    report = {"studies": studies, "seconds": round(monotonic() - began, 3)}
    return await asyncio.to_thread(_finish, house, upload, report)


def _cleaned(house: House, upload: Upload, data: bytes) -> tuple[bytes | None, str]:
    """The bytes to keep, or the code of the reason why none are."""
    try:
        if upload.deidentify:
            keys = Pseudonyms.of_project(site_key(house.settings.keys_path), PROJECT)
            data = deidentify_file(data, keys).data
        file = split(data)
        parse_identity(file.dataset, file.transfer_syntax_uid)
    except Rejected as error:
        return None, error.code
    return data, ""


def _images(house: House, upload: Upload) -> Mapping[str, Sequence[_Image]]:
    """The images to read, by study (its UID stays in here)."""
    with house.ledger.read() as conn:
        stored = rows.files(conn, upload.id, FileKind.IMAGE)
    found: dict[str, list[_Image]] = defaultdict(list)
    for one in stored:
        image = _image(house, upload, one)
        if image is not None:
            found[image.instance.header.study_uid].append(image)
    return found


def _image(house: House, upload: Upload, stored: UploadFile) -> _Image | None:
    data = house.store.get(stored.blob.key)
    file = split(data)
    try:
        identity, header = parse_identity(file.dataset, file.transfer_syntax_uid), read_header(data)
    except Rejected:
        return None
    instance = Instance(
        id=stored.id, version_id=upload.id, header=identity, blob=stored.blob, peer=PEER, received_at=upload.at
    )
    if not acquisitions.is_image(instance, header):
        return None
    return _Image(instance=instance, header=header, row=acquisitions.acquisition(instance, header))


async def _study(house: House, upload: Upload, images: Sequence[_Image]) -> Mapping[str, Any]:
    facts = [fact for one in images for fact in acquisitions.facts(one.instance, one.header)]
    rows_of = [one.row for one in images]
    with house.ledger.read() as conn:
        # Routes are for what peers send. Who tries an image out is answered by any model whose card takes it.
        names = routing.routed(house.settings.routes, facts)
        names = names or routing.volunteers(conn, rows_of, house.settings.models_path)
        nobody = routing.Plan(reasons=(routing.NO_CARD,))
        plan = routing.plan(conn, names, rows_of, house.settings.models_path) if names else nobody
    told = await asyncio.gather(*(_answer(house, upload, one, images) for one in plan.appointments))
    with house.ledger.write() as conn:
        rows.add_files(conn, upload.id, [file for one in told for file in _files_of(one)])
    return {
        "images": len(images),
        "first_image": images[0].instance.id,
        "reasons": list(plan.reasons),
        "answers": [_told(one) for one in told],
    }


async def _answer(house: House, upload: Upload, one: Appointment, images: Sequence[_Image]) -> _Answered:
    if one.refusal is not None:
        made = answers.not_applicable(upload.id, one.model, one.refusal, utc_now())
        return _Answered(appointment=one, result=made, quality=(), objects=())
    readable = {row.instance_id for row in one.spec.readable([image.row for image in images])}
    chosen = [image for image in images if image.instance.id in readable]
    rows_of = [image.row for image in chosen]
    remarks = await door.at_headers(one, rows_of)
    said = await inference.ask(house, one.model, [image.instance for image in chosen])
    overrides = house.settings.escalation.get(one.model.name, {})
    result = answers.answered(upload.id, one.model, one.spec, said, overrides, utc_now())
    remarks += await door.at_pixels(house, one, rows_of, door.sound(said, readable))
    quality = encoding.warnings(door.notes(result, remarks))
    objects = await asyncio.to_thread(_objects, house, upload, one, result, chosen, quality)
    return _Answered(appointment=one, result=result, quality=quality, objects=objects)


def _objects(
    house: House, upload: Upload, one: Appointment, result: Result, images: Sequence[_Image], quality: tuple[str, ...]
) -> tuple[Made | Invalid, ...]:
    if result.status is not ResultStatus.OK:
        return ()
    sources = {image.instance.id: image.header for image in images}
    around = Surroundings(order=None, predecessor=None, encoded_before=False, quality=quality)
    ctx = encoding.context_of(house, _version(upload, images), one.spec, result, sources, around)
    wanted = (Recipients(kind=kind, ordinal=0, message=PriorityMessage.ORM_O01, peers=()) for kind in MADE)
    return tuple(made for each in wanted for made in encoding.make(house, ctx, each))


def _version(upload: Upload, images: Sequence[_Image]) -> StudyVersion:
    """As the encoders want it; no row of the ledger is made of it."""
    return StudyVersion(
        id=upload.id,
        study_id=upload.id,
        study_uid=images[0].instance.header.study_uid,
        number=1,
        state=StudyState.READING,
        reason=None,
        urgency=Urgency.ROUTINE,
        evidence=Evidence(),
        received_at=upload.at,
        completed_at=upload.at,
        answered_at=None,
        instances=len(images),
        modalities=tuple(sorted({one.instance.header.modality for one in images})),
        peer=PEER,
    )


def _files_of(one: _Answered) -> Iterable[UploadFile]:
    """What of an answer lies in the store, so that it is named and goes with the rest."""
    for number, finding in enumerate(one.result.findings):
        for kind, key in ((FileKind.PICTURE, finding.picture_key), (FileKind.HEATMAP, finding.heatmap_key)):
            if key:
                yield _file(kind, number, Blob(key, None, 0))
    for made in one.objects:
        blob = made.object.blob if isinstance(made, Made) else made.blob
        if blob is not None:
            yield _file(FileKind.OBJECT, 0, blob, made.object.id if isinstance(made, Made) else None)


def _told(one: _Answered) -> Mapping[str, Any]:
    """What the page shows of an answer; keys of the store, no patient data."""
    model, result = one.result.model, one.result
    return {
        "model": model.name,
        "title": one.appointment.spec.title,
        "version": model.version,
        "digest": model.digest,
        "qualification": model.qualification,
        "status": result.status,
        "reason": result.reason,
        "quality": list(one.quality),
        "findings": [
            {
                "finding": finding.target,
                "meaning": finding.code.meaning,
                "probability": finding.probability,
                "threshold": finding.threshold,
                "called": finding.positive,
                "urgency": finding.urgency,
                "picture_key": finding.picture_key,
                "heatmap_key": finding.heatmap_key,
            }
            for finding in result.findings
        ],
        "objects": [{"id": made.object.id, "kind": made.object.kind} for made in one.objects if isinstance(made, Made)],
        "invalid": [made.kind for made in one.objects if isinstance(made, Invalid)],
    }


def _start(house: House, upload: Upload) -> None:
    # A process that was killed while it read leaves READING behind: after a while it may be tried again.
    stale = upload.state is UploadState.READING and utc_now() - (upload.read_at or upload.at) > INTERRUPTED
    before = (UploadState.TAKING, UploadState.FAILED, *((UploadState.READING,) if stale else ()))
    with house.ledger.write() as conn:
        if not rows.move(conn, upload.id, before, UploadState.READING, read_at=utc_now()):
            raise DuplicateConflict("this upload is being read, or has been")


def _fail(house: House, upload: Upload) -> None:
    with house.ledger.write() as conn:
        rows.move(conn, upload.id, (UploadState.READING,), UploadState.FAILED)


def _finish(house: House, upload: Upload, report: Mapping[str, Any]) -> Upload:
    now = utc_now()
    with house.ledger.write() as conn:
        if not rows.move(conn, upload.id, (UploadState.READING,), UploadState.DONE, report, now):
            raise NotFound("the upload was deleted meanwhile")
        audit.append(conn, _event(upload, "upload.read", f"{len(report['studies'])} studies"))
    log.info("upload read", upload=upload.id, seconds=report["seconds"])
    return replace(upload, state=UploadState.DONE, report=report, read_at=now)


def _file(kind: FileKind, ordinal: int, blob: Blob, file_id: str | None = None) -> UploadFile:
    return UploadFile(id=file_id or new_id("uf"), kind=kind, ordinal=ordinal, blob=blob)


def _event(upload: Upload, action: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=upload.actor, action=action, object_kind="upload", object_id=upload.id, detail=detail
    )
