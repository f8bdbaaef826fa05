"""Who may do what: roles of actors, tokens that expire, sessions; what the audit says of them; what readers opened."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UTC = sa.DateTime(timezone=True)
KEPT = "the audit record is append-only"


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
    op.drop_index("ix_audit_events_sealed", "audit_events")
    _audit_index("waiting", ["at", "id"], sqlite_where="sealed IS 0", postgresql_where="sealed IS false")
    _audit_index("actor", ["actor", "action", "at"])
    _audit_index("action", ["action", "at"])
    _audit_index("role", ["role", "at"], sqlite_where="role <> ''", postgresql_where="role <> ''")
    op.create_table(
        "audit_forwarded",
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_audit_forwarded")),
    )
    _keep_the_audit()


def _audit_index(name: str, columns: list[str], **where: str) -> None:
    """An index of audit_events, of the rows for which `where` holds."""
    conditions: dict[str, Any] = {key: sa.text(value) for key, value in where.items()}
    op.create_index(f"ix_audit_events_{name}", "audit_events", columns, unique=False, **conditions)


def _keep_the_audit() -> None:
    """No row of the audit is ever changed or deleted; an event is marked as sealed, once."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
            f"'{KEPT}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        refuse = "FOR EACH ROW {when} EXECUTE FUNCTION audit_is_kept()"
        unsealed = "WHEN (OLD.sealed OR NOT NEW.sealed)"
    else:
        refuse = "{when} BEGIN SELECT RAISE(ABORT, '" + KEPT + "'); END"
        unsealed = "WHEN OLD.sealed IS NOT 0 OR NEW.sealed IS NOT 1"
    facts = "id, at, actor, action, object_kind, object_id, detail, role, address"
    for name, what, when in (
        ("audit_events_fact", f"UPDATE OF {facts} ON audit_events", ""),
        ("audit_events_unseal", "UPDATE OF sealed ON audit_events", unsealed),
        ("audit_events_delete", "DELETE ON audit_events", ""),
        ("audit_seals_update", "UPDATE ON audit_seals", ""),
        ("audit_seals_delete", "DELETE ON audit_seals", ""),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {what} {refuse.format(when=when)}")


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
    op.create_index(op.f("ix_openings_at"), "openings", ["at"], unique=False)
    op.create_table(
        "votes",
        sa.Column("result_id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("useful", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_votes_result_id_results")),
        sa.PrimaryKeyConstraint("result_id", "actor", name=op.f("pk_votes")),
    )
    # The worklist looks at open versions alone, however many are signed; another patient's studies are never walked.
    op.create_index(
        "ix_study_versions_open",
        "study_versions",
        ["state", "urgency", "priority_rank", "study_id", "number", "received_at", "completed_at", "answered_at", "id"],
        unique=False,
        sqlite_where=sa.text("state <> 'SIGNED'"),
        postgresql_where=sa.text("state <> 'SIGNED'"),
    )
    op.create_index("ix_studies_patient_id", "studies", ["patient_id"], unique=False)
