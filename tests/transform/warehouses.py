"""A warehouse made by hand: every canonical table, empty or with the given rows, and dbt run on it
as the line runs it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration.home.sql import tuples
from orchestration.landing.contract.canonical import CANONICAL, LINEAGE, WORLD_COLUMNS

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / "dbt_project"
Row = dict[str, Any]

WORLD: Row = {
    "world": "handmade",
    "currency": "GBP",
    "timezone": "Europe/London",
    "grain": "day",
    "week_starts_on": 1,
    "review_days": 7,
    "lead_time_days": 14.0,
    "absent_sales": "zero",
    "is_whole_units": True,
    "holding_per_year": 0.25,
    "shortage_margin": 0.4,
    "unmet": "lost",
    "has_assumed_economics": True,
}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def make_warehouse(path: Path, world: Row, tables: dict[str, list[Row]]) -> Path:
    """Write schema raw as landing does: rows without known_at (and without a known_lag) are known
    when they happen."""
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw")
        for name, table in CANONICAL.items():
            columns = table.columns | LINEAGE
            con.execute(
                f"create table raw.{name} "
                f"({', '.join(f'{quoted(c)} {t}' for c, t in columns.items())})"
            )
            for number, row in enumerate(tables.get(name, []), start=1):
                _insert(con, name, _with_lineage(name, row, number))
        con.execute(
            "create table raw.world "
            f"({', '.join(f'{quoted(c)} {t}' for c, t in WORLD_COLUMNS.items())})"
        )
        _insert(con, "world", WORLD | world)
    return path


def _with_lineage(table: str, row: Row, number: int) -> Row:
    event = row.get("event_at") or row.get("starts_at")
    found_later = row.get("known_lag") is not None
    lineage: Row = {
        "row_key": number,
        "row_hash": number,
        "source_id": "handmade",
        "delivery": table,
        "row_no": number,
        "part": "",
    }
    return lineage | {"known_at": None if found_later else event} | row


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    names = ", ".join(quoted(name) for name in row)
    con.execute(
        f"insert into raw.{table} ({names}) values ({', '.join('?' for _ in row)})",
        list(row.values()),
    )


#: Every warehouse is reached under one name, so that dbt parses the project once and not once a
#: warehouse.
SCRATCH = Path(tempfile.mkdtemp(prefix="stockhouse-dbt-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


def run_dbt(warehouse: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt as a subprocess against this warehouse; its target is SCRATCH/target, its log lies
    beside the warehouse."""
    scratch, link = warehouse.parent, SCRATCH / "warehouse.duckdb"
    link.unlink(missing_ok=True)
    link.symlink_to(warehouse)
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "--no-use-colors",
            "--log-level-file=info",
            *arguments,
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
            "--target-path",
            str(SCRATCH / "target"),
            "--log-path",
            str(scratch / "logs"),
        ],
        env=os.environ | {"STOCKHOUSE_WAREHOUSE": str(link), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def build(warehouse: Path, select: str, verb: str = "build") -> None:
    """Build and test the selected models (or only `run` them); fail with dbt's own words."""
    result = run_dbt(warehouse, verb, "--select", *select.split())
    assert result.returncode == 0, result.stdout + result.stderr


def query(warehouse: Path, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return tuples(con, sql, parameters or [])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def days(number: float) -> timedelta:
    return timedelta(days=number)
