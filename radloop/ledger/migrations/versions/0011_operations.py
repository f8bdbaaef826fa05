"""Steps of going live, and schedules that were made in the console."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    op.create_table(
        "kept_schedules",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_kept_schedules")),
    )
    op.create_table(
        "golive_steps",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("modalities", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_golive_steps")),
    )
    op.create_index(op.f("ix_golive_steps_at"), "golive_steps", ["at"], unique=False)
    op.create_index("ix_deliveries_peer_accepted_at", "deliveries", ["peer", "accepted_at"], unique=False)
