"""Alembic's entry: migrates the connection that `Ledger.upgrade` hands over."""

from alembic import context

from radloop.ledger import (  # noqa: F401 - parts of the metadata
    acquired,
    admitted,
    audit_reports,
    learning,
    operations,
    reading_times,
    retained,
    uploads,
    watching,
)
from radloop.ledger.tables import metadata

connection = context.config.attributes["connection"]
# One transaction for all revisions: a killed upgrade leaves the old tables.
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
