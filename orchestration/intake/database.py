"""A SQL database as deliveries: rows since the last cursor value, streamed in bounded batches,
read-only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestration.home import files
from orchestration.intake.deliveries import json_line, stamped, write_delivery
from orchestration.intake.options import Database, resolve
from orchestration.landing import ContractError

CURSOR_FILE = "cursor.json"


def pull_database(source_id: str, options: Database, inbox: Path, *, where: str = "") -> list[str]:
    """Write what is at or after the cursor as deliveries of at most `batch_rows` rows; the names of
    new ones, under the inbox.

    The cursor (`<inbox>/<source_id>/cursor.json`) moves only after its file is in place, so a crash
    repeats rows and loses none; landing tells repeats by their key. Rows without a cursor value are
    read every time. Raises ContractError.
    """
    engine = _engine(resolve(options.url, where), where)
    kept = inbox / source_id / CURSOR_FILE
    written: list[str] = []
    stamp = stamped(options.stamp)
    try:
        with engine.connect() as connection:
            _only_read(connection)
            result = connection.execution_options(
                stream_results=True, yield_per=options.batch_rows
            ).execute(_statement(options, _read_cursor(kept, options, where)))
            names = list(result.keys())
            if len(set(names)) < len(names):
                raise ContractError(
                    "two columns have the same name",
                    where=where,
                    mend="name them in the query; it has " + ", ".join(names),
                )
            if options.cursor is not None and options.cursor not in names:
                raise ContractError(
                    f"the cursor `{options.cursor}` is no column of it",
                    where=where,
                    mend="columns: " + ", ".join(names),
                )
            for rows in result.partitions(options.batch_rows):
                name = write_delivery(
                    inbox, source_id, (json_line({**row._mapping, **stamp}) for row in rows)
                )
                if name is not None:
                    written.append(name)
                _advance(kept, options, rows)
    except sa.exc.SQLAlchemyError as error:
        # never the URL: it may hold a password
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ContractError(
            f"the database says: {reason}", where=where, mend="see url, table, query and cursor"
        ) from None
    finally:
        engine.dispose()
    return written


def _engine(url: str, where: str) -> sa.Engine:
    # SQLAlchemy would ask for psycopg2; the driver we lock is its successor
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return sa.create_engine(url, poolclass=sa.pool.NullPool)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError):
        raise ContractError(
            "is no SQLAlchemy URL of a known database",
            where=where,
            mend="such as postgresql+psycopg://…",
        ) from None
    except ImportError as error:
        raise ContractError(
            f"needs a driver: {error}", where=where, mend="pip install 'stockhouse[postgres]'"
        ) from None


def _only_read(connection: sa.Connection) -> None:
    """A contract reads other systems; it can never write to them."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)


def _statement(options: Database, since: Any) -> sa.Select[Any]:
    if options.table is not None:
        schema, _, name = options.table.rpartition(".")
        rows: Any = sa.table(
            sa.sql.quoted_name(name, quote=True),
            schema=sa.sql.quoted_name(schema, quote=True) if schema else None,
        )
    else:
        # a colon is a colon here, never a parameter
        query = (options.query or "").strip().rstrip(";").replace(":", "\\:")
        rows = sa.text(f"({query}) AS pulled")
    statement = sa.select(sa.text("*")).select_from(rows)
    if options.cursor is None:
        return statement
    column: sa.ColumnClause[Any] = sa.column(sa.sql.quoted_name(options.cursor, quote=True))
    if since is not None:
        statement = statement.where(sa.or_(column >= since, column.is_(None)))
    return statement.order_by(column)


def _read_cursor(kept: Path, options: Database, where: str) -> Any:
    """The value to read from, or None for all: at the start, and when the contract names another
    cursor, table or query."""
    if options.cursor is None or not kept.exists():
        return None
    mark = json.loads(kept.read_text(encoding="utf-8"))
    if mark["reads"] != _reads(options):
        return None
    value = _parsers()[mark["kind"]](mark["value"])
    if not options.overlap:
        return value
    if isinstance(value, str):
        raise ContractError(
            f"the cursor `{options.cursor}` holds text; overlap needs a time or a number",
            where=where,
            mend="cast it in a query",
        )
    return (
        value - timedelta(seconds=options.overlap)
        if isinstance(value, date)
        else value - type(value)(options.overlap)
    )


def _parsers() -> dict[str, Any]:
    return {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "int": int,
        "float": float,
        "Decimal": Decimal,
        "str": str,
    }


def _reads(options: Database) -> list[str | None]:
    return [options.table, options.query, options.cursor]


def _advance(kept: Path, options: Database, rows: Any) -> None:
    if options.cursor is None:
        return
    values: Iterator[Any] = (row._mapping[options.cursor] for row in rows)
    present = [value for value in values if value is not None]
    if not present:
        return
    last = max(present)
    kind = type(last).__name__
    if kind not in _parsers():
        raise ContractError(
            f"the cursor `{options.cursor}` holds {kind}",
            mend="a cursor is a time, a date, a number or a text",
        )
    try:
        text = last.isoformat() if isinstance(last, date) else str(last)
    except InvalidOperation as error:
        raise ContractError(
            f"the cursor `{options.cursor}` holds {last!r}", mend=str(error)
        ) from None
    files.write(kept, json.dumps({"reads": _reads(options), "kind": kind, "value": text}))
