"""SQL that every room needs: names and values quoted, what a query answers, and a number that says
what is in a table.

Tables keep money as decimals, so that its sums are the same whoever adds it up. Arrays have none,
so this is where it becomes a float, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import polars.selectors as cs

Given = Mapping[str, Any] | Sequence[Any] | None


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def frame(con: duckdb.DuckDBPyConnection, query: str, given: Given = None) -> pl.DataFrame:
    """What a query answers, its money as floats. given: the values of its parameters."""
    return floats(con.execute(query, given).pl())


def records(
    con: duckdb.DuckDBPyConnection, query: str, given: Given = None
) -> list[dict[str, Any]]:
    """What a query answers, a dict a row, its money as floats."""
    found = tuples(con, query, given)
    names = [column[0] for column in con.description or []]
    return [dict(zip(names, row, strict=True)) for row in found]


def tuples(
    con: duckdb.DuckDBPyConnection, query: str, given: Given = None
) -> list[tuple[Any, ...]]:
    """What a query answers, a tuple a row, its money as floats."""
    return [tuple(map(_plain, row)) for row in con.execute(query, given).fetchall()]


def floats(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their decimals as floats."""
    return rows.with_columns(cs.decimal().cast(pl.Float64))


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def table_hash(
    con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str] = ()
) -> tuple[int, int]:
    """How many rows a table has, and a number that says what is in them, whatever their order.

    table: its name in SQL, quoted. columns: what counts, in this order; by default every column.
    Equal contents, equal numbers.
    """
    # not the table's own name or an alias: a column of that name would be hashed instead of the row
    said = ", ".join(map(quote, columns)) or "*columns(*)"
    sql = f"select count(*), coalesce(sum(hash({said})::hugeint), 0) from {table}"
    rows, total = con.execute(sql).fetchone() or (0, 0)
    return int(rows), int(total)


def repeated(column: str, rows: str) -> str:
    """SQL of the values that stand in more than one of some rows, each once; null is none.

    rows: what follows FROM, its WHERE included. Sorting takes half of what counting each value
    does, where nearly all stand once, and spills to disk as well.
    """
    before = f"lag({column}) OVER (ORDER BY {column})"
    again = f"SELECT {column}, {column} = {before} AS is_again FROM {rows}"
    return f"SELECT DISTINCT {column} FROM ({again}) WHERE is_again"


def document_key(column: str) -> str:
    """SQL of a document's or line's number as two systems agree on it, as dbt's macro of this name
    has it: without blanks, case, leading zeros and the `.0` of a table of numbers."""
    whole = f"regexp_replace(upper(replace({column}, ' ', '')), '[.]0+$', '')"
    return f"regexp_replace({whole}, '^0+(.)', '\\1')"
