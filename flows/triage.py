"""Triage: fetch -> check -> infer -> encode -> queue, for one claimed study version.

Every verb may be cut short anywhere and done again: rows are added where they are missing, a result is unique by
version and digest, and objects, deliveries, the new state and the audit are one transaction at the end.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

import structlog
from pydicom import Dataset
from sqlalchemy import Connection

from flows import acquisitions, answers, door, inference, patient_header, readings, routing
from flows.door import Told
from flows.encoding import Invalid, Made, encode_result, predecessor_id
from flows.house import House
from flows.routing import Appointment, Plan
from radloop import audit
from radloop.domain.enums import ResultStatus, Standing, Urgency
from radloop.domain.errors import InvalidObject, Rejected, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition, AuditEvent, Instance, ModelVersion, Result, StudyVersion
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import objects as object_rows
from radloop.ledger import quarantine as quarantine_rows
from radloop.ledger import references
from radloop.ledger import results as result_rows
from radloop.ledger import studies as study_rows
from radloop.ledger import study_headers as header_rows
from radloop.ledger import worklist as worklist_rows
from radloop.pixels import read_header

log = structlog.get_logger()
ACTOR = "runner"
NOTHING_NEW = Plan(reasons=("no new image",))


class Outcome(StrEnum):
    """What became of one study in one run."""

    ANSWERED = "ANSWERED"
    """Every routed model has answered, or the reason why none could is on record."""
    POSTPONED = "POSTPONED"
    """A model could not be asked: another attempt will be made."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image that a model could be asked to read: the instance, its header (no pixels), its typed row."""

    instance: Instance
    header: Dataset
    row: Acquisition


@dataclass(frozen=True, slots=True)
class Answer:
    """What one appointed model came to: a result, or the error that kept it from one."""

    appointment: Appointment
    outcome: Result | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A study version on its way through triage."""

    version: StudyVersion
    pictures: tuple[Picture, ...] = ()
    plan: Plan = routing.NOBODY
    answers: tuple[Answer, ...] = ()
    objects: tuple[Made | Invalid, ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """Those answers that are results."""
        return tuple(one.outcome for one in self.answers if isinstance(one.outcome, Result))

    @property
    def spoken(self) -> tuple[Result, ...]:
        """Those results that people are shown: not what a scanner in the shadow was answered."""
        return tuple(result for result in self.results if result.model.standing is Standing.CHAMPION)

    @property
    def waiting(self) -> bool:
        """Whether a model is still to be asked again."""
        return len(self.results) < len(self.answers)


async def read_study(house: House, version: StudyVersion) -> Outcome:
    """Take a claimed version through all five verbs.

    Raises:
        Unavailable: the ledger's, or the claim went to another runner; nothing is half done.
        StorageFull: the store's or the ledger's.
    """
    reading = await fetch(house, version)
    await readings.take_readings(house, version)
    reading = await check(house, reading)
    reading = await infer(house, reading)
    reading = await encode(house, reading)
    return await queue(house, reading)


async def read_silently(house: House, version: StudyVersion, model: ModelVersion) -> Result:
    """Have a version that does not answer read a study: its result is kept, and nothing is made of it or sent.

    Raises:
        Unavailable: the model could not be asked, or the ledger is away.
    """
    reading = await fetch(house, version)
    rows = [picture.row for picture in reading.pictures]
    appointment = routing.appoint(model, rows, house.settings.models_path)
    if appointment is None:
        raise Unavailable(f"{model.name} {model.version} is not installed")
    told = await _ask(house, reading, appointment)
    # Whoever reads silently is no witness against a study.
    return await asyncio.to_thread(_keep, house, version, replace(told, remarks=()))


async def fetch(house: House, version: StudyVersion) -> Reading:
    """Read the header of every instance of the version; those that are images to read go on."""
    return await asyncio.to_thread(_fetch, house, version)


async def check(house: House, reading: Reading) -> Reading:
    """Leave the typed rows in the ledger, and find out which champions may read the study."""
    return await asyncio.to_thread(_check, house, reading)


async def infer(house: House, reading: Reading) -> Reading:
    """Ask every appointed model that has not answered yet; each result is on record as soon as it is there."""
    asked = await asyncio.gather(*(_answer(house, reading, one) for one in reading.plan.appointments))
    return replace(reading, answers=tuple(asked))


async def encode(house: House, reading: Reading) -> Reading:
    """Make the objects of every result: encoded, held against their standard, stored."""
    made = await asyncio.gather(
        *(
            encode_result(house, reading.version, one.appointment, one.outcome, _sources(reading, one.appointment))
            for one in reading.answers
            if isinstance(one.outcome, Result) and one.outcome in reading.spoken
        )
    )
    return replace(reading, objects=tuple(one for of_result in made for one in of_result))


async def queue(house: House, reading: Reading) -> Outcome:
    """Commit objects, deliveries, quarantine, the study's state and the audit together."""
    return await asyncio.to_thread(_queue, house, reading)


