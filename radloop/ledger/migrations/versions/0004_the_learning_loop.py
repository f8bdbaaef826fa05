"""Verdicts, cohorts, training runs, evaluations, approvals: the learning loop."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    op.create_table(
        "cohorts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohorts")),
        sa.UniqueConstraint("digest", name=op.f("uq_cohorts_digest")),
    )
    op.create_table(
        "patients",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("issuer", "patient_id", name=op.f("uq_patients_issuer_patient_id")),
    )
    op.create_table(
        "standing_changes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_changes")),
    )
    op.create_index("ix_standing_changes_model_at", "standing_changes", ["model", "at"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("patient", sa.String(length=32), nullable=False),
        sa.Column("consent", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_consents_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_patient"), "consents", ["patient"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("champion", sa.String(length=64), nullable=True),
        sa.Column("original", sa.String(length=64), nullable=True),
        sa.Column("cohort_id", sa.String(length=32), nullable=False),
        sa.Column("plan_sha256", sa.String(length=64), nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("gates", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cohort_id"], ["cohorts.id"], name=op.f("fk_evaluations_cohort_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("cohort_id", "look", name=op.f("uq_evaluations_cohort_id_look")),
    )
    op.create_index(op.f("ix_evaluations_cohort_id"), "evaluations", ["cohort_id"], unique=False)
    op.create_index(op.f("ix_evaluations_digest"), "evaluations", ["digest"], unique=False)
    op.create_table(
        "training_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("cohort_id", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("processes", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("mlflow_run", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cohort_id"], ["cohorts.id"], name=op.f("fk_training_runs_cohort_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_runs")),
    )
    op.create_index(op.f("ix_training_runs_cohort_id"), "training_runs", ["cohort_id"], unique=False)
    op.create_index(op.f("ix_training_runs_digest"), "training_runs", ["digest"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.id"], name=op.f("fk_approvals_evaluation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("digest", "kind", "actor", name=op.f("uq_approvals_digest_kind_actor")),
    )
    op.create_index(op.f("ix_approvals_evaluation_id"), "approvals", ["evaluation_id"], unique=False)
    op.create_table(
        "signoffs",
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("forget_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_signoffs_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_signoffs")),
    )
    op.create_index(op.f("ix_signoffs_at"), "signoffs", ["at"], unique=False)
    op.create_index(op.f("ix_signoffs_forget_at"), "signoffs", ["forget_at"], unique=False)
    op.create_table(
        "unmatched_reports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_unmatched_reports_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmatched_reports")),
    )
    op.create_index(op.f("ix_unmatched_reports_version_id"), "unmatched_reports", ["version_id"], unique=False)
    op.create_table(
        "training_copies",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.Column("instance_id", sa.String(length=32), nullable=True),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("pixel_sha256", sa.String(length=64), nullable=False),
        sa.Column("blob_key", sa.String(length=64), nullable=True),
        sa.Column("blob_sha256", sa.String(length=64), nullable=True),
        sa.Column("blob_size", sa.BigInteger(), nullable=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("scanner", sa.Text(), nullable=False),
        sa.Column("sex", sa.String(length=8), nullable=False),
        sa.Column("age_band", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_training_copies_instance_id")),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_training_copies_patient")),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_training_copies_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_copies")),
        sa.UniqueConstraint("model", "content_sha256", name=op.f("uq_training_copies_model_content_sha256")),
    )
    op.create_index(op.f("ix_training_copies_blob_key"), "training_copies", ["blob_key"], unique=False)
    op.create_index(op.f("ix_training_copies_instance_id"), "training_copies", ["instance_id"], unique=False)
    op.create_index(op.f("ix_training_copies_patient"), "training_copies", ["patient"], unique=False)
    op.create_index(op.f("ix_training_copies_version_id"), "training_copies", ["version_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("result_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("awareness", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("source_id", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("code", sa.JSON(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=True),
        sa.Column("laterality", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_verdicts_result_id")),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_verdicts_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_verdicts_source_source_id")),
    )
    op.create_index(op.f("ix_verdicts_at"), "verdicts", ["at"], unique=False)
    op.create_index(op.f("ix_verdicts_result_id"), "verdicts", ["result_id"], unique=False)
    op.create_index(op.f("ix_verdicts_version_id"), "verdicts", ["version_id"], unique=False)
    op.create_table(
        "cohort_members",
        sa.Column("cohort_id", sa.String(length=32), nullable=False),
        sa.Column("copy_id", sa.String(length=32), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["cohort_id"], ["cohorts.id"], name=op.f("fk_cohort_members_cohort_id")),
        sa.ForeignKeyConstraint(["copy_id"], ["training_copies.id"], name=op.f("fk_cohort_members_copy_id")),
        sa.PrimaryKeyConstraint("cohort_id", "copy_id", name=op.f("pk_cohort_members")),
    )
    op.create_index(op.f("ix_cohort_members_copy_id"), "cohort_members", ["copy_id"], unique=False)
    op.create_table(
        "imported_labels",
        sa.Column("copy_id", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("reader", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("awareness", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["copy_id"], ["training_copies.id"], name=op.f("fk_imported_labels_copy_id")),
        sa.PrimaryKeyConstraint("copy_id", "target", "reader", name=op.f("pk_imported_labels")),
    )
