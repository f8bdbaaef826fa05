"""What of the worklist is wanted, as conditions on `study_versions`: modality, model, where a study stands, a text."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, or_, select

from radloop.domain.enums import ResultStatus, StudyState, Urgency
from radloop.ledger.admitted import study_headers
from radloop.ledger.references import SILENT
from radloop.ledger.tables import results, studies, study_versions

_v = study_versions.c


class Place(StrEnum):
    """Where a study of the list stands, as a reader asks for it."""

    RECEIVING = "RECEIVING"
    """Images still arrive."""
    READING = "READING"
    """Whole: the models look at it, or will at once."""
    UNAVAILABLE = "UNAVAILABLE"
    """A model could not be asked; it will be tried again."""
    ANSWERED = "ANSWERED"
    """A model has read it."""
    NOT_READ = "NOT_READ"
    """No model read it; the reason is on record."""
    SIGNED = "SIGNED"
    """Closed by a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What of the list is wanted; '' and None want everything. `signed_since`: those signed since then, instead."""

    urgency: Urgency | None = None
    modality: str = ""
    model: str = ""
    place: Place | None = None
    text: str = ""
    signed_since: datetime | None = None


def place_of(state: StudyState, reason: str | None, *, read: bool) -> Place:
    """Where a version stands for a reader. `read`: whether a model that is shown has read it."""
    if state is StudyState.ANSWERED:
        return Place.ANSWERED if read or not reason else Place.NOT_READ
    if state in (StudyState.COMPLETE, StudyState.READING):
        return Place.UNAVAILABLE if reason else Place.READING
    return Place(state)


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """What a version must fit; not whether it is open, and not its urgency."""
    found = []
    if wanted.modality:
        found.append(cast(_v.modalities, String).contains(f'"{wanted.modality}"', autoescape=True))
    if wanted.model:
        found.append(has_result(results.c.model == wanted.model))
    if wanted.place is not None:
        found.append(_stands(wanted.place))
    if wanted.text:
        found.append(_v.study_id.in_(_named(wanted.text)))
    return found


def _named(text: str) -> Select[Any]:
    """The studies that a text names: a part of the patient's name, their id, or the accession number."""
    fits = [
        column.icontains(text, autoescape=True)
        for column in (study_headers.c.patient_name, studies.c.patient_id, studies.c.accession_number)
    ]
    return select(studies.c.id).outerjoin(study_headers).where(or_(*fits))


def _stands(place: Place) -> ColumnElement[bool]:
    read = has_result(results.c.status == ResultStatus.OK)
    postponed = and_(_v.state.in_((StudyState.COMPLETE, StudyState.READING)), _v.reason.is_not(None))
    places: dict[Place, ColumnElement[bool]] = {
        Place.RECEIVING: _v.state == StudyState.RECEIVING,
        Place.READING: and_(_v.state.in_((StudyState.COMPLETE, StudyState.READING)), _v.reason.is_(None)),
        Place.UNAVAILABLE: postponed,
        Place.ANSWERED: and_(_v.state == StudyState.ANSWERED, or_(_v.reason.is_(None), read)),
        Place.NOT_READ: and_(_v.state == StudyState.ANSWERED, _v.reason.is_not(None), ~read),
        Place.SIGNED: _v.state == StudyState.SIGNED,
    }
    return places[place]


def has_result(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a result that readers are shown fits."""
    return exists().where(results.c.version_id == _v.id, results.c.standing.not_in(SILENT), condition)
