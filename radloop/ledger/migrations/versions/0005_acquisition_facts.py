"""How images were acquired and what they were found to be: site and sequence, pixel facts, embeddings, notes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PIXEL_COLUMNS = (
    "p1", "p5", "p25", "p50", "p75", "p95", "p99", "clipped_low", "clipped_high", "entropy", "noise", "sharpness",
    "border",
)  # fmt: skip


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    for name in ("site", "sequence"):
        op.add_column("acquisitions", sa.Column(name, sa.Text(), server_default="", nullable=False))
    for name in ("exposure_time", "repetition_time", "echo_time", "flip_angle", "field_strength"):
        op.add_column("acquisitions", sa.Column(name, sa.Float(), nullable=True))
    # Rows of before know their site by the instance; what else is new was not read from their headers.
    op.execute(
        "UPDATE acquisitions SET site = (SELECT peer FROM instances WHERE instances.id = acquisitions.instance_id)"
    )
    _found_in_pixels()
    op.create_table(
        "quality_notes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("result_id", sa.String(length=32), nullable=True),
        sa.Column("instance_id", sa.String(length=32), nullable=True),
        sa.Column("check", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_quality_notes_instance_id")),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_quality_notes_result_id")),
        sa.ForeignKeyConstraint(["version_id"], ["study_versions.id"], name=op.f("fk_quality_notes_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_notes")),
    )
    for name in ("at", "instance_id", "result_id", "version_id"):
        op.create_index(op.f(f"ix_quality_notes_{name}"), "quality_notes", [name], unique=False)


def _found_in_pixels() -> None:
    op.create_table(
        "pixel_facts",
        sa.Column("instance_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in PIXEL_COLUMNS),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_pixel_facts_instance_id")),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_pixel_facts")),
    )
    op.create_index(op.f("ix_pixel_facts_at"), "pixel_facts", ["at"], unique=False)
    op.create_table(
        "embeddings",
        sa.Column("result_id", sa.String(length=32), nullable=False),
        sa.Column("instance_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(length=256), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_embeddings_instance_id")),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_embeddings_result_id")),
        sa.PrimaryKeyConstraint("result_id", "instance_id", name=op.f("pk_embeddings")),
    )
    op.create_index(op.f("ix_embeddings_at"), "embeddings", ["at"], unique=False)
