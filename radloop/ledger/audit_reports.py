"""Audit reports that were made: what they cover, the manifest that is their digest, its signature, and their files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
)

from radloop.domain.errors import IntegrityError, NotFound
from radloop.domain.records import Blob
from radloop.ledger.tables import Utc, id_column, metadata

audit_reports = Table(
    "audit_reports",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False, unique=True),
    # '': every model.
    Column("model", String(64), nullable=False),
    Column("period_start", Utc, nullable=False),
    Column("period_end", Utc, nullable=False),
    # Canonical JSON; its SHA-256 is the digest. It lists the SHA-256 of every file.
    Column("manifest", Text, nullable=False),
    # By the site's key, over manifest and files: a Sigstore bundle (JSON), as model-signing reads it.
    Column("signature", LargeBinary, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Index("ix_audit_reports_model_period_end", "model", "period_end"),
)

audit_report_files = Table(
    "audit_report_files",
    metadata,
    Column("report_id", String(32), ForeignKey("audit_reports.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("blob_key", String(64), nullable=False, index=True),
    Column("blob_sha256", String(64), nullable=False),
    Column("blob_size", BigInteger, nullable=False),
)

_r = audit_reports.c
_f = audit_report_files.c


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """One report. `model` is '' where it covers every model; `files` finds its bytes in the store, by file name."""

    id: str
    digest: str
    model: str
    start: datetime
    end: datetime
    manifest: str
    signature: bytes
    actor: str
    at: datetime
    files: Mapping[str, Blob]


def add(conn: Connection, report: AuditReport) -> None:
    """Keep a report and where its files are.

    Raises:
        IntegrityError: the digest is not the manifest's.
    """
    if digest_of(report.manifest) != report.digest:
        raise IntegrityError("an audit report and its manifest differ")
    conn.execute(
        insert(audit_reports).values(
            id=report.id,
            digest=report.digest,
            model=report.model,
            period_start=report.start,
            period_end=report.end,
            manifest=report.manifest,
            signature=report.signature,
            actor=report.actor,
            at=report.at,
        )
    )
    conn.execute(insert(audit_report_files), [_file_row(report.id, name, blob) for name, blob in report.files.items()])


def digest_of(manifest: str) -> str:
    """SHA-256 (hex) of the manifest: the report's name for whoever holds a copy."""
    return hashlib.sha256(manifest.encode()).hexdigest()


def get(conn: Connection, report_id: str) -> AuditReport:
    """One report, by its id.

    Raises:
        NotFound: there is no such report.
    """
    row = conn.execute(select(audit_reports).where(_r.id == report_id)).first()
    if row is None:
        raise NotFound("there is no such audit report")
    return _report(conn, row)


def known(conn: Connection, limit: int | None = None) -> tuple[AuditReport, ...]:
    """Every report, the newest first."""
    rows = conn.execute(select(audit_reports).order_by(_r.at.desc(), _r.id).limit(limit)).all()
    return tuple(_report(conn, row) for row in rows)


def newest(conn: Connection, model: str, actor: str) -> AuditReport | None:
    """The report of this model ('': all) by this actor that reaches furthest, or None."""
    mine = select(audit_reports).where(_r.model == model, _r.actor == actor)
    row = conn.execute(mine.order_by(_r.period_end.desc(), _r.at.desc(), _r.id).limit(1)).first()
    return _report(conn, row) if row else None


def _report(conn: Connection, row: Row[Any]) -> AuditReport:
    return AuditReport(
        id=row.id,
        digest=row.digest,
        model=row.model,
        start=row.period_start,
        end=row.period_end,
        manifest=row.manifest,
        signature=bytes(row.signature),
        actor=row.actor,
        at=row.at,
        files=_files(conn, row.id),
    )


def _files(conn: Connection, report_id: str) -> Mapping[str, Blob]:
    rows = conn.execute(select(audit_report_files).where(_f.report_id == report_id).order_by(_f.name))
    return MappingProxyType({row.name: Blob(row.blob_key, row.blob_sha256, row.blob_size) for row in rows})


def _file_row(report_id: str, name: str, blob: Blob) -> dict[str, object]:
    return {
        "report_id": report_id,
        "name": name,
        "blob_key": blob.key,
        "blob_sha256": blob.sha256,
        "blob_size": blob.size,
    }
