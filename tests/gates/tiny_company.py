"""A hand-made company in a warehouse file that keeps every law, for each test to break in one
place."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.facts import decisions
from orchestration.landing.load.store import create_tables


def found(path: Path) -> Path:
    """Found the tiny company's warehouse at path."""
    with duckdb.connect(str(path)) as con:
        create_tables(con)
        decisions.load(con, path.parent / "no decisions yet")
        con.execute((Path(__file__).parent / "tiny_company.sql").read_text(encoding="utf-8"))
    return path
