"""The history of the ledger's schema, one Alembic revision a change."""
