"""Approvals: one person said yes to one version, once; and the grounds on which such a yes may stand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.enums import ApprovalKind, GateOutcome
from radloop.domain.learning import Approval
from radloop.ledger.learning import approvals, evaluations, training_runs

_a = approvals.c


@dataclass(frozen=True, slots=True)
class Examined:
    """The newest evaluation of a version: what it came to, and which digest (None: nobody) was champion in it."""

    id: str
    outcome: GateOutcome
    champion: str | None


def add(conn: Connection, approval: Approval) -> None:
    """Keep an approval. One that the same person gave for an earlier standing of the version is renewed by it."""
    same = (_a.digest == approval.digest, _a.kind == approval.kind, _a.actor == approval.actor)
    given = {"evaluation_id": approval.evaluation_id, "at": approval.at}
    if conn.execute(update(approvals).where(*same).values(**given)).rowcount:
        return
    fixed = {"id": approval.id, "digest": approval.digest, "kind": approval.kind, "actor": approval.actor}
    conn.execute(insert(approvals).values(**fixed, **given))


def of_digest(
    conn: Connection, digest: str, kind: ApprovalKind | None = None, since: datetime | None = None
) -> tuple[Approval, ...]:
    """The approvals of a version, the oldest first; of one kind and given since a time, where these are named."""
    query = select(approvals).where(_a.digest == digest)
    if kind is not None:
        query = query.where(_a.kind == kind)
    if since is not None:
        query = query.where(_a.at >= since)
    return tuple(_approval(row) for row in conn.execute(query.order_by(_a.at, _a.id)))


def examined(conn: Connection, digest: str) -> Examined | None:
    """The newest evaluation of a version; None where it was never evaluated."""
    e = evaluations.c
    query = select(e.id, e.outcome, e.champion).where(e.digest == digest).order_by(e.at.desc(), e.id.desc()).limit(1)
    row = conn.execute(query).first()
    return Examined(row.id, GateOutcome(row.outcome), row.champion) if row else None


def trainers(conn: Connection, digest: str) -> frozenset[str]:
    """Who started the runs that made a version: people by name, machines too."""
    return frozenset(conn.scalars(select(training_runs.c.actor).where(training_runs.c.digest == digest)))


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        id=row.id,
        digest=row.digest,
        kind=ApprovalKind(row.kind),
        actor=row.actor,
        evaluation_id=row.evaluation_id,
        at=row.at,
    )
