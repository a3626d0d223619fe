"""Alembic's entry: it migrates on the connection that Ledger.open hands over, inside its
transaction."""

from alembic import context

from orchestration.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
