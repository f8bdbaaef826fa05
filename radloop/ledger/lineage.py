"""From an answer back to all that it rests on, and from a model version to all that it touched. Queries only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from radloop.domain.enums import ResultStatus, RunState, Standing, StudyState
from radloop.domain.learning import StandingChange, TrainingRun
from radloop.domain.records import AuditEvent
from radloop.ledger import standing
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.copies import in_parts
from radloop.ledger.learning import cohort_members, training_copies, training_runs
from radloop.ledger.tables import (
    acquisitions,
    audit_events,
    checks,
    instances,
    models,
    objects,
    results,
    studies,
    study_versions,
)

_r = results.c
_v = study_versions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One study version that a model version read. `standing` is what the model was then. `study_uid`: patient data."""

    result_id: str
    version_id: str
    study_id: str
    study_uid: str
    number: int
    state: StudyState
    status: ResultStatus
    standing: Standing
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyUse:
    """One training copy of a cohort. `kept`: whether its bytes are still there. `patient` is our surrogate id."""

    copy_id: str
    patient: str
    split: str
    kept: bool


def results_named(conn: Connection, name: str) -> tuple[str, ...]:
    """The ids of the results that a name means, the oldest first.

    A name is a result's id, a study version's id, a study's id or Study Instance UID (all its versions), or the
    identifier of an object: an SOP Instance UID, an MSH-10 or a FHIR business identifier.
    """
    query = (
        select(_r.id)
        .join(study_versions, _r.version_id == _v.id)
        .join(studies, _v.study_id == studies.c.id)
        .where(or_(_r.id == name, _v.id == name, studies.c.id == name, studies.c.study_uid == name))
        .order_by(_v.number, _r.at, _r.id)
    )
    found = tuple(conn.scalars(query))
    if found:
        return found
    of_object = select(objects.c.result_id).where(or_(objects.c.identifier == name, objects.c.id == name)).distinct()
    return tuple(conn.scalars(of_object.order_by(objects.c.result_id)))


def versions_named(conn: Connection, name: str) -> tuple[str, ...]:
    """The ids of the study versions that a study version's id, or a study's id or UID (all versions), means."""
    query = (
        select(_v.id)
        .join(studies, _v.study_id == studies.c.id)
        .where(or_(_v.id == name, studies.c.id == name, studies.c.study_uid == name))
    )
    return tuple(conn.scalars(query.order_by(_v.number)))


def content_digests(conn: Connection, instance_ids: Collection[str]) -> dict[str, str]:
    """SHA-256 (hex) of the encoded data set alone, by instance id."""
    found: dict[str, str] = {}
    for some in in_parts(instance_ids):
        query = select(instances.c.id, instances.c.content_sha256).where(instances.c.id.in_(some))
        found.update({row.id: row.content_sha256 for row in conn.execute(query)})
    return found


def checks_around(conn: Connection, instance_ids: Collection[str]) -> tuple[CheckOutcome, ...]:
    """The newest outcome of every check whose window held an acquisition of these instances, by suite and check."""
    some = list(instance_ids)[:1]
    at = conn.scalar(select(acquisitions.c.at).where(acquisitions.c.instance_id.in_(some)))
    if at is None:
        return ()
    c = checks.c
    query = select(checks).where(c.window_start <= at, c.window_end > at).order_by(c.at, c.id)
    newest = {(row.suite, row.check): row for row in conn.execute(query)}
    return tuple(_outcome(newest[key]) for key in sorted(newest))


def registered_at(conn: Connection, digest: str) -> datetime | None:
    """When a model version came into the ledger."""
    return conn.scalar(select(models.c.at).where(models.c.digest == digest))


def runs_of(conn: Connection, digest: str) -> tuple[TrainingRun, ...]:
    """The training runs that ended in this digest, the oldest first."""
    query = select(training_runs).where(training_runs.c.digest == digest)
    return tuple(_run(row) for row in conn.execute(query.order_by(training_runs.c.at, training_runs.c.id)))


def ancestry(conn: Connection, digest: str) -> tuple[TrainingRun, ...]:
    """The runs that made a version, then those that made its parents, and so on: all that its weights come from."""
    runs: dict[str, TrainingRun] = {}
    seen: set[str] = set()
    waiting = [digest]
    while waiting:
        this = waiting.pop(0)
        if this in seen:
            continue
        seen.add(this)
        of_this = runs_of(conn, this)
        runs.update({run.id: run for run in of_this})
        waiting += [run.parent for run in of_this if run.parent]
    return tuple(runs.values())


def changes_of(conn: Connection, name: str, digest: str) -> tuple[StandingChange, ...]:
    """The steps of a version's standing, the oldest first."""
    return tuple(change for change in standing.history(conn, name) if change.digest == digest)


def copies_in(conn: Connection, cohort_id: str) -> tuple[CopyUse, ...]:
    """The training copies of a cohort, by id."""
    m, c = cohort_members.c, training_copies.c
    query = (
        select(m.copy_id, m.split, c.patient, c.blob_key)
        .join(training_copies, c.id == m.copy_id)
        .where(m.cohort_id == cohort_id)
        .order_by(m.copy_id)
    )
    return tuple(
        CopyUse(copy_id=row.copy_id, patient=row.patient, split=row.split, kept=row.blob_key is not None)
        for row in conn.execute(query)
    )


def readings(conn: Connection, digest: str) -> tuple[Touched, ...]:
    """Every study version that a model version has a result for, the oldest first."""
    query = (
        select(
            _r.id, _r.version_id, _r.status, _r.standing, _r.at, _v.study_id, _v.number, _v.state, studies.c.study_uid
        )
        .join(study_versions, _r.version_id == _v.id)
        .join(studies, _v.study_id == studies.c.id)
        .where(_r.digest == digest)
        .order_by(_r.at, _r.id)
    )
    return tuple(_touched(row) for row in conn.execute(query))


def events_of(conn: Connection, object_id: str) -> tuple[AuditEvent, ...]:
    """The audit's rows on one object, the oldest first."""
    query = select(audit_events).where(audit_events.c.object_id == object_id)
    return tuple(_event(row) for row in conn.execute(query.order_by(audit_events.c.at, audit_events.c.id)))


def _outcome(row: Row[Any]) -> CheckOutcome:
    return CheckOutcome(**{name: getattr(row, name) for name in CheckOutcome.__dataclass_fields__})


def _run(row: Row[Any]) -> TrainingRun:
    values = {name: getattr(row, name) for name in TrainingRun.__dataclass_fields__}
    return TrainingRun(**{**values, "state": RunState(row.state)})


def _touched(row: Any) -> Touched:
    return Touched(
        result_id=row.id,
        version_id=row.version_id,
        study_id=row.study_id,
        study_uid=row.study_uid,
        number=row.number,
        state=StudyState(row.state),
        status=ResultStatus(row.status),
        standing=Standing(row.standing),
        at=row.at,
    )


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(
        at=row.at,
        actor=row.actor,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        detail=row.detail,
    )
