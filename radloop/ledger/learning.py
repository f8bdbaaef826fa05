"""The tables of the learning loop: verdicts, cohorts, training runs, evaluations, approvals. Part of `tables.metadata`.

Free text of readers stands in `verdicts` and `signoffs` only; patient identifiers in `patients` only.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from radloop.ledger.tables import Utc, id_column, metadata, reference

patients = Table(
    "patients",
    metadata,
    id_column(),
    Column("patient_id", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    UniqueConstraint("issuer", "patient_id"),
)

verdicts = Table(
    "verdicts",
    metadata,
    id_column(),
    reference("result_id", "results"),
    reference("version_id", "study_versions"),
    Column("target", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reader", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
    Column("awareness", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("source_id", String(128), nullable=False),
    Column("text", Text, nullable=False),
    Column("code", JSON),
    Column("severity", String(16)),
    Column("laterality", String(16)),
    UniqueConstraint("source", "source_id"),
)

signoffs = Table(
    "signoffs",
    metadata,
    Column("version_id", String(32), ForeignKey("study_versions.id"), primary_key=True),
    Column("reader", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
    Column("source", String(16), nullable=False),
    Column("conclusion", Text, nullable=False),
    # When retention deleted pictures and pixels, and when what was sent; NULL: it is there.
    Column("forgotten_at", Utc),
    Column("reports_gone_at", Utc),
    # Looked at every minute, however many are gone after years.
    *(
        Index(f"ix_signoffs_{name}_open", "at", sqlite_where=there, postgresql_where=there)
        for name, there in ((name, text(f"{name} IS NULL")) for name in ("forgotten_at", "reports_gone_at"))
    ),
)

unmatched_reports = Table(
    "unmatched_reports",
    metadata,
    id_column(),
    reference("version_id", "study_versions", nullable=True),
    Column("peer", Text, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("at", Utc, nullable=False),
)

consents = Table(
    "consents",
    metadata,
    id_column(),
    reference("patient", "patients"),
    Column("consent", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

training_copies = Table(
    "training_copies",
    metadata,
    id_column(),
    Column("model", String(64), nullable=False),
    reference("patient", "patients"),
    reference("version_id", "study_versions", nullable=True),
    reference("instance_id", "instances", nullable=True),
    Column("content_sha256", String(64), nullable=False),
    Column("pixel_sha256", String(64), nullable=False),
    # NULL once the copy was deleted; the row stays, so that what saw it can be told.
    Column("blob_key", String(64), index=True),
    Column("blob_sha256", String(64)),
    Column("blob_size", BigInteger),
    Column("site", Text, nullable=False),
    Column("scanner", Text, nullable=False),
    Column("sex", String(8), nullable=False),
    Column("age_band", String(16), nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("model", "content_sha256"),
)

imported_labels = Table(
    "imported_labels",
    metadata,
    Column("copy_id", String(32), ForeignKey("training_copies.id"), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("reader", String(128), primary_key=True),
    Column("value", Integer, nullable=False),
    Column("awareness", String(16), nullable=False),
    Column("at", Utc, nullable=False),
)

cohorts = Table(
    "cohorts",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("model", String(64), nullable=False),
    # Canonical JSON; its SHA-256 is the digest. Never leaves the ledger.
    Column("manifest", Text, nullable=False),
    Column("left_out", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

cohort_members = Table(
    "cohort_members",
    metadata,
    Column("cohort_id", String(32), ForeignKey("cohorts.id"), primary_key=True),
    Column("copy_id", String(32), ForeignKey("training_copies.id"), primary_key=True, index=True),
    Column("split", String(16), nullable=False),
)

training_runs = Table(
    "training_runs",
    metadata,
    id_column(),
    Column("model", String(64), nullable=False),
    reference("cohort_id", "cohorts"),
    Column("parent", String(64)),
    Column("digest", String(64), index=True),
    Column("state", String(16), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("processes", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("mlflow_run", String(64)),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("ended_at", Utc),
)

evaluations = Table(
    "evaluations",
    metadata,
    id_column(),
    Column("model", String(64), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("champion", String(64)),
    Column("original", String(64)),
    reference("cohort_id", "cohorts"),
    Column("plan_sha256", String(64), nullable=False),
    Column("look", Integer, nullable=False),
    Column("alpha", Float, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("gates", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
    # A look is counted once, whoever races for it.
    UniqueConstraint("cohort_id", "look"),
)

approvals = Table(
    "approvals",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    reference("evaluation_id", "evaluations", nullable=True),
    Column("at", Utc, nullable=False),
    UniqueConstraint("digest", "kind", "actor"),
)

standing_changes = Table(
    "standing_changes",
    metadata,
    id_column(),
    Column("model", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Index("ix_standing_changes_model_at", "model", "at"),
)
