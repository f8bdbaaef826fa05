"""What `radloop studies --json` prints: one row per study, its newest version."""

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection

from radloop.domain.acquired import QualityNote
from radloop.domain.records import Delivery, Finding, Result, StudyVersion
from radloop.ledger import deliveries, quality_notes, results, studies


class EvidenceRow(TypedDict):
    """Why the version was judged whole."""

    signal: str | None
    expected: int | None
    missing: int | None


class FindingRow(TypedDict):
    """One target of the model."""

    code: str
    scheme: str
    label: str
    probability: float
    threshold: float
    severity: str | None
    urgency: str
    location: dict[str, str] | None
    laterality: str | None


class NoteRow(TypedDict):
    """What a check at the door said of a result's images."""

    check: str
    outcome: str
    detail: str
    instance: str | None


class ResultRow(TypedDict):
    """One model version's answer."""

    id: str
    model: str
    version: str
    digest: str
    standing: str
    qualification: str
    status: str
    reason: str | None
    findings: list[FindingRow]
    quality: list[NoteRow]


class DeliveryRow(TypedDict):
    """One object on its way to one peer."""

    peer: str
    kind: str
    state: str
    attempts: int
    accepted_at: str | None
    error: str | None


class StudyRow(TypedDict):
    """One study."""

    id: str
    """Of the study version: what the console, holds and lineage go by."""
    study_id: str
    study_uid: str
    version: int
    state: str
    reason: str | None
    urgency: str
    evidence: EvidenceRow
    received_at: str
    completed_at: str | None
    answered_at: str | None
    instances: int
    results: list[ResultRow]
    deliveries: list[DeliveryRow]


def study_rows(conn: Connection, limit: int | None = None, since: datetime | None = None) -> list[StudyRow]:
    """The newest version of every study, newest first."""
    return _rows(conn, studies.latest(conn, limit, since))


def study_row(conn: Connection, study_uid: str) -> StudyRow | None:
    """The newest version of one study."""
    version = studies.latest_of(conn, study_uid)
    return _rows(conn, (version,))[0] if version else None


def _rows(conn: Connection, versions: tuple[StudyVersion, ...]) -> list[StudyRow]:
    ids = [version.id for version in versions]
    answers = results.of_versions(conn, ids)
    sent: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries.of_versions(conn, ids):
        sent[delivery.version_id].append(delivery)
    notes = quality_notes.of_versions(conn, ids)
    return [_study(version, answers[version.id], sent[version.id], notes[version.id]) for version in versions]


def _study(version: StudyVersion, answers: list[Result], sent: list[Delivery], notes: list[QualityNote]) -> StudyRow:
    evidence = version.evidence
    return {
        "id": version.id,
        "study_id": version.study_id,
        "study_uid": version.study_uid,
        "version": version.number,
        "state": version.state,
        "reason": version.reason,
        "urgency": version.urgency,
        "evidence": {"signal": evidence.signal, "expected": evidence.expected, "missing": evidence.missing},
        "received_at": version.received_at.isoformat(),
        "completed_at": _iso(version.completed_at),
        "answered_at": _iso(version.answered_at),
        "instances": version.instances,
        "results": [_result(one, [note for note in notes if note.result_id == one.id]) for one in answers],
        "deliveries": [_delivery(delivery) for delivery in sent],
    }


def _result(result: Result, notes: list[QualityNote]) -> ResultRow:
    return {
        "id": result.id,
        "model": result.model.name,
        "version": result.model.version,
        "digest": result.model.digest,
        "standing": result.model.standing,
        "qualification": result.model.qualification,
        "status": result.status,
        "reason": result.reason,
        "findings": [_finding(finding) for finding in result.findings],
        "quality": [_note(note) for note in notes],
    }


def _note(note: QualityNote) -> NoteRow:
    return {"check": note.check, "outcome": note.outcome, "detail": note.detail, "instance": note.instance_id}


def _finding(finding: Finding) -> FindingRow:
    return {
        "code": finding.code.value,
        "scheme": finding.code.scheme,
        "label": finding.code.meaning,
        "probability": finding.probability,
        "threshold": finding.threshold,
        "severity": finding.severity,
        "urgency": finding.urgency,
        "location": asdict(finding.location) if finding.location else None,
        "laterality": finding.laterality,
    }


def _delivery(delivery: Delivery) -> DeliveryRow:
    return {
        "peer": delivery.peer,
        "kind": delivery.object.kind,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "accepted_at": _iso(delivery.accepted_at),
        "error": delivery.error,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
