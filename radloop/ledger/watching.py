"""The tables of watching: baselines, alarms, the studies that they touched, notices. Part of `tables.metadata`.

No patient data stands here: sites, scanners, our own surrogate ids, numbers.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from radloop.ledger.tables import Utc, id_column, metadata, reference

baselines = Table(
    "baselines",
    metadata,
    id_column(),
    Column("model", String(64), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("blob_key", String(64), nullable=False, index=True),
    Column("blob_sha256", String(64), nullable=False),
    Column("blob_size", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    reference("extends", "baselines", nullable=True, index=False),
    Column("alarm_id", String(32)),
    Column("cohort_id", String(32)),
    Column("period_start", Utc),
    Column("period_end", Utc),
    Column("why", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Utc),
    Index(
        "uq_baselines_in_force", "model", unique=True,
        sqlite_where=text("state = 'IN_FORCE'"), postgresql_where=text("state = 'IN_FORCE'"),
    ),
)  # fmt: skip

alarms = Table(
    "alarms",
    metadata,
    id_column(),
    # SHA-256 of what makes the cause: a text of any length in an index of fixed width.
    Column("cause_key", String(64), nullable=False),
    Column("suite", String(64), nullable=False),
    Column("check", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("statistic", String(32), nullable=False),
    Column("value", Float, nullable=False),
    Column("p", Float),
    Column("n", Integer, nullable=False),
    Column("m", Integer, nullable=False),
    Column("smallest_shift", Float),
    Column("since", Utc, nullable=False),
    Column("first_version", String(32)),
    Column("studies", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("last_seen", Utc, nullable=False),
    Column("choice", String(16)),
    Column("who", Text),
    Column("why", Text),
    Column("decided_at", Utc),
    Index("ix_alarms_state_model", "state", "model"),
    # One alarm per cause until somebody closed it, whoever races for it.
    Index(
        "uq_alarms_cause", "cause_key", unique=True,
        sqlite_where=text("state <> 'CLOSED'"), postgresql_where=text("state <> 'CLOSED'"),
    ),
)  # fmt: skip

alarm_studies = Table(
    "alarm_studies",
    metadata,
    Column("alarm_id", String(32), ForeignKey("alarms.id"), primary_key=True),
    Column("version_id", String(32), ForeignKey("study_versions.id"), primary_key=True, index=True),
    Column("at", Utc, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    id_column(),
    reference("alarm_id", "alarms", index=False),
    Column("channel", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Utc, nullable=False),
    Column("at", Utc, nullable=False),
    Column("sent_at", Utc),
    Column("error", Text),
    Column("lease_owner", String(64)),
    Column("lease_until", Utc),
    UniqueConstraint("alarm_id", "channel"),
    Index("ix_notices_state_next_at", "state", "next_at"),
)

shadowed = Table(
    "shadowed_scanners",
    metadata,
    id_column(),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    reference("alarm_id", "alarms"),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("ended_by", Text),
    Column("ended_at", Utc),
    Index(
        "uq_shadowed_scanners_now", "site", "device", unique=True,
        sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
    ),
)  # fmt: skip