def _fetch(house: House, version: StudyVersion) -> Reading:
    with house.ledger.read() as conn:
        found = instance_rows.of_version(conn, version.id)
    # A reader's assessment, say, makes a version without a new image: what was answered before it stands. The images
    # of earlier versions, which may be gone by then, are not looked at.
    fresh = _pictures(house, [instance for instance in found if instance.version_id == version.id])
    return Reading(version=version, pictures=_pictures(house, found) if fresh and version.number > 1 else fresh)


def _pictures(house: House, found: Iterable[Instance]) -> tuple[Picture, ...]:
    pictures = (_picture(house, instance) for instance in found)
    return tuple(picture for picture in pictures if picture is not None)


def _picture(house: House, instance: Instance) -> Picture | None:
    try:
        header = read_header(house.store.get(instance.blob.key))
    except Rejected as error:
        # The gateway took it as it came; what cannot be parsed now is no image that a model could read.
        log.warning("header cannot be read", instance=instance.id, code=error.code)
        return None
    if not acquisitions.is_image(instance, header):
        return None
    return Picture(instance, header, acquisitions.acquisition(instance, header))


def _check(house: House, reading: Reading) -> Reading:
    images = [fact for one in reading.pictures for fact in acquisitions.facts(one.instance, one.header)]
    rows = [picture.row for picture in reading.pictures]
    if not rows and reading.version.number > 1:
        return replace(reading, plan=NOTHING_NEW)
    names = routing.routed(house.settings.routes, images)
    whose = patient_header.header_of(picture.header for picture in reading.pictures)
    with house.ledger.write() as conn:
        acquisition_rows.add(conn, rows)
        if whose is not None:
            header_rows.keep(conn, reading.version.study_id, whose)
        return replace(reading, plan=routing.plan(conn, names, rows, house.settings.models_path))


async def _answer(house: House, reading: Reading, appointment: Appointment) -> Answer:
    known = await asyncio.to_thread(_known, house, reading.version, appointment)
    if known is not None:
        return Answer(appointment, known)
    try:
        told = await _ask(house, reading, appointment)
    except Unavailable as error:
        await asyncio.to_thread(_note_attempt, house, reading.version, appointment, error)
        return Answer(appointment, error)
    return Answer(appointment, await asyncio.to_thread(_keep, house, reading.version, told))


async def _ask(house: House, reading: Reading, appointment: Appointment) -> Told:
    version_id, model, spec = reading.version.id, appointment.model, appointment.spec
    if appointment.refusal is not None:
        return Told(answers.not_applicable(version_id, model, appointment.refusal, utc_now()))
    rows = [picture.row for picture in reading.pictures]
    remarks = await door.at_headers(appointment, rows)
    readable = {row.instance_id for row in spec.readable(rows)}
    instances = [picture.instance for picture in reading.pictures if picture.instance.id in readable]
    answer = await inference.ask(house, model, instances)
    overrides = house.settings.escalation.get(model.name, {})
    made = answers.answered(version_id, model, spec, answer, overrides, utc_now())
    seen = door.sound(answer, readable)
    return Told(made, seen, remarks + await door.at_pixels(house, appointment, rows, seen))


def _known(house: House, version: StudyVersion, appointment: Appointment) -> Result | None:
    with house.ledger.read() as conn:
        found = result_rows.of_version(conn, version.id)
    return next((result for result in found if result.model.digest == appointment.model.digest), None)


