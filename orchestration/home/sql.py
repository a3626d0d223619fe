"""SQL that every room needs: names and values quoted, and a number that says what is in a table."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def table_hash(
    con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str] = ()
) -> tuple[int, int]:
    """How many rows a table has, and a number that says what is in them, whatever their order.

    table: its name in SQL, quoted. columns: what counts, in this order; by default every column.
    Equal contents, equal numbers.
    """
    said = ", ".join(map(quote, columns)) or "line"
    sql = f"select count(*), coalesce(sum(hash({said})::hugeint), 0) from {table} as line"
    rows, total = con.execute(sql).fetchone() or (0, 0)
    return int(rows), int(total)


def document_key(column: str) -> str:
    """SQL of a document's or line's number as two systems agree on it, as dbt's macro of this name
    has it: without blanks, case, leading zeros and the `.0` of a table of numbers."""
    whole = f"regexp_replace(upper(replace({column}, ' ', '')), '[.]0+$', '')"
    return f"regexp_replace({whole}, '^0+(.)', '\\1')"
