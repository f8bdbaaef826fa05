"""What peers were asked to keep, and when to ask next."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    op.create_table(
        "commitments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("peer", sa.String(length=32), nullable=False),
        sa.Column("delivery_ids", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
        sa.UniqueConstraint("transaction_uid", name=op.f("uq_commitments_transaction_uid")),
    )
    op.add_column("deliveries", sa.Column("commit_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("deliveries", sa.Column("commit_asks", sa.Integer(), nullable=True))
    op.create_index(
        "ix_deliveries_commit_at",
        "deliveries",
        ["commit_at"],
        unique=False,
        sqlite_where=sa.text("commit_at IS NOT NULL"),
        postgresql_where=sa.text("commit_at IS NOT NULL"),
    )