def _keep(house: House, version: StudyVersion, told: Told) -> Result:
    made = told.result
    with house.ledger.write() as conn:
        linked = replace(made, predecessor_id=predecessor_id(conn, version, made.model.name))
        if result_rows.add(conn, linked):
            door.keep(conn, replace(told, result=linked))
            if linked.model.standing is Standing.CHAMPION:
                worklist_rows.rise(conn, version.id, linked.urgency)
            audit.append(conn, _event("result", "result", linked.id, f"{linked.model.name} {linked.status}"))
            return linked
    kept = next(r for r in _results(house, version) if r.model.digest == made.model.digest)
    log.info("result was on record already", result=kept.id)
    return kept


def _results(house: House, version: StudyVersion) -> tuple[Result, ...]:
    with house.ledger.read() as conn:
        return result_rows.of_version(conn, version.id)


def _note_attempt(house: House, version: StudyVersion, appointment: Appointment, error: Unavailable) -> None:
    model = appointment.model
    log.warning("attempt failed", version=version.id, model=model.name, error=str(error))
    with house.ledger.write() as conn:
        result_rows.note_attempt(conn, version.id, model.name, model.digest, str(error))


def _sources(reading: Reading, appointment: Appointment) -> Mapping[str, Dataset]:
    """The headers that objects quote: of the images read, or of all where the model read none."""
    readable = {row.instance_id for row in appointment.spec.readable([picture.row for picture in reading.pictures])}
    return {
        picture.instance.id: picture.header
        for picture in reading.pictures
        if picture.instance.id in readable or not readable
    }


def _queue(house: House, reading: Reading) -> Outcome:
    with house.ledger.write() as conn:
        urgency = _urgency(conn, reading)
        for one in reading.objects:
            if isinstance(one, Made):
                _queue_object(conn, reading.version, one, urgency)
            else:
                _quarantine(conn, one)
        return _leave(conn, house, reading, urgency)


def _queue_object(conn: Connection, version: StudyVersion, made: Made, urgency: Urgency) -> None:
    if object_rows.add(conn, made.object):
        for peer in made.peers:
            delivery_rows.queue(conn, made.object, version.id, peer, urgency)


def _quarantine(conn: Connection, invalid: Invalid) -> None:
    row_id = quarantine_rows.add(conn, InvalidObject.code, "", invalid.blob, invalid.words)
    audit.append(conn, _event("quarantine", "result", invalid.result_id, f"{invalid.kind} as {row_id}"))


def _urgency(conn: Connection, reading: Reading) -> Urgency:
    """The highest of the results and of the version that each replaces: a study only ever rises."""
    results = reading.spoken
    last = None if results else references.version_before(conn, reading.version)
    found = [last.urgency] if last else [result.urgency for result in results]
    for result in results:
        before = result_rows.get(conn, result.predecessor_id) if result.predecessor_id else None
        version = study_rows.get(conn, before.version_id) if before else None
        found += [version.urgency] if version else []
    return max(found, key=lambda urgency: urgency.rank, default=Urgency.ROUTINE)


def _leave(conn: Connection, house: House, reading: Reading, urgency: Urgency) -> Outcome:
    """READING -> ANSWERED, or back to COMPLETE for another attempt."""
    now, version = utc_now(), reading.version
    if reading.waiting:
        again = now + timedelta(seconds=house.settings.inference.retry_seconds)
        outcome, kept = (
            Outcome.POSTPONED,
            study_rows.postpone(conn, version.id, house.owner, inference.AI_UNAVAILABLE, again),
        )
    else:
        outcome, kept = (
            Outcome.ANSWERED,
            study_rows.answer(conn, version.id, house.owner, _reason(reading), urgency, now),
        )
        audit.append(conn, _event("answer", "study_version", version.id, urgency))
    if not kept:
        raise Unavailable(f"the claim on {version.id} went to another runner")
    return outcome


def _reason(reading: Reading) -> str | None:
    """Why no model read the study; None where one did and nothing stood in another's way."""
    read = any(result.status is ResultStatus.OK for result in reading.results)
    refused = [f"{result.model.name}: {result.reason}" for result in reading.results if result.reason]
    reasons = [*reading.plan.reasons, *([] if read else refused)]
    return "; ".join(reasons) or None


def _event(action: str, object_kind: str, object_id: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=ACTOR, action=action, object_kind=object_kind, object_id=object_id, detail=detail
    )
