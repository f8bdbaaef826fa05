"""Baselines, alarms, the studies that they touched, notices, scanners in the shadow."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IN_FORCE = sa.text("state = 'IN_FORCE'")
NOT_CLOSED = sa.text("state <> 'CLOSED'")
STILL = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    _baselines()
    _alarms()
    _notices()
    _shadowed()


def _baselines() -> None:
    op.create_table(
        "baselines",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob_key", sa.String(length=64), nullable=False),
        sa.Column("blob_sha256", sa.String(length=64), nullable=False),
        sa.Column("blob_size", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("extends", sa.String(length=32), nullable=True),
        sa.Column("alarm_id", sa.String(length=32), nullable=True),
        sa.Column("cohort_id", sa.String(length=32), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["extends"], ["baselines.id"], name=op.f("fk_baselines_extends")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_baselines")),
    )
    op.create_index(op.f("ix_baselines_model"), "baselines", ["model"], unique=False)
    op.create_index(op.f("ix_baselines_blob_key"), "baselines", ["blob_key"], unique=False)
    op.create_index(
        "uq_baselines_in_force",
        "baselines",
        ["model"],
        unique=True,
        sqlite_where=IN_FORCE,
        postgresql_where=IN_FORCE,
    )


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("cause_key", sa.String(length=64), nullable=False),
        sa.Column("suite", sa.String(length=64), nullable=False),
        sa.Column("check", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("statistic", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("p", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("m", sa.Integer(), nullable=False),
        sa.Column("smallest_shift", sa.Float(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_version", sa.String(length=32), nullable=True),
        sa.Column("studies", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("choice", sa.String(length=16), nullable=True),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index("ix_alarms_state_model", "alarms", ["state", "model"], unique=False)
    op.create_index(
        "uq_alarms_cause", "alarms", ["cause_key"], unique=True, sqlite_where=NOT_CLOSED, postgresql_where=NOT_CLOSED
    )
    op.create_table(
        "alarm_studies",
        sa.Column("alarm_id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_alarm_studies_alarm_id")),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_alarm_studies_version_id")),
        sa.PrimaryKeyConstraint("alarm_id", "version_id", name=op.f("pk_alarm_studies")),
    )
    op.create_index(op.f("ix_alarm_studies_version_id"), "alarm_studies", ["version_id"], unique=False)


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("alarm_id", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_notices_alarm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("alarm_id", "channel", name=op.f("uq_notices_alarm_id_channel")),
    )
    op.create_index("ix_notices_state_next_at", "notices", ["state", "next_at"], unique=False)


def _shadowed() -> None:
    op.create_table(
        "shadowed_scanners",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("alarm_id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_shadowed_scanners_alarm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadowed_scanners")),
    )
    op.create_index(op.f("ix_shadowed_scanners_alarm_id"), "shadowed_scanners", ["alarm_id"], unique=False)
    op.create_index(
        "uq_shadowed_scanners_now",
        "shadowed_scanners",
        ["site", "device"],
        unique=True,
        sqlite_where=STILL,
        postgresql_where=STILL,
    )
