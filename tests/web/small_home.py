"""A published home in a second: two items, a centre and a shop, one plan, one supplier; made of SQL
and the product's own publishing, so that the desk has something to show without a run."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl

from models.domain import OrderLine, need_id
from models.safe_names import name_of
from models.twin.trust import TRUSTED
from orchestration.app import publishing
from orchestration.app.studies import ABOUT
from orchestration.facts import decisions
from orchestration.home import Home, files
from orchestration.ledger import Ledger
from orchestration.reports.study_report import write_study
from tests.twin.one_study import study

NOW = datetime(2026, 1, 5)
RUN = "11111111-2222-3333-4444-555555555555"
MARTS = """
create schema raw; create schema marts; create schema metrics;
create table raw.world as select 'shop' as world, 'EUR' as currency, 'UTC' as timezone,
    'day' as grain, timestamp '2026-01-05' as now_at, timestamp '2026-01-05' as newest_at;
create table marts.dim_items as select item_id, name, 'Kitchen' as category, true as is_current
    from (values ('mug', 'Blue mug'), ('cup', '=cmd()')) as t(item_id, name);
create table marts.dim_item_locations as select item_id, location_id, role, kind, from_id,
    10.0 as lead_time_days, 10 as lead_time_periods, 0.0 as moq, 1.0 as order_multiple,
    2.5 as unit_cost, 5.0 as price, 0.01 as holding_cost, 2.0 as shortage_cost,
    'Kitchen' as category, role = 'store' as is_forecast
    from (values ('mug', 'DC', 'centre', 'purchase', 'S1'), ('cup', 'DC', 'centre', 'purchase', 'S1'),
        ('mug', 'SHOP', 'store', 'transfer', 'DC')) as t(item_id, location_id, role, kind, from_id);
create table marts.dim_suppliers as
    select supplier_id, name, payment_days, true as is_current
    from (values ('S1', 'Potter', 30.0), ('implicit supplier', null, null))
        as t(supplier_id, name, payment_days);
create table marts.dim_supplier_terms as select 'mug' as item_id, 'S1' as supplier_id,
    10.0 as lead_time_days, 0.0 as moq, 1.0 as order_multiple, 1.0 as from_quantity,
    2.5 as unit_cost, true as is_current;
create table marts.fct_demand as select 'mug' as item_id, 'SHOP' as location_id,
    date '2025-12-01' + cast(n as integer) as period_start, (n % 5)::double as quantity,
    n = 7 as is_censored, true as is_current from range(35) as t(n);
create table marts.fct_stock_positions as select item_id, location_id, 20.0 as on_hand,
    5.0 as on_order, 25.0 as position, timestamp '2026-01-05' as stock_known_at
    from marts.dim_item_locations;
create table marts.fct_open_orders as select 'PO1' as order_id, '1' as line_id, 'purchase' as kind,
    'mug' as item_id, 'DC' as location_id, 'S1' as from_id, 5.0 as quantity,
    timestamp '2026-01-10' as due_at, date '2026-01-10' as due_on, 2.5 as unit_cost,
    'erp' as origin, timestamp '2026-01-01' as ordered_at;
create table marts.fct_promotions as select 'Sale' as name, 'sale' as kind, null::varchar as item_id,
    null::varchar as location_id, date '2025-12-20' as starts_on, date '2025-12-24' as ends_on,
    true as is_current;
create table marts.dim_holidays as select date '2026-01-06' as day, 'Epiphany' as name,
    null::varchar as country, 'R1' as region_id, null::varchar as supplier_id,
    null::varchar as location_id, timestamp '2025-12-01' as known_at;
create table marts.fct_constraints as select 'budget' as name, 'all' as scope,
    100.0::decimal(38, 12) as value, timestamp '2025-12-01' as known_at, true as is_current;
create table marts.dim_calendar as select date '2025-12-01' + cast(n as integer) as period_start,
    n as period_index from range(60) as t(n);
create table marts.dim_locations as select 'SHOP' as location_id, 'R1' as region_id, true as is_current;
create table marts.fct_signals as select 'weather_rain_mm' as name, 'R1' as region_id,
    null::varchar as location_id, null::varchar as item_id,
    date '2025-12-01' + cast(n as integer) as target_on, if(n = 20, 30.0, n % 3) as value,
    true as is_current from range(35) as t(n);
create table marts.fct_receipts as select 'PO0' as order_id, '1' as line_id, item_id, location_id,
    'S1' as supplier_id, 4.0 as quantity, timestamp '2026-01-01' as event_at, true as is_current
    from marts.dim_item_locations;
