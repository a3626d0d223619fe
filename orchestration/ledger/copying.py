"""A ledger copied whole from one database into another, whichever two of SQLite and PostgreSQL they
are: for backup and restore."""

from __future__ import annotations

import sqlalchemy as sa

from orchestration.ledger.schema import events, metadata
from orchestration.ledger.store import CHUNK, LedgerError, Store


def copy(source_url: str, target_url: str) -> int:
    """Copy every row of a ledger, as it stands at one moment, into an empty one; returns how many
    events it has.

    Raises LedgerError, and leaves the target as it was, where that has events already.
    """
    source, target = Store(source_url), Store(target_url)
    try:
        with _at_one_moment(source) as still, target.locked() as connection:
            if connection.scalar(_last) is not None:
                raise LedgerError(
                    "the ledger to restore into has events already; it was left as it is"
                )
            for table in metadata.sorted_tables:
                rows = still.execution_options(yield_per=CHUNK).execute(sa.select(table)).mappings()
                for part in rows.partitions():
                    connection.execute(sa.insert(table), [dict(row) for row in part])
            return int(connection.scalar(sa.select(sa.func.count()).select_from(events)) or 0)
    finally:
        source.engine.dispose()
        target.engine.dispose()


def _at_one_moment(store: Store) -> sa.Connection:
    """A connection that sees every table as it stood at its first question, while others write."""
    connection = store.engine.connect()
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    connection.exec_driver_sql("BEGIN")  # one snapshot of the WAL
    return connection


def holds(url: str, other_url: str) -> bool:
    """Whether the ledger at `url` has all that happened in the other one: its last event stands
    there with the same hash."""
    mine, other = Store(url), Store(other_url)
    try:
        with mine.engine.connect() as connection, other.engine.connect() as second:
            last = second.scalar(_last)
            if last is None:
                return True
            query = sa.select(events.c.hash).where(events.c.seq == last)
            return connection.scalar(query) == second.scalar(query)
    finally:
        mine.engine.dispose()
        other.engine.dispose()


def is_empty(url: str) -> bool:
    """Whether nothing has happened in the ledger at this URL yet."""
    store = Store(url)
    try:
        with store.engine.connect() as connection:
            return connection.scalar(_last) is None
    finally:
        store.engine.dispose()


_last = sa.select(sa.func.max(events.c.seq))
