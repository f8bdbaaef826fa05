"""Every table of the ledger, once. Modules beside this one hold what is done with them.

Identifiers (UIDs, accession numbers, patient ids) are patient data: they stand in `studies`, `instances`, `orders` and
`objects` only. Keys are our own surrogate ids.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import DateTime, TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware UTC time. SQLite keeps no offset, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Only aware times may enter."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without an offset")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware in UTC, whatever the database keeps."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def id_column() -> Column[Any]:
    """Our surrogate id."""
    return Column("id", String(32), primary_key=True)


def reference(name: str, target: str, *, nullable: bool = False, index: bool = True) -> Column[Any]:
    """A reference to another table's row."""
    return Column(name, String(32), ForeignKey(f"{target}.id"), nullable=nullable, index=index)


studies = Table(
    "studies",
    metadata,
    id_column(),
    Column("study_uid", String(64), nullable=False, unique=True),
    Column("patient_id", Text, nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("accession_number", Text, nullable=False, index=True),
)

study_versions = Table(
    "study_versions",
    metadata,
    id_column(),
    reference("study_id", "studies"),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("urgency", String(16), nullable=False),
    # Who is read first: the order's priority, or what an earlier version's findings said.
    Column("priority_rank", Integer, nullable=False),
    Column("signal", String(16)),
    Column("expected", Integer),
    Column("missing", Integer),
    Column("peer", Text, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("modalities", JSON, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("completed_at", Utc),
    Column("answered_at", Utc),
    Column("lease_owner", String(64)),
    Column("lease_until", Utc),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Utc),
    UniqueConstraint("study_id", "number"),
    Index("ix_study_versions_state_priority_rank", "state", "priority_rank", "completed_at"),
    Index("ix_study_versions_received_at", "received_at"),
    # The worklist: what it sorts, counts and watches by stands here, of open versions alone, however many are signed.
    Index(
        "ix_study_versions_open",
        *("state", "urgency", "priority_rank", "study_id", "number", "received_at", "completed_at", "answered_at"),
        "id",
        sqlite_where=text("state <> 'SIGNED'"),
        postgresql_where=text("state <> 'SIGNED'"),
    ),
)

instances = Table(
    "instances",
    metadata,
    id_column(),
    reference("version_id", "study_versions"),
    Column("sop_uid", String(64), nullable=False, unique=True),
    Column("series_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("blob_key", String(64), nullable=False, index=True),
    Column("blob_size", BigInteger, nullable=False),
    Column("peer", Text, nullable=False),
    Column("received_at", Utc, nullable=False),
)

acquisitions = Table(
    "acquisitions",
    metadata,
    Column("instance_id", String(32), ForeignKey("instances.id"), primary_key=True),
    reference("version_id", "study_versions"),
    Column("at", Utc, nullable=False, index=True),
    *(
        Column(name, Text, nullable=False)
        for name in (
            "modality", "body_part", "view", "description", "manufacturer", "model_name", "station", "software",
            "protocol", "photometric", "kernel", "transfer_syntax",
        )
    ),
    # Rows of before have none of these: their site is that of their instance.
    *(Column(name, Text, nullable=False, server_default="") for name in ("site", "sequence")),
    *(Column(name, Float) for name in ("kvp", "exposure", "spacing", "thickness")),
    *(
        Column(name, Float)
        for name in ("exposure_time", "repetition_time", "echo_time", "flip_angle", "field_strength")
    ),
    *(Column(name, Integer) for name in ("rows", "columns", "frames", "bits_stored")),
    Column("missing_tags", JSON, nullable=False),
)  # fmt: skip

orders = Table(
    "orders",
    metadata,
    id_column(),
    Column("accession_number", Text, nullable=False, index=True),
    Column("placer_number", Text, nullable=False),
    Column("filler_number", Text, nullable=False),
    Column("patient_id", Text, nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("priority", String(16), nullable=False),
    Column("procedure", JSON),
    Column("expected_instances", Integer),
    Column("peer", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

hl7_messages = Table(
    "hl7_messages",
    metadata,
    id_column(),
    Column("peer", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("peer", "control_id"),
)

models = Table(
    "models",
    metadata,
    id_column(),
    Column("name", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("standing", String(16), nullable=False),
    Column("qualification", String(16), nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("name", "version"),
    Index(
        "uq_models_champion", "name", unique=True,
        sqlite_where=text("standing = 'CHAMPION'"), postgresql_where=text("standing = 'CHAMPION'"),
    ),
)  # fmt: skip

results = Table(
    "results",
    metadata,
    id_column(),
    reference("version_id", "study_versions"),
    reference("predecessor_id", "results", nullable=True, index=False),
    Column("model", String(64), nullable=False),
    Column("model_version", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("standing", String(16), nullable=False),
    Column("qualification", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text),
    Column("run", JSON),
    Column("at", Utc, nullable=False),
    UniqueConstraint("version_id", "digest"),
)

findings = Table(
    "findings",
    metadata,
    Column("result_id", String(32), ForeignKey("results.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("target", String(64), nullable=False),
    Column("code", JSON, nullable=False),
    Column("probability", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("urgency", String(16), nullable=False),
    Column("severity", String(16)),
    Column("location", JSON),
    Column("laterality", String(16)),
    Column("instance_id", String(32), ForeignKey("instances.id")),
    Column("picture_key", String(64), index=True),
    Column("heatmap_key", String(64), index=True),
    Column("box", JSON),
)

attempts = Table(
    "attempts",
    metadata,
    id_column(),
    reference("version_id", "study_versions"),
    Column("model", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("error", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

objects = Table(
    "objects",
    metadata,
    id_column(),
    reference("result_id", "results"),
    Column("kind", String(20), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("identifier", String(256), nullable=False, index=True),
    Column("media_type", String(64), nullable=False),
    Column("blob_key", String(64), nullable=False, index=True),
    Column("blob_sha256", String(64), nullable=False),
    Column("blob_size", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("result_id", "kind", "ordinal"),
)

deliveries = Table(
    "deliveries",
    metadata,
    id_column(),
    reference("object_id", "objects"),
    reference("version_id", "study_versions"),
    Column("peer", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("urgency_rank", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("content_errors", Integer, nullable=False),
    Column("queued_at", Utc, nullable=False),
    Column("next_at", Utc, nullable=False),
    Column("accepted_at", Utc),
    Column("warnings", JSON),
    Column("error", Text),
    Column("lease_owner", String(64)),
    Column("lease_until", Utc),
    # Storage commitment: when it is asked for next (NULL: it is not waited for), and how often it was.
    Column("commit_at", Utc),
    Column("commit_asks", Integer),
    UniqueConstraint("object_id", "peer"),
    Index("ix_deliveries_state_next_at", "state", "next_at"),
    # Only a few wait at any time: looking for them stays as cheap after years.
    Index(
        "ix_deliveries_commit_at",
        "commit_at",
        sqlite_where=text("commit_at IS NOT NULL"),
        postgresql_where=text("commit_at IS NOT NULL"),
    ),
)

commitments = Table(
    "commitments",
    metadata,
    id_column(),
    # We make it for one question; it names no study and no patient.
    Column("transaction_uid", String(64), nullable=False, unique=True),
    Column("peer", String(32), nullable=False),
    Column("delivery_ids", JSON, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("answered_at", Utc),
)

breakers = Table(
    "breakers",
    metadata,
    Column("peer", String(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", Utc),
)

quarantine = Table(
    "quarantine",
    metadata,
    id_column(),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("blob_key", String(64), index=True),
    Column("blob_sha256", String(64)),
    Column("blob_size", BigInteger),
    Column("at", Utc, nullable=False),
)

actors = Table(
    "actors",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    # Of a person who comes by a personal token or break-glass; who comes by the directory has its groups' roles.
    Column("roles", JSON, nullable=False, server_default='["READER"]'),
    Column("password", Text),
    Column("disabled_at", Utc),
    Column("at", Utc, nullable=False),
)

audit_events = Table(
    "audit_events",
    metadata,
    # The sealer gives numbers: a row's own order of arrival is no order of commit.
    id_column(),
    Column("at", Utc, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("object_kind", String(32), nullable=False),
    Column("object_id", String(64), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("role", String(96), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("sealed", Boolean, nullable=False),
    # Only a few wait at any time: looking for them stays as cheap after years.
    Index(
        "ix_audit_events_waiting",
        "at",
        "id",
        sqlite_where=text("sealed IS 0"),
        postgresql_where=text("sealed IS false"),
    ),
    # The record is looked through by who did what, in the order of time.
    Index("ix_audit_events_actor", "actor", "action", "at"),
    Index("ix_audit_events_action", "action", "at"),
    # What happens inside the house has no role.
    Index("ix_audit_events_role", "role", "at", sqlite_where=text("role <> ''"), postgresql_where=text("role <> ''")),
)

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    reference("event_id", "audit_events"),
    Column("chain", LargeBinary(32), nullable=False),
)

audit_forwarded = Table(
    "audit_forwarded",
    metadata,
    Column("target", String(128), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
)

checks = Table(
    "checks",
    metadata,
    id_column(),
    Column("suite", String(64), nullable=False),
    Column("check", String(64), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("unexpected", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("window_start", Utc, nullable=False),
    Column("window_end", Utc, nullable=False),
    Column("at", Utc, nullable=False, index=True),
)