create table marts.fct_lead_times as select ''::varchar as order_id, ''::varchar as kind,
    timestamp '2026-01-01' as received_at, false as is_censored limit 0;
create table metrics.kpi_cover_days as select item_id, location_id, 20.0 as on_hand,
    2.0 as daily_issues, 10.0 as cover_days from marts.dim_item_locations;
create table metrics.kpi_working_capital as select item_id, location_id, 50.0 as stock_value,
    12.5 as on_order_value, 10.0 as payable_value, 40.0 as working_capital
    from marts.dim_item_locations;
create table metrics.kpi_straight_through as
    select timestamp '2026-01-05' as as_of, 0.5 as straight_through_share;
create table metrics.kpi_gmroi as select 'mug' as item_id, 2.0 as gmroi, 100.0 as gross_margin,
    50.0 * 365.25 as stock_value_days;
create table metrics.kpi_turns as select item_id, location_id, 10.0 as issued_quantity,
    300.0 as stock_days, 12.0 as turns from marts.dim_item_locations;
create table metrics.kpi_lost_sales as
    select 'mug' as item_id, 1.0 as lost_quantity, 5.0 as lost_revenue;
create table metrics.kpi_weekly as select date '2025-12-01' + 7 * cast(n as integer) as week_start,
    'mug' as item_id, 'SHOP' as location_id, 70.0 as sold_quantity, 1.0 as lost_quantity,
    350.0 as revenue, 5.0 as lost_revenue, 175.0 as cost_of_sales, 50.0 as stock_value,
    n % 2 as due_lines, n % 2 as otif_lines from range(5) as t(n);
create table metrics.kpi_company_weekly as select week_start, sold_quantity,
    70 / 71.0 as fill_rate, otif_lines / nullif(due_lines, 0) as otif_share, revenue,
    cost_of_sales, stock_value, 180.0 as turns from metrics.kpi_weekly;
create table metrics.kpi_yearly as select scope, category, date '2025-12-01' as starts_on,
    date '2026-01-04' as ends_on, 70 / 71.0 as fill_rate, 1.0 as otif_share, 1750.0 as revenue,
    25.0 as lost_revenue, 182.6 as turns, 182.6 as gmroi
    from (values ('company', null), ('category', 'Kitchen')) as t(scope, category);
create table metrics.kpi_holding_cost as
    select date '2025-12-01' as month_start, 3.0 as holding_cost;
create table metrics.kpi_stock_outs as select date '2025-12-01' as month_start,
    35 as periods, 1 as stock_out_periods;
create table metrics.kpi_supplier_performance as select 'S1' as supplier_id, 9 as order_lines,
    1 as open_lines, 8 as due_lines, 1.0 as in_full_share, 0.75 as otif_share,
    10.0 as lead_time_mean_days, 12.0 as lead_time_p90_days;
create table metrics.kpi_forecast_accuracy as select 'm' as model, 'SHOP' as location_id,
    1 as periods_ahead, 10 as forecasts, 20.0 as demand, 0.7 as accuracy, 0.3 as wape, 0.1 as bias;
