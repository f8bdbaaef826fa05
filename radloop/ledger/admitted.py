"""The tables of who comes in and what readers open: tokens, sessions, headers of studies, openings, votes.

Part of `tables.metadata`. Secrets are kept as their SHA-256 only. `study_headers` holds patient data.
"""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, String, Table, Text

from radloop.ledger.tables import Utc, id_column, metadata, reference

tokens = Table(
    "tokens",
    metadata,
    id_column(),
    reference("actor_id", "actors"),
    Column("name", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    # Permissions by name; NULL: whatever the owner's roles grant.
    Column("scopes", JSON(none_as_null=True)),
    Column("at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("ended_at", Utc),
    Column("used_at", Utc),
)

sessions = Table(
    "sessions",
    metadata,
    id_column(),
    reference("actor_id", "actors"),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("csrf", String(64), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("door", String(16), nullable=False),
    Column("provider_session", Text),
    Column("address", String(64), nullable=False),
    Column("at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("ends_at", Utc, nullable=False),
    Column("ended_at", Utc),
)

study_headers = Table(
    "study_headers",
    metadata,
    Column("study_id", String(32), ForeignKey("studies.id"), primary_key=True),
    Column("patient_name", Text, nullable=False),
    Column("birth_date", String(8), nullable=False),
    Column("sex", String(1), nullable=False),
    Column("study_date", String(8), nullable=False),
    Column("description", Text, nullable=False),
)

openings = Table(
    "openings",
    metadata,
    Column("version_id", String(32), ForeignKey("study_versions.id"), primary_key=True),
    Column("actor", String(128), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    Column("blinded", Boolean, nullable=False),
    Column("ai_shown_at", Utc),
)

votes = Table(
    "votes",
    metadata,
    Column("result_id", String(32), ForeignKey("results.id"), primary_key=True),
    Column("actor", String(128), primary_key=True),
    Column("useful", Boolean, nullable=False),
    Column("at", Utc, nullable=False),
)
