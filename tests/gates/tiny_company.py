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


def decide_again(path: Path, run: str) -> None:
    """A second run with nothing new decides the same; between two reviews it does not rehearse."""
    with duckdb.connect(str(path)) as con:
        for table in decisions.DECISIONS:
            if table != "champions":
                con.execute(
                    f"insert into decisions.{table} select * replace ('{run}' as run_id) "
                    f"from decisions.{table}"
                )
