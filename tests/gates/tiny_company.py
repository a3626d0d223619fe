"""A hand-made company in a warehouse file that keeps every law, for each test to break in one place."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration import decisions
from orchestration.landing.canonical import CANONICAL, LINEAGE, WORLD_COLUMNS

MANIFEST = """delivery VARCHAR, source_id VARCHAR, silo VARCHAR, path VARCHAR, bytes BIGINT, landed_seq BIGINT, rows_in BIGINT,
    rows_skipped BIGINT, rows_unclaimed BIGINT, rows_claimed BIGINT, rows_loaded BIGINT, rows_quarantined BIGINT, rows_repeated BIGINT,
    handed_over_at TIMESTAMP"""


def found(path: Path) -> Path:
    """Found the tiny company's warehouse at path."""
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw")
        for name, table in CANONICAL.items():
            columns = ", ".join(f'"{column}" {kind}' for column, kind in {**table.columns, **LINEAGE}.items())
            con.execute(f"create table raw.{name} ({columns})")
        con.execute(f"create table raw.manifest ({MANIFEST})")
        con.execute(f"create table raw.world ({', '.join(f'{column} {kind}' for column, kind in WORLD_COLUMNS.items())})")
        decisions.load(con, path.parent / "no decisions yet")
        con.execute((Path(__file__).parent / "tiny_company.sql").read_text(encoding="utf-8"))
    return path
