"""Who may do what: roles of actors, tokens that expire, sessions; what the audit says of them; what readers opened."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Forward only: what a hospital holds is never dropped by a downgrade."""
    _actors()
    _sessions()
    _audit()
    _readers()


def _actors() -> None:
    former = _former_tokens()
    # SQLite makes the table anew to drop a column: what refers to it comes after.
    with op.batch_alter_table("actors") as table:
        table.drop_constraint("uq_actors_token_sha256", type_="unique")
        table.drop_column("token_sha256")
        table.add_column(sa.Column("roles", sa.JSON(), nullable=False, server_default='["READER"]'))
        table.add_column(sa.Column("password", sa.Text(), nullable=True))
        table.add_column(sa.Column("disabled_at", UTC, nullable=True))
    made = op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.Column("expires_at", UTC, nullable=True),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("used_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_tokens_actor_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_tokens_sha256")),
    )
    op.create_index(op.f("ix_tokens_actor_id"), "tokens", ["actor_id"], unique=False)
    if former:
        op.bulk_insert(made, former)


def _former_tokens() -> list[dict[str, object]]:
    """The tokens of before go on: a person's may what the person may, a machine's what it was made for."""
    found = sa.text("SELECT id, kind, token_sha256, at FROM actors WHERE token_sha256 IS NOT NULL")
    rows = op.get_bind().execute(found.columns(at=UTC)).all()
    return [
        {
            "id": "tk" + row.id[2:],
            "actor_id": row.id,
            "name": "first",
            "sha256": row.token_sha256,
            "scopes": ["VIEW_STUDIES", "READ"] if row.kind == "MACHINE" else sa.null(),
            "at": row.at,
        }
        for row in rows
    ]


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("provider_session", sa.Text(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("seen_at", UTC, nullable=False),
        sa.Column("ends_at", UTC, nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_sessions_actor_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("sha256", name=op.f("uq_sessions_sha256")),
    )
    op.create_index(op.f("ix_sessions_actor_id"), "sessions", ["actor_id"], unique=False)


def _audit() -> None:
    op.add_column("audit_events", sa.Column("role", sa.String(length=96), nullable=False, server_default=""))
    op.add_column("audit_events", sa.Column("address", sa.String(length=64), nullable=False, server_default=""))
    op.create_index("ix_audit_events_object_id", "audit_events", ["object_id"], unique=False)
    op.create_table(
        "audit_forwarded",
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_audit_forwarded")),
    )


def _readers() -> None:
    op.create_table(
        "study_headers",
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.String(length=8), nullable=False),
        sa.Column("sex", sa.String(length=1), nullable=False),
        sa.Column("study_date", sa.String(length=8), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_study_headers_study_id_studies")),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_study_headers")),
    )
    op.create_table(
        "openings",
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("blinded", sa.Boolean(), nullable=False),
        sa.Column("ai_shown_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"], ["study_versions.id"], name=op.f("fk_openings_version_id_study_versions")
        ),
        sa.PrimaryKeyConstraint("version_id", "actor", name=op.f("pk_openings")),
    )
    op.create_table(
        "votes",
        sa.Column("result_id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("useful", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_votes_result_id_results")),
        sa.PrimaryKeyConstraint("result_id", "actor", name=op.f("pk_votes")),
    )
