"""The door: what the data checks remark on a study's images, before and after a model reads them.

Whatever happens here, the study is answered: a check that fails or takes too long is noted in the log, and that is all.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from data_checks.at_door import Asked, Case, DoorCheck, Remarked, Stage, door, remarks
from flows.house import House
from flows.routing import Appointment
from models.grounds import ground_of
from radloop.domain.acquired import NoteOutcome, QualityNote, Seen
from radloop.domain.records import Acquisition, InferenceAnswer, Result
from radloop.ledger import embeddings as embedding_rows
from radloop.ledger import pixel_facts as pixel_rows
from radloop.ledger import quality_notes as note_rows
from radloop.ledger.acquired import DIMENSIONS

log = structlog.get_logger()

PATIENCE: Final = 1.0
"""Seconds for all checks of a study at one stage; they take some milliseconds."""
ONE_BY_ONE: Final = 3
"""Up to so many images with the same remark get a note each; more share one."""
Remarks = tuple[Remarked, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A result, and what was found on the way to it: pixel facts and embeddings, and remarks."""

    result: Result
    seen: tuple[Seen, ...] = ()
    remarks: Remarks = ()


async def at_headers(appointment: Appointment, rows: Sequence[Acquisition]) -> Remarks:
    """What the header checks say of a study that a model may read, before it does."""
    return await _guarded(lambda: _on_headers(appointment, rows))


async def at_pixels(
    house: House, appointment: Appointment, rows: Sequence[Acquisition], seen: Sequence[Seen]
) -> Remarks:
    """What the checks on pixels and embeddings say of the images that a model has read."""
    return await _guarded(lambda: _on_pixels(house, appointment, rows, seen))


def sound(answer: InferenceAnswer, asked: Iterable[str]) -> tuple[Seen, ...]:
    """What inference found of the images that it was asked about, as far as it is what it should be."""
    known = set(asked)
    return tuple({one.instance_id: one for one in answer.seen if one.instance_id in known and _whole(one)}.values())


def keep(conn: Connection, told: Told) -> None:
    """Leave facts, embeddings and notes beside a result that is new in this transaction."""
    result = told.result
    pixel_rows.add(conn, ((one.instance_id, one.facts) for one in told.seen))
    embedding_rows.add(conn, result, ((one.instance_id, one.embedding) for one in told.seen))
    note_rows.add(conn, notes(result, told.remarks))


def notes(result: Result, found: Sequence[Remarked]) -> tuple[QualityNote, ...]:
    """Remarks as notes on a result; a remark that many images share is one note, on the study."""
    shared: dict[tuple[str, NoteOutcome, str], list[str | None]] = {}
    for one in found:
        key = (one.check, one.remark.outcome, one.remark.detail)
        shared.setdefault(key, []).append(one.instance_id or None)
    return tuple(_note(result, key, where) for key, images in shared.items() for where in _places(images))


def _places(images: Sequence[str | None]) -> Sequence[tuple[str | None, int]]:
    return [(one, 1) for one in images] if len(images) <= ONE_BY_ONE else [(None, len(images))]


def _note(result: Result, key: tuple[str, NoteOutcome, str], where: tuple[str | None, int]) -> QualityNote:
    check, outcome, detail = key
    instance_id, count = where
    said = detail if count == 1 else f"{count} images: {detail}"
    return QualityNote(
        id=note_rows.note_id(result.version_id, result.id, instance_id, check, said),
        version_id=result.version_id,
        result_id=result.id,
        instance_id=instance_id,
        check=check,
        outcome=outcome,
        detail=said,
        at=result.created_at,
    )


async def _guarded(look: Callable[[], Remarks]) -> Remarks:
    looking = asyncio.wait_for(asyncio.to_thread(look), PATIENCE)
    (outcome,) = await asyncio.gather(looking, return_exceptions=True)
    if not isinstance(outcome, BaseException):
        return outcome
    if not isinstance(outcome, Exception):  # cancelled
        raise outcome
    log.warning("checks at the door failed", error=type(outcome).__name__)
    return ()


def _on_headers(appointment: Appointment, rows: Sequence[Acquisition]) -> Remarks:
    spec = appointment.spec
    asked = Asked(body_parts=spec.body_parts, views=spec.applicability.views)
    cases = (Case(row=row, asked=asked, outside=spec.unreadable(row) or "") for row in rows)
    return tuple(remarks(_checks(Stage.HEADER), cases))


def _on_pixels(house: House, appointment: Appointment, rows: Sequence[Acquisition], seen: Sequence[Seen]) -> Remarks:
    ground = ground_of(appointment.model.name, house.settings.models_path)
    by_id = {row.instance_id: row for row in rows}
    cases = (Case(row=by_id[one.instance_id], seen=one, ground=ground) for one in seen)
    return tuple(remarks(_checks(Stage.PIXELS, Stage.EMBEDDING), cases))


def _checks(*stages: Stage) -> list[DoorCheck]:
    return [check for check in door().values() if check.stage in stages]


def _whole(one: Seen) -> bool:
    numbers = (*astuple(one.facts), *one.embedding)
    return len(one.embedding) == DIMENSIONS and all(map(math.isfinite, numbers))
