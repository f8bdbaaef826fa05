"""One digest of an instance: that of its content. And what the sweep of orphans asks for is found by an index."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade.

    The digest that goes is of the file at rest, which AES-256-GCM authenticates.
    """
    op.drop_column("instances", "blob_sha256")
    for table, column in (
        ("instances", "blob_key"),
        ("objects", "blob_key"),
        ("quarantine", "blob_key"),
        ("findings", "picture_key"),
        ("findings", "heatmap_key"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
