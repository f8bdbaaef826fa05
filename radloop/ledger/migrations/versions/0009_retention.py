"""Legal holds, and what retention deleted. A study's time runs from its sign-off by the policy of the day."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What was forgotten before this revision, so that nobody looks for it: images up to the signed version, and pictures.
FORGOTTEN_IMAGES = """
INSERT INTO deletions (blob_key, part, version_id, size, begun_at, gone_at)
SELECT i.blob_key, 'PICTURES', MIN(s.version_id), MAX(i.blob_size), MIN(s.forgotten_at), MIN(s.forgotten_at)
FROM signoffs s
JOIN study_versions v ON v.id = s.version_id
JOIN study_versions mine ON mine.study_id = v.study_id AND mine.number <= v.number
JOIN instances i ON i.version_id = mine.id
WHERE s.forgotten_at IS NOT NULL
GROUP BY i.blob_key
"""
FORGOTTEN_PICTURES = """
INSERT INTO deletions (blob_key, part, version_id, begun_at, gone_at)
SELECT made.blob_key, 'PICTURES', MIN(s.version_id), MIN(s.forgotten_at), MIN(s.forgotten_at)
FROM signoffs s
JOIN results r ON r.version_id = s.version_id
JOIN (
    SELECT result_id, picture_key AS blob_key FROM findings
    UNION SELECT result_id, heatmap_key FROM findings
) made ON made.result_id = r.id
WHERE s.forgotten_at IS NOT NULL AND made.blob_key IS NOT NULL
GROUP BY made.blob_key
"""


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    _tables()
    _signoffs()
    op.execute(FORGOTTEN_IMAGES)
    op.execute(FORGOTTEN_PICTURES)


def _tables() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_why", sa.Text(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_legal_holds_study_id_studies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_holds")),
    )
    op.create_index(op.f("ix_legal_holds_study_id"), "legal_holds", ["study_id"], unique=False)
    op.create_table(
        "retention_previews",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_previews")),
    )
    op.create_index(op.f("ix_retention_previews_at"), "retention_previews", ["at"], unique=False)
    op.create_table(
        "deletions",
        sa.Column("blob_key", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"], ["study_versions.id"], name=op.f("fk_deletions_version_id_study_versions")
        ),
        sa.PrimaryKeyConstraint("blob_key", name=op.f("pk_deletions")),
    )
    op.create_index(op.f("ix_deletions_version_id"), "deletions", ["version_id"], unique=False)
    op.create_index(op.f("ix_deletions_gone_at"), "deletions", ["gone_at"], unique=False)


def _signoffs() -> None:
    # When something may go is counted from the sign-off by the policy in force, not by the one of that day.
    op.drop_index("ix_signoffs_forget_at", table_name="signoffs")
    op.drop_column("signoffs", "forget_at")
    op.add_column("signoffs", sa.Column("reports_gone_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("forgotten_at", "reports_gone_at"):
        there = sa.text(f"{name} IS NULL")
        op.create_index(
            f"ix_signoffs_{name}_open", "signoffs", ["at"], unique=False, sqlite_where=there, postgresql_where=there
        )
