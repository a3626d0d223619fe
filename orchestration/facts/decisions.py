"""Decisions are data: one Parquet file a run and table under state/decisions, which the warehouse
reads as schema `decisions`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.home import files

_TEXT, _NUMBER, _TIME, _DAY = pl.String, pl.Float64, pl.Datetime("us"), pl.Date

#: The tables and their columns; run_id and as_of come first in each, so that every decision can be
#: placed.
DECISIONS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "forecasts": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "period_start": _DAY,
        "quantile": _NUMBER,
        "value": _NUMBER,
    },
    "forecast_totals": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "total_of": _TEXT,
        "name": _TEXT,
        "period_start": _DAY,
        "quantile": _NUMBER,
        "value": _NUMBER,
    },
    "surges": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "period_start": _DAY,
        "periods": pl.Int64,
        "demand": _NUMBER,
        "usual": _NUMBER,
        "part": _TEXT,
        "units": _NUMBER,
    },
    "models": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "method": _TEXT,
        "trained_as_of": _TIME,
        "is_new": pl.Boolean,
        "reason": _TEXT,
        "data_until": _TEXT,
        "series": pl.Int64,
        "features": pl.Int64,
        "sha256": _TEXT,
        "unseen_wape": _NUMBER,
        "unseen_bias": _NUMBER,
        "unseen_under_tail": _NUMBER,
        "served_periods": pl.Int64,
        "served_wape": _NUMBER,
        "served_bias": _NUMBER,
        "served_under_tail": _NUMBER,
    },
    "champions": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "policy": _TEXT,
        "holding_cost": _NUMBER,
        "shortage_cost": _NUMBER,
        "total_cost": _NUMBER,
        "mean_difference": _NUMBER,
        "lower": _NUMBER,
        "upper": _NUMBER,
        "is_champion": pl.Boolean,
        "scale": _NUMBER,
    },
    "order_lines": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "order_line_id": _TEXT,
        "intent_key": _TEXT,
        "kind": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "from_id": _TEXT,
        "quantity": _NUMBER,
        "review_period": _DAY,
        "due_on": _DAY,
        "unit_cost": _NUMBER,
        "value": _NUMBER,
        "reason": _TEXT,
        "policy": _TEXT,
        "model": _TEXT,
        "eoq_quantity": _NUMBER,
        "min_max_quantity": _NUMBER,
        "system_quantity": _NUMBER,
    },
    "explanations": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "order_line_id": _TEXT,
        "part": _TEXT,
        "quantity": _NUMBER,
    },
    "targets": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "kind": _TEXT,
        "from_id": _TEXT,
        "item_class": _TEXT,
        "position": _NUMBER,
        "expected_demand": _NUMBER,
        "safety_stock": _NUMBER,
        "order_up_to": _NUMBER,
        "quantity": _NUMBER,
        "stock_out_risk_before": _NUMBER,
        "stock_out_risk_without": _NUMBER,
        "stock_out_risk_with": _NUMBER,
        "stock_out_on": _DAY,
        "economic_service_level": _NUMBER,
        "promised_service_level": _NUMBER,
        "implied_shortage_cost": _NUMBER,
        "expected_waste": _NUMBER,
        "completeness": _NUMBER,
    },
    "limits": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "name": _TEXT,
        "resource": _TEXT,
        "at_most": _NUMBER,
        "wanted": _NUMBER,
        "used": _NUMBER,
        "shadow_price": _NUMBER,
    },
    "alternatives": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "rank": pl.Int64,
        "way": _TEXT,
        "kind": _TEXT,
        "from_id": _TEXT,
        "quantity": _NUMBER,
        "normal_quantity": _NUMBER,
        "landed_unit_cost": _NUMBER,
        "price": _NUMBER,
        "freight": _NUMBER,
        "fuel": _NUMBER,
        "duty": _NUMBER,
        "holding_in_transit": _NUMBER,
        "arrives_on": _DAY,
        "extra_purchase_cost": _NUMBER,
        "expected_cost": _NUMBER,
        "total_cost": _NUMBER,
        "is_cheapest": pl.Boolean,
    },
    "overrides": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "kind": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "from_id": _TEXT,
        "system_quantity": _NUMBER,
        "quantity": _NUMBER,
        "unit_cost": _NUMBER,
        "reason": _TEXT,
    },
    "scenarios": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "state_run_id": _TEXT,
        "scenario": _TEXT,
        "title": _TEXT,
        "part": _TEXT,
        "name": _TEXT,
        "before": _NUMBER,
        "after": _NUMBER,
        "difference": _NUMBER,
        "lower": _NUMBER,
        "upper": _NUMBER,
        "mean_lower": _NUMBER,
        "mean_upper": _NUMBER,
        "is_chosen": pl.Boolean,
        "policy": _TEXT,
        "futures": pl.Int64,
        "periods": pl.Int64,
        "seed": pl.Int64,
        "version": _TEXT,
        "asked": _TEXT,
    },
    "calibration": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_class": _TEXT,
        "location_id": _TEXT,
        "counts": pl.Int64,
        "counted": _NUMBER,
        "error": _NUMBER,
        "bias": _NUMBER,
        "is_trusted": pl.Boolean,
    },
    "exceptions": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "kind": _TEXT,
        "severity": _TEXT,
        "reason": _TEXT,
    },
}


def record(folder: Path, run_id: str, table: str, frame: pl.DataFrame) -> Path:
    """Keep one run's decisions of one kind; a retried run replaces its own file whole, never
    half."""
    schema = DECISIONS[table]
    target = folder / table / f"{run_id}.parquet"
    with files.replacing(target) as aside:
        frame.select([pl.col(name).cast(kind) for name, kind in schema.items()]).write_parquet(
            aside
        )
    return target


def load(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make schema `decisions` say exactly what state/decisions says; tables no run has written yet
    are there and empty.

    Rows stand in the order in which the runs decided: of two runs with one Now, the later comes
    after.
    """
    con.execute("create schema if not exists decisions")
    for table, schema in DECISIONS.items():
        files = [str(path) for path in _oldest_first(folder / table)]
        con.register("empty_decisions", pl.DataFrame(schema=schema).to_arrow())
        con.execute(f"create or replace table decisions.{table} as select * from empty_decisions")
        con.unregister("empty_decisions")
        if files:
            con.execute(
                f"insert into decisions.{table} by name select * from read_parquet(?, "
                "union_by_name = true)",
                [files],
            )


def latest(folder: Path, table: str, now: datetime | None = None) -> pl.DataFrame | None:
    """The newest decisions of one kind, by the Now they were made at (not later than `now`), or
    None before the first."""
    frames = [pl.read_parquet(path) for path in _oldest_first(folder / table)]
    known = [
        frame
        for frame in frames
        if not frame.is_empty() and (now is None or frame["as_of"][0] <= now)
    ]
    return max(reversed(known), key=lambda frame: frame["as_of"][0], default=None)


def _oldest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def newest_row(folder: Path, table: str, now: datetime) -> dict[str, Any] | None:
    """The first row of the newest decisions of one kind, not later than `now`: which run made them,
    when and by which model."""
    paths = _oldest_first(folder / table)
    rows = [row for path in paths for row in pl.read_parquet(path, n_rows=1).iter_rows(named=True)]
    known = [row for row in rows if row["as_of"] <= now]
    return max(reversed(known), key=lambda row: row["as_of"], default=None)
