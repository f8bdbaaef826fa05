"""A result becomes objects: each encoded once, held against its standard, and stored."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version as installed_version
from zoneinfo import ZoneInfo

import structlog
from pydicom import Dataset
from sqlalchemy import Connection

from flows.house import House
from flows.routing import Appointment
from flows.wanted import Recipients, recipients
from integrations.objects.catalog import encoders
from integrations.objects.context import AnswerContext, Predecessor, PriorityMessage, SiteFacts
from models.spec import ModelSpec
from radloop.domain.acquired import NoteOutcome, QualityNote
from radloop.domain.enums import ObjectKind
from radloop.domain.errors import InvalidObject
from radloop.domain.ids import new_id
from radloop.domain.records import Blob, EncodedObject, Order, Result, StoredObject, StudyVersion
from radloop.ledger import objects as object_rows
from radloop.ledger import orders as order_rows
from radloop.ledger import quality_notes as note_rows
from radloop.ledger import results as result_rows
from radloop.pixels import read_header
from radloop.settings import SiteSettings

log = structlog.get_logger()
SOFTWARE_VERSION = installed_version("radloop")


@dataclass(frozen=True, slots=True)
class Made:
    """An object, durable in the store, and the peers that get it."""

    object: StoredObject
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """An object that broke its contract: kept for a person, never sent. `words` are the validator's."""

    result_id: str
    kind: ObjectKind
    words: str
    blob: Blob | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the ledger says around a result: the order, the SR that it replaces, what the door warned of."""

    order: Order | None
    predecessor: Predecessor | None
    encoded_before: bool
    quality: tuple[str, ...] = ()


async def encode_result(
    house: House, version: StudyVersion, appointment: Appointment, result: Result, sources: Mapping[str, Dataset]
) -> tuple[Made | Invalid, ...]:
    """Every object of a result that some peer wants; nothing where it was encoded before.

    Raises:
        Unavailable, StorageFull: the ledger's and the store's.
    """
    around = await asyncio.to_thread(_look_around, house, version, result)
    if around.encoded_before:
        return ()
    wanted = recipients(result, house.settings.peers, house.settings.site, encoders().keys())
    ctx = await asyncio.to_thread(context_of, house, version, appointment.spec, result, sources, around)
    made = await asyncio.gather(*(asyncio.to_thread(make, house, ctx, one) for one in wanted))
    return tuple(one for of_kind in made for one in of_kind)


def site_facts(site: SiteSettings, at: datetime, message: PriorityMessage = PriorityMessage.ORM_O01) -> SiteFacts:
    """The site as its objects name it; the offset is that of the site's time zone at `at`."""
    return SiteFacts(
        uid_root=site.uid_root,
        name=site.name,
        application=site.application,
        facility=site.facility,
        receiving_application=site.receiving_application,
        receiving_facility=site.receiving_facility,
        assigning_authority=site.assigning_authority,
        observation_status=site.observation_status,
        timezone_offset=at.astimezone(ZoneInfo(site.timezone)).strftime("%z"),
        priority_message=message,
        fhir_system=site.identifier_system,
    )


def _look_around(house: House, version: StudyVersion, result: Result) -> Surroundings:
    with house.ledger.read() as conn:
        return Surroundings(
            order=order_rows.of_study(conn, version.study_id),
            predecessor=_predecessor(conn, house, version, result),
            encoded_before=bool(object_rows.of_result(conn, result.id)),
            quality=warnings(note_rows.of_result(conn, result.id)),
        )


def warnings(notes: Iterable[QualityNote]) -> tuple[str, ...]:
    """What the door warned of, each sentence once."""
    return tuple(dict.fromkeys(note.detail for note in notes if note.outcome is NoteOutcome.WARN))


def _predecessor(conn: Connection, house: House, version: StudyVersion, result: Result) -> Predecessor | None:
    if result.predecessor_id is None:
        return None
    reports = (one for one in object_rows.of_result(conn, result.predecessor_id) if one.kind is ObjectKind.SR)
    report = next(reports, None)
    if report is None:
        return None
    # From the bytes that were sent: the site's UID root may have changed since.
    series_uid = str(read_header(house.store.get(report.blob.key)).SeriesInstanceUID)
    return Predecessor(study_uid=version.study_uid, series_uid=series_uid, sop_uid=report.identifier)


def context_of(
    house: House,
    version: StudyVersion,
    spec: ModelSpec,
    result: Result,
    sources: Mapping[str, Dataset],
    around: Surroundings,
) -> AnswerContext:
    """What the encoders are given: pictures come from the store, the rest is what is known here."""
    keys = {key for finding in result.findings for key in (finding.picture_key, finding.heatmap_key) if key}
    return AnswerContext(
        study=version,
        result=result,
        title=spec.title,
        sources=sources,
        pictures={key: house.store.get(key) for key in sorted(keys)},
        order=around.order,
        predecessor=around.predecessor,
        site=site_facts(house.settings.site, result.created_at),
        software_version=SOFTWARE_VERSION,
        calibration=spec.calibration.method,
        quality=around.quality,
    )


def make(house: House, ctx: AnswerContext, one: Recipients) -> Sequence[Made | Invalid]:
    """One kind for those who get it: encoded, stored and held against its standard; a broken one is `Invalid`.

    Raises:
        StorageFull: the store's.
    """
    encoder = encoders()[one.kind]
    if ctx.result.status not in encoder.statuses:
        return ()
    mine = replace(ctx, site=replace(ctx.site, priority_message=one.message))
    try:
        encoded = encoder.encode(mine)
    except InvalidObject as error:
        return (_invalid(ctx.result, one.kind, error, None),)
    return [_validated(house, mine, one, each) for each in _numbered(encoded, one.ordinal)]


def _numbered(encoded: Iterable[EncodedObject], first: int) -> Iterable[EncodedObject]:
    return (replace(each, ordinal=each.ordinal + first) for each in encoded)


def _validated(house: House, ctx: AnswerContext, one: Recipients, made: EncodedObject) -> Made | Invalid:
    blob = house.store.put(made.data)
    try:
        encoders()[one.kind].validate(made, ctx)
    except InvalidObject as error:
        return _invalid(ctx.result, one.kind, error, blob)
    stored = StoredObject(
        id=new_id("ob"),
        result_id=ctx.result.id,
        kind=made.kind,
        ordinal=made.ordinal,
        identifier=made.identifier,
        media_type=made.media_type,
        blob=blob,
    )
    return Made(stored, one.peers)


def _invalid(result: Result, kind: ObjectKind, error: InvalidObject, blob: Blob | None) -> Invalid:
    log.error("object is invalid", result=result.id, kind=kind, code=error.code)
    return Invalid(result.id, kind, str(error), blob)


def predecessor_id(conn: Connection, version: StudyVersion, model: str) -> str | None:
    """The result of the same model on the version before this one."""
    found = result_rows.predecessor(conn, version.id, model)
    return found.id if found else None
