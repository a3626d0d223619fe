"""Each metric is one, whoever asks: the semantic layer, the marts and the dashboard as code give the
same figures at every grain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from orchestration.defs.resources import PROJECT
from orchestration.facts import published_snapshots
from orchestration.home.sql import frame
from orchestration.reports.metrics import Semantics

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / ".github/deploy/bi/superset"
#: What tells that a column is money, by its name or in its words.
MONEY = re.compile(
    r"(^|_)(price|cost|value|amount|budget|revenue|margin|freight|duty|capital)(_|$)"
)
SAID = re.compile(r"\b(money|currency|costs?|price|budget)\b", re.IGNORECASE)
#: Floats all the same: numbers of any sort that were stated or observed, figures of scenarios, and
#: what merely speaks of money.
NO_MONEY = {
    "decisions.forecasts.value": "units",
    "decisions.forecast_totals.value": "units",
    "marts.fct_promotions.value": "what a planner wrote of a promotion, such as a share",
    "marts.fct_signals.value": "a reading of any sort",
    "decisions.scenarios.difference": "of a figure of any sort",
    "marts.dim_lanes.fuel_share": "a share",
    "marts.dim_lanes.fuel_index": "a ratio",
    "metrics.kpi_gmroi.gmroi": "a ratio",
    "metrics.kpi_yearly.gmroi": "a ratio",
}
RATIOS = ["fill_rate", "otif_share", "revenue", "lost_revenue", "turns", "gmroi"]


@pytest.fixture(scope="module")
def semantics() -> Semantics:
    return Semantics.load(PROJECT.manifest_path.with_name("semantic_manifest.json"))


@pytest.fixture(scope="module")
def snapshot(sample_run: tuple[Path, dict[str, Any]]) -> published_snapshots.Snapshot:
    return published_snapshots.current(sample_run[0] / "derived/published")


def shown(snapshot: published_snapshots.Snapshot, query: str) -> pl.DataFrame:
    with snapshot.connect() as con:
        return frame(con, query)


def year(snapshot: published_snapshots.Snapshot, table: str) -> tuple[datetime, datetime]:
    """The first and last Monday of a table's weeks."""
    (row,) = shown(snapshot, f"select min(week_start), max(week_start) from {table}").rows()
    first, last = (datetime.combine(day, time.min) for day in row)
    return first, last


def test_a_metric_by_week_is_the_one_the_desk_shows(
    semantics: Semantics, snapshot: published_snapshots.Snapshot
) -> None:
    names = ["fill_rate", "otif_share", "revenue", "cost_of_sales", "stock_value"]
    weeks = year(snapshot, "metrics.kpi_company_weekly")
    asked = semantics.ask(snapshot, names, ["week"], *weeks)
    kept = shown(
        snapshot,
        f"select week_start as week, {', '.join(names)} from metrics.kpi_company_weekly "
        "where sold_quantity > 0 order by 1",  # where all was closed the desk shows no fill rate
    )
    assert len(kept) > 50
    assert_frame_equal(asked.filter(pl.col("week").is_in(kept["week"].implode())), kept)


def test_a_metric_of_the_year_is_the_same_for_the_company_and_each_category(
    semantics: Semantics, snapshot: published_snapshots.Snapshot
) -> None:
    (dates,) = shown(
        snapshot, "select starts_on, ends_on - 6 from metrics.kpi_yearly where scope = 'company'"
    ).rows()
    weeks = [datetime.combine(day, time.min) for day in dates]
    for scope, by in (("company", []), ("category", ["category"])):
        asked = semantics.ask(snapshot, RATIOS, by, *weeks)
        columns = ", ".join([*by, *RATIOS])
        kept = shown(
            snapshot,
            f"select {columns} from metrics.kpi_yearly where scope = '{scope}' order by category nulls first",
        )
        assert len(kept) >= 1
        assert_frame_equal(asked, kept)


def test_an_item_s_return_and_a_place_s_turns_are_sums_over_the_same_weeks(
    semantics: Semantics, snapshot: published_snapshots.Snapshot
) -> None:
    since = """select week_start from metrics.kpi_weekly, published.world as world
        where week_start >= now_at::date - 364"""
    weeks = year(snapshot, f"({since})")
    asked = semantics.ask(snapshot, ["gmroi"], ["item_id"], *weeks).drop_nulls()
    kept = shown(
        snapshot, "select item_id, gmroi from metrics.kpi_gmroi where gmroi is not null order by 1"
    )
    assert len(kept) > 50
    assert_frame_equal(asked, kept)
    # an item's turns at one place that ships nothing on are what its sales at cost make
    turns = shown(
        snapshot,
        f"""select item_id, location_id, turns.turns as kept,
            365.25 * sum(cost_of_sales) / sum(stock_value_days) as asked
        from metrics.kpi_turns as turns join metrics.kpi_weekly using (item_id, location_id)
        where week_start in ({since}) and kpi_weekly.stock_days is not null
            and location_id in (select location_id from marts.dim_item_locations
                where role = 'store')
        group by all having sum(stock_value_days) > 0""",
    )
    assert len(turns) > 50
    near = (turns["kept"] - turns["asked"]).abs() <= 1e-6 + 0.02 * turns["asked"].abs()
    assert near.mean() > 0.95, "moves and demand agree but for what was not sold from the shelf"


