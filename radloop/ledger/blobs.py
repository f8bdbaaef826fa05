"""Which bytes at rest the ledger still names."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from radloop.ledger.audit_reports import audit_report_files
from radloop.ledger.learning import training_copies
from radloop.ledger.retained import deletions
from radloop.ledger.tables import findings, instances, objects, quarantine
from radloop.ledger.uploads import upload_files
from radloop.ledger.watching import baselines

NAMED_BY = (
    instances.c.blob_key, objects.c.blob_key, quarantine.c.blob_key, findings.c.picture_key, findings.c.heatmap_key,
    training_copies.c.blob_key, audit_report_files.c.blob_key,
    baselines.c.blob_key, upload_files.c.blob_key,
)  # fmt: skip


def referenced(conn: Connection, keys: Collection[str]) -> set[str]:
    """Those of `keys` that some row names: the others are orphans of a crash. Ask for some hundreds at a time."""
    return {key for column in NAMED_BY for key in conn.scalars(select(column).where(column.in_(keys)))}


def at_rest(conn: Connection, first: str, last: str) -> set[str]:
    """The keys from `first` to `last` whose bytes must be in the store: named, and not deleted or about to be."""
    named = {
        key for column in NAMED_BY for key in conn.scalars(select(column).where(column.between(first, last))) if key
    }
    going = select(deletions.c.blob_key).where(deletions.c.blob_key.between(first, last))
    return named - set(conn.scalars(going))
