"""The workbench for rows that could not be loaded: each with its file, row, column, value, rule and
raw text. `row_loader` puts them here; this lists, retries and discards them.

Mend the contract (or the file) and retry: the source's archive is read anew. What is discarded
stays discarded after a rebuild.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.home.files import flush
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import World
from orchestration.landing.load.store import DISCARDED, QUARANTINE, apply_discards

COLUMNS = ", ".join(QUARANTINE)


def list(
    con: duckdb.DuckDBPyConnection,
    source_id: str | None = None,
    *,
    status: str = "open",
    limit: int = 1000,
) -> pl.DataFrame:
    """Rows in quarantine, in the order of their files; status is open, retried or discarded."""
    return con.execute(
        f"""SELECT {COLUMNS} FROM raw.quarantine WHERE status = $1 AND source_id = coalesce($2,
            source_id)
        ORDER BY source_id, path, part, row_no LIMIT $3""",
        [status, source_id, limit],
    ).pl()


def summary(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """How many rows stand in quarantine by source, table, column and rule, with one value as an
    example."""
    return con.execute(
        """SELECT source_id, table_name, column_name, rule, status, count(*) AS rows,
            min(value) AS example
        FROM raw.quarantine GROUP BY ALL ORDER BY rows DESC, 1, 2, 3, 4"""
    ).pl()


def show(con: duckdb.DuckDBPyConnection, quarantine_id: str) -> dict[str, Any]:
    """Everything known about one row; ContractError where there is none of this id."""
    cursor = con.execute(
        f"SELECT {COLUMNS} FROM raw.quarantine WHERE quarantine_id = ?", [quarantine_id]
    )
    row = cursor.fetchone()
    if row is None:
        raise ContractError(
            f"nothing in quarantine is called {quarantine_id}",
            mend="see `stockhouse quarantine list`",
        )
    return dict(zip(QUARANTINE, row, strict=True))


def retry(
    con: duckdb.DuckDBPyConnection, world: World, archive: Path, source_id: str | None = None
) -> dict[str, int]:
    """Read the archive of sources with open rows anew, with the contract as it is now: {retried:
    now loaded, open: still not}."""
    # landing uses the quarantine too
    from orchestration.landing.load.landing import reland_sources  # noqa: PLC0415

    rows = con.execute(
        "SELECT DISTINCT source_id FROM raw.quarantine WHERE status = 'open' AND source_id = "
        "coalesce(?, source_id)",
        [source_id],
    ).fetchall()
    sources = [name for (name,) in rows]
    before = _count(con, sources, "open")
    reland_sources(con, world, archive, sources)
    after = _count(con, sources, "open")
    return {"retried": before - after, "open": after}


def discard(con: duckdb.DuckDBPyConnection, archive: Path, quarantine_ids: Iterable[str]) -> int:
    """Accept that these rows will never be loaded; remembered in the archive, so that a rebuild
    knows too. Returns how many."""
    ids = sorted(set(quarantine_ids))
    for quarantine_id in ids:
        show(con, quarantine_id)
    with (archive / DISCARDED).open("a", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"quarantine_id": quarantine_id}) + "\n" for quarantine_id in ids
        )
    flush(archive / DISCARDED)
    return apply_discards(con, archive)


def _count(con: duckdb.DuckDBPyConnection, sources: Iterable[str], status: str) -> int:
    names = [*sources]
    row = con.execute(
        "SELECT count(*) FROM raw.quarantine WHERE status = ? AND list_contains(?, source_id)",
        [status, names],
    ).fetchone()
    return int(row[0]) if row and names else 0