"""


WORLD = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 10, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""


def order_line(item: str, quantity: float, place: str = "DC", source: str = "S1") -> OrderLine:
    kind = "purchase" if source == "S1" else "transfer"
    parts = {"expected_demand": quantity + 20.0, "stock_position": -20.0}
    due, period = date(2026, 1, 15), date(2026, 1, 5)
    return OrderLine(
        "shop", kind, item, place, source, quantity, period, due, 2.5, parts, f"why {quantity:g}"
    )


LINES = (order_line("mug", 40), order_line("cup", 30), order_line("mug", 8, "SHOP", "DC"))


def _frame(table: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    stamped = [{"run_id": RUN, "as_of": NOW} | row for row in rows]
    schema = decisions.DECISIONS[table]
    return pl.DataFrame(stamped, schema=schema) if stamped else pl.DataFrame(schema=schema)


def decided() -> dict[str, pl.DataFrame]:
    """The decisions of the one plan."""
    pairs = [(line, f"{RUN[:8]}-{need_id(line.intent_key)}") for line in LINES]
    names = ("kind", "item_id", "location_id", "from_id", "quantity", "review_period", "due_on")
    lines = [
        {name: getattr(line, name) for name in (*names, "unit_cost", "value", "reason")}
        | {"order_line_id": name, "intent_key": line.intent_key, "policy": "quantile"}
        | {"eoq_quantity": 10.0, "min_max_quantity": 12.0, "system_quantity": line.quantity}
        for line, name in pairs
    ]
    parts = [
        {"order_line_id": name, "part": part, "quantity": quantity}
        for line, name in pairs
        for part, quantity in line.parts.items()
    ]
    risk = {"stock_out_risk_before": 0.3, "stock_out_risk_without": 0.6, "stock_out_risk_with": 0.2}
    targets = [
        {"item_id": line.item_id, "location_id": line.location_id, "expected_demand": 60.0 - 10 * k}
        | risk
        | {"item_class": ("AX", "BY", "CZ")[k]}
        for k, line in enumerate(LINES)
    ]
    held = [
        {"item_id": item, "location_id": "DC", "kind": "cut_by_limits", "severity": "warning"}
        | {"reason": f"nothing of {item} <b>wanted</b> is ordered"}
        for item in ("mug", "cup")
    ]
    ahead = [
        {"model": "m", "item_id": "mug", "location_id": "SHOP", "quantile": level, "value": 2.0}
        | {"period_start": date(2026, 1, 5 + day)}
        for level in (0.025, 0.25, 0.5, 0.75, 0.975, None)
        for day in range(20)
    ]
    policy = {"holding_cost": 10.0, "shortage_cost": 5.0, "total_cost": 15.0, "scale": 0.7}
    champions = [
        policy | {"policy": "quantile", "is_champion": True, "mean_difference": 0.0},
        policy | {"policy": "min_max", "is_champion": False, "mean_difference": 3.0, "lower": 1.0},
    ]
    limits = [
        {"name": "budget", "resource": "value", "at_most": 100.0, "wanted": 200.0, "used": 99.0}
        | {"shadow_price": 0.01}
    ]
    said = {"order_lines": lines, "explanations": parts, "targets": targets, "exceptions": held}
    said |= {"forecasts": ahead, "champions": champions, "limits": limits, "models": []}
    said |= {"alternatives": [], "overrides": []}
    said["calibration"] = [
        {"item_class": name, "location_id": "SHOP", "counts": 9, "counted": 20.0, "bias": -0.1}
        | {"error": error, "is_trusted": error <= TRUSTED}
        for name, error in (("AX", 0.1), ("CZ", 0.3))
    ]
    stairs = (("seasonal_naive", 0.9, None), ("moving_average", 0.7, 0.2), ("xgboost", 0.6, 0.1))
    said["forecast_scores"] = [
        {
            "stair": k,
            "method": name,
            "wape": wape,
            "bias": 0.01,
            "crps": 1.0,
            "wape_reduction": less,
        }
        for k, (name, wape, less) in enumerate(stairs, 1)
    ]
    return {table: _frame(table, rows) for table, rows in said.items()}


def make_home(root: Path, *, is_published: bool = True) -> Home:
    """A home with the plan above in its ledger, published unless said otherwise."""
    home, world = Home.found(root, "shop"), root.parent / "world"
    world.mkdir()
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    home.remember(world, None)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute(re.sub(r"(\d+\.\d+)", r"\1::double", MARTS))
        for table, frame in decided().items():
            decisions.record(home.decisions, RUN, table, frame, as_of=NOW)
        decisions.load(con, home.decisions)
    if is_published:
        publishing.write_snapshot(home.warehouse, home.published, RUN, NOW)
    ledger = Ledger.open(home.ledger_url)
    ledger.propose(LINES, RUN, NOW)
    ledger.close()
    kept, tables = study()
    shelf = home.derived / "studies" / name_of(kept["study_id"])
    write_study(kept, tables, shelf)
    about = {"by": "paul", "made_at": NOW.isoformat()}
    files.write(shelf / ABOUT, json.dumps(about))
    return home


#: A large company: items and places, and lines in the ledger.
PLACES, LARGE_LINES = 30_490, 6_000
GROW = f"""
insert into marts.dim_item_locations select 'item' || n, 'SHOP', 'store', 'transfer', 'DC', 10.0,
    10, 0.0, 1.0, 2.5, 5.0, 0.01, 2.0, 'Kitchen', true from range({PLACES - 3}) as t(n);
insert into marts.fct_stock_positions select item_id, location_id, 1.0, 0.0, 1.0,
    timestamp '2026-01-05' from marts.dim_item_locations where item_id like 'item%';
"""


def make_large(home: Home) -> None:
    """Let a home grow to 30,490 items and places with 6,000 more lines in its ledger."""
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute(GROW)
    publishing.write_snapshot(home.warehouse, home.published, RUN, NOW)
    ledger = Ledger.of(home)
    lines = [order_line(f"item{n}", 5.0 + n % 40, "SHOP", "DC") for n in range(LARGE_LINES)]
    ledger.propose(lines, "large", NOW)
    ledger.close()
