"""The triggers of the ledger's database, compared with what we made them: an emptied or disabled
guard guards nothing."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from orchestration.ledger.migrations.versions.r0001_events_and_projections import (
    APPEND_ONLY,
    REFUSE_CHANGE,
    REFUSE_SELF_APPROVAL,
)
from orchestration.ledger.store import migrate

#: PostgreSQL's bits of a trigger (pg_trigger.tgtype): a row's BEFORE INSERT; a statement's BEFORE
#: UPDATE, DELETE or TRUNCATE.
BEFORE_INSERT, BEFORE_CHANGE = 7, 58
Guard = tuple[object, ...]


def wrong(connection: sa.Connection) -> list[str]:
    """Names of guards that are missing, disabled, or say something else than they should."""
    if connection.dialect.name == "sqlite":
        there, made = _sqlite(connection), _made_in_sqlite()
    else:
        there, made = _postgresql(connection), _made_in_postgresql()
    return sorted(name for name, guard in made.items() if there.get(name) != guard)


def _sqlite(connection: sa.Connection) -> dict[str, Guard]:
    rows = connection.exec_driver_sql(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    )
    return {name: (table, sql) for name, table, sql in rows}


@cache
def _made_in_sqlite() -> dict[str, Guard]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        return _sqlite(connection)


def _postgresql(connection: sa.Connection) -> dict[str, Guard]:
    rows = connection.exec_driver_sql(
        "SELECT t.tgname, c.relname, t.tgtype, t.tgenabled, t.tgqual IS NULL, p.prosrc "
        "FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
        "JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = current_schema() AND NOT t.tgisinternal"
    )
    return {name: tuple(guard) for name, *guard in rows}


def _made_in_postgresql() -> dict[str, Guard]:
    append_only: dict[str, Guard] = {
        f"{table}_is_append_only": (table, BEFORE_CHANGE, "O", True, REFUSE_CHANGE)
        for table in APPEND_ONLY
    }
    apart: Guard = ("events", BEFORE_INSERT, "O", True, REFUSE_SELF_APPROVAL)
    return append_only | {"separation_of_duties": apart}
