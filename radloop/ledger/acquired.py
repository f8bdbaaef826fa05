"""The tables of what images were found to be: pixel facts, embeddings, quality notes. Part of `tables.metadata`.

Written by triage in the same transaction as the result that they come from; read by the data checks.
"""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String, Table, Text

from radloop.ledger.tables import Utc, id_column, metadata, reference

DIMENSIONS: Final = 64
"""Numbers of an embedding; 4 bytes each."""
PIXEL_COLUMNS: Final = (
    "p1", "p5", "p25", "p50", "p75", "p95", "p99", "clipped_low", "clipped_high", "entropy", "noise", "sharpness",
    "border",
)  # fmt: skip

pixel_facts = Table(
    "pixel_facts",
    metadata,
    Column("instance_id", String(32), ForeignKey("instances.id"), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    *(Column(name, Float, nullable=False) for name in PIXEL_COLUMNS),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("result_id", String(32), ForeignKey("results.id"), primary_key=True),
    Column("instance_id", String(32), ForeignKey("instances.id"), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
    Column("model", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    # DIMENSIONS little-endian float32.
    Column("vector", LargeBinary(4 * DIMENSIONS), nullable=False),
)

quality_notes = Table(
    "quality_notes",
    metadata,
    id_column(),
    reference("version_id", "study_versions"),
    reference("result_id", "results", nullable=True),
    reference("instance_id", "instances", nullable=True),
    Column("check", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
)