def test_the_command_answers_at_any_grain_and_refuses_what_there_is_not(
    sample_run: tuple[Path, dict[str, Any]],
    command: Callable[..., Any],
    semantics: Semantics,
    snapshot: published_snapshots.Snapshot,
) -> None:
    asked = ("metrics", "turns", "fill_rate", "--by", "quarter,category")
    said = json.loads(command(*asked, "--home", sample_run[0], "--json").stdout)["metrics"]
    wanted = semantics.ask(snapshot, ["turns", "fill_rate"], ["quarter", "category"])
    assert said == json.loads(json.dumps(wanted.to_dicts(), default=str)) and len(said) > 9
    refused = command("metrics", "turn", "--home", sample_run[0], code=2)
    assert "there is no metric 'turn'" in refused.stderr


def test_money_is_kept_to_the_digit_and_every_column_says_what_it_is(
    snapshot: published_snapshots.Snapshot,
) -> None:
    told = shown(
        snapshot,
        """select schema_name || '.' || table_name as place, column_name, data_type, comment
        from duckdb_columns() where not internal""",
    )
    unsaid = told.filter(pl.col("comment").fill_null("") == "")
    tables = shown(snapshot, "select table_name from duckdb_tables() where comment is null")
    assert unsaid.is_empty() and tables.is_empty()
    assert len(told) > 700
    floats = [
        f"{place}.{column}".replace("decisions_history.", "decisions.")
        for place, column, kind, said in told.iter_rows()
        if kind in ("DOUBLE", "FLOAT") and (MONEY.search(column) or SAID.search(said))
    ]
    assert set(floats) - NO_MONEY.keys() == set()


def test_the_ledger_s_lines_stand_beside_the_plan_s_by_the_one_id(
    snapshot: published_snapshots.Snapshot,
) -> None:
    lines = shown(
        snapshot,
        """select states.*, plan.value as planned, plan.item_name as called
        from ledger.order_states as states full join decisions.order_lines as plan
            on split_part(plan.order_line_id, '-', 2) = states.need_id""",
    )
    assert set(lines["status"]) == {"requisition"} and lines["requested_at"].null_count() == 0
    assert lines["called"].to_list() == lines["item_name"].to_list()
    assert set(lines["currency"]) == {"GBP"} and lines["from_name"].null_count() == 0
    bought = lines.filter(kind="purchase")
    assert (bought["value"] - bought["planned"]).abs().max() <= 0.005
    assert bought.filter(pl.col("from_name") != pl.col("from_id")).height > 10


def files(kind: str) -> list[dict[str, Any]]:
    found = sorted((BUNDLE / kind).rglob("*.yaml"))
    assert found, f"no {kind} in {BUNDLE}"
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in found]


def test_the_dashboard_as_code_reads_what_is_published_and_counts_as_the_metrics_do(
    semantics: Semantics, snapshot: published_snapshots.Snapshot
) -> None:
    datasets = {one["uuid"]: one for one in files("datasets")}
    (database,) = files("databases")
    for one in datasets.values():
        table = f"{one['schema']}.{one['table_name']}"
        assert one["database_uuid"] == database["uuid"]
        there = set(shown(snapshot, f"from {table} limit 0").columns)
        assert {column["column_name"] for column in one["columns"]} == there
        for metric in one["metrics"]:
            (value,) = shown(snapshot, f"select {metric['expression']} from {table}").row(0)
            if metric["metric_name"] in semantics.metrics and table == "metrics.kpi_weekly":
                asked = semantics.ask(snapshot, [metric["metric_name"]])
                assert value == pytest.approx(asked.item()), metric["metric_name"]
    charts = {one["uuid"]: one for one in files("charts")}
    for chart in charts.values():
        data, params = datasets[chart["dataset_uuid"]], chart["params"]
        measures = {one["metric_name"] for one in data["metrics"]}
        columns = {one["column_name"] for one in data["columns"]}
        asked = {params["metric"]} if "metric" in params else set(params["metrics"])
        grouped = {*params.get("groupby", []), *([params["x_axis"]] if "x_axis" in params else [])}
        assert asked <= measures and grouped <= columns, chart["slice_name"]
    (board,) = files("dashboards")
    placed = [
        part["meta"]["uuid"]
        for part in board["position"].values()
        if isinstance(part, dict) and part["type"] == "CHART"
    ]
    assert sorted(placed) == sorted(charts), "every chart stands on the dashboard, once"
