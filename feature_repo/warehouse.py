"""The one way into the warehouse: DuckDB, opened read-only for one piece of work and always closed,
so that dbt can have the lock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from feature_repo.asof import literal


@contextmanager
def open_warehouse(
    path: str | None,
    *,
    read_only: bool = True,
    memory_limit: str | None = None,
    spill: str | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection in UTC that sees the warehouse's schemas (or none, for Parquet alone),
    closed when the block ends.

    path: the warehouse file. memory_limit: such as '4GB' (default: DuckDB's own). spill: folder for
    what does not fit in memory. Raises FileNotFoundError where there is no warehouse yet and
    RuntimeError where a writer holds it.
    """
    if path and not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no warehouse at {path}: build it first with `stockhouse run`"
        )
    connection = duckdb.connect(
        ":memory:",
        config={"python_enable_replacements": "false", "autoinstall_known_extensions": "false"},
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        # DuckDB guesses the size of Arrow data as tiny and would loop over it instead of merging
        connection.execute("SET asof_loop_join_threshold = 0")
        if memory_limit:
            connection.execute("SET memory_limit = ?", [memory_limit])
        if spill:
            connection.execute("SET temp_directory = ?", [spill])
        if path:
            _attach(connection, path, read_only)
        yield connection
    finally:
        connection.close()


def _attach(connection: duckdb.DuckDBPyConnection, path: str, read_only: bool) -> None:
    try:
        connection.execute(
            f"ATTACH {literal(path)} AS warehouse ({'READ_ONLY' if read_only else 'READ_WRITE'})"
        )
    except (duckdb.IOException, duckdb.BinderException) as error:
        raise RuntimeError(
            f"the warehouse {path} is held by a writer; wait for it, or close it in this process "
            f"({error})"
        ) from error
    connection.execute("USE warehouse")


def write_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    """Write a query to a Parquet file, as `replacing` writes."""
    with replacing(path) as aside:
        connection.execute(f"COPY ({sql}) TO {literal(str(aside))} (FORMAT parquet)")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place: a reader, or a crash, sees the old
    one or the new one, whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.aside")
    try:
        yield aside
        _flush(aside)
        aside.replace(path)
        _flush(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
