"""Audit reports and their files; how long readings took, where the RIS says so."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    op.create_table(
        "audit_reports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_reports")),
        sa.UniqueConstraint("digest", name=op.f("uq_audit_reports_digest")),
    )
    op.create_index("ix_audit_reports_model_period_end", "audit_reports", ["model", "period_end"], unique=False)
    op.create_table(
        "audit_report_files",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("blob_key", sa.String(length=64), nullable=False),
        sa.Column("blob_sha256", sa.String(length=64), nullable=False),
        sa.Column("blob_size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["audit_reports.id"], name=op.f("fk_audit_report_files_report_id_audit_reports")
        ),
        sa.PrimaryKeyConstraint("report_id", "name", name=op.f("pk_audit_report_files")),
    )
    op.create_index(op.f("ix_audit_report_files_blob_key"), "audit_report_files", ["blob_key"], unique=False)
    op.create_table(
        "reading_times",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("source_id", sa.String(length=128), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["study_versions.id"], name=op.f("fk_reading_times_version_id_study_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_times")),
        sa.UniqueConstraint("source_id", name=op.f("uq_reading_times_source_id")),
    )
    op.create_index(op.f("ix_reading_times_ended_at"), "reading_times", ["ended_at"], unique=False)
    op.create_index(op.f("ix_reading_times_version_id"), "reading_times", ["version_id"], unique=False)
