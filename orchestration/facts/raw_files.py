"""What landing wrote, as Parquet that another engine reads: the same dbt project then runs past one
machine.

    raw/
      manifest.json                 every table's rows, columns and files, with their fingerprints
      sales/data_0.parquet ...      one folder a table

An INTERVAL is written as its microseconds, for few engines read one; all else as it is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb

from orchestration.errors import StockhouseError
from orchestration.home import files
from orchestration.home.sql import literal, quote

MANIFEST = "manifest.json"
#: A file of this size is one task of an engine that shares work out.
FILE_SIZE = "128MB"


class RawFilesError(StockhouseError):
    """The raw tables could not be written as files; what stood there is unchanged."""


def export(warehouse: Path, folder: Path) -> dict[str, int]:
    """Write every raw table as Parquet in place of what the folder held; how many rows each has.

    warehouse: a DuckDB file that nobody writes to meanwhile. Raises RawFilesError where nothing is
    landed yet, or the folder holds what no export wrote.
    """
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise RawFilesError(f"{folder} holds other things: name a folder that is not there yet.")
    if not warehouse.exists():
        raise RawFilesError(f"There is no warehouse at {warehouse}. Run `stockhouse run` first.")
    with (
        duckdb.connect(str(warehouse), read_only=True) as con,
        files.replacing(folder) as aside,
    ):
        listed = con.execute(
            "select table_name from information_schema.tables where table_schema = 'raw' order by 1"
        ).fetchall()
        if not listed:
            raise RawFilesError(f"{warehouse} has no raw tables. Run `stockhouse run` first.")
        written = {name: _write(con, name, aside / name) for (name,) in listed}
        files.write(aside / MANIFEST, json.dumps({"tables": written}, indent=2))
    return {name: int(table["rows"]) for name, table in written.items()}


def _write(con: duckdb.DuckDBPyConnection, table: str, folder: Path) -> dict[str, Any]:
    """Write one table; what the manifest says of it."""
    name = f"raw.{quote(table)}"
    columns = {row[0]: row[1] for row in con.execute(f"describe {name}").fetchall()}
    said = ", ".join(
        f"epoch_us({quote(column)}) as {quote(column)}" if kind == "INTERVAL" else quote(column)
        for column, kind in columns.items()
    )
    for column in (column for column, kind in columns.items() if kind == "INTERVAL"):
        months = f"datepart('year', {quote(column)}) * 12 + datepart('month', {quote(column)})"
        if con.execute(f"select 1 from {name} where {months} <> 0 limit 1").fetchone():
            raise RawFilesError(
                f"raw.{table}.{column} counts in months, which have no one length elsewhere: say "
                "known_after in days in world.yml and run again."
            )
    folder.mkdir(parents=True)
    (rows,) = con.execute(
        f"copy (select {said} from {name}) to {literal(str(folder))} "
        f"(format parquet, compression zstd, file_size_bytes '{FILE_SIZE}')"
    ).fetchone() or (0,)
    return {"rows": rows, "columns": columns, "files": _fingerprints(folder)}


def _fingerprints(folder: Path) -> dict[str, str]:
    said = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            said[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return said
