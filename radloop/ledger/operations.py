"""The tables of running the house: schedules that were made in the console, steps of going live.

Part of `tables.metadata`.
"""

from sqlalchemy import JSON, Column, Index, String, Table, Text

from radloop.ledger.tables import Utc, deliveries, id_column, metadata

kept_schedules = Table(
    "kept_schedules",
    metadata,
    Column("name", String(64), primary_key=True),
    # As `[schedules.NAME]` of radloop.toml would have it.
    Column("body", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

golive_steps = Table(
    "golive_steps",
    metadata,
    id_column(),
    # The modalities that are live from here on; NULL: all, an empty list: none.
    Column("modalities", JSON(none_as_null=True)),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
)

# What a peer took last, and how much of late, is asked for at every look at the page: never all that it ever took.
Index("ix_deliveries_peer_accepted_at", deliveries.c.peer, deliveries.c.accepted_at)
