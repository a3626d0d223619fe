"""A small company's marts made by hand, and the feature models built on them by dbt as the line
builds them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from feast import FeatureStore

PROJECT = Path(__file__).parents[2] / "dbt_project"
START = datetime(2026, 1, 1)
DAYS = 80
NOW = START + timedelta(days=DAYS)
# the period, and when its second version became known
CORRECTED, CORRECTED_AT = 50, START + timedelta(days=60, hours=3)

MARTS = """
create schema staging; create schema intermediate; create schema marts; create schema raw;
create table raw.world as select timestamp '{now}' as now_at;
create table staging.stg_world as select timestamp '{now}' as now_at, 'UTC' as timezone,
    'day' as grain, 1 as week_starts_on;
create table marts.dim_calendar as
  select cast(day as date) as day, cast(day as date) as period_start
  from range(timestamp '{start}', timestamp '{now}' + interval 200 day,
      interval 1 day) as days (day);
create table intermediate.int_series_started as
  select item_id, 'x' as location_id, date '{start}' as first_day from (values ('a'),
      ('b')) as items (item_id);
create table marts.dim_items as
  select 'a' as item_id, 'tools' as category, 'saws' as subcategory, 1.5::double as unit_cost,
      null::double as weight_kg,
    timestamp '{start}' as known_at, timestamp '{start}' as valid_from,
        null::timestamp as valid_to, true as is_current;
create table marts.dim_locations as select 'x' as location_id, 'north' as region_id,
    true as is_current;
create table marts.fct_demand as
  select item_id, 'x' as location_id, cast(day as date) as period_start,
    case when item_id = 'a' and number % 10 = 7 then null when number % 7 = 3 then 0
        else number % 5 + 1 end::double as quantity,
    coalesce(item_id = 'a' and number % 10 = 7, false) as is_censored,
    day + interval 1 day as event_at, day + interval 1 day as known_at, 1 as version
  from (values ('a'), ('b')) as items (item_id),
    (select timestamp '{start}' + to_days(number::int) as day, number
        from range({days}) as numbers (number));
insert into marts.fct_demand values ('a', 'x', '{corrected}', 50, false,
    timestamp '{corrected}' + interval 1 day, '{corrected_at}', 2);
create table intermediate.int_periods_closed as
  select period_start, cast(dense_rank() over (order by period_start) as integer) as period_rank
  from (select distinct period_start from marts.fct_demand);
create table marts.fct_prices as from (values
  ('a', null, 2.0::double, timestamp '{start}', timestamp '{start}'),
  ('a', 'x', 3.0, timestamp '2026-03-15', timestamp '2026-03-01')) as prices (item_id, location_id,
      price, event_at, known_at);
create table marts.fct_promotions as from (values
  ('gala', 'holiday', null::varchar, null::varchar, 'north', date '2026-03-30', date '2026-03-31',
      timestamp '{start}', true),
  ('deal', null, 'a', 'x', null, date '2026-04-01', date '2026-04-03', timestamp '2026-02-01',
      false),
  ('deal', null, 'a', 'x', null, date '2026-04-01', date '2026-04-02', timestamp '2026-03-10',
      true))
  as promotions (name, kind, item_id, location_id, region_id, starts_on, ends_on, known_at,
      is_current);
create table marts.fct_openings as from (values
  ('x', date '2026-04-05', false, timestamp '{start}'), ('x', date '2026-04-06', true,
      timestamp '{start}'))
  as openings (location_id, target_on, is_open, known_at);
create table marts.fct_stock as from (values
  ('a', 'x', timestamp '2026-01-05', 4.0::double, true, timestamp '2026-01-05'),
  ('a', 'x', timestamp '2026-01-10', 0.0, false, timestamp '2026-01-10'),
  ('a', 'x', timestamp '2026-01-30', 9.0, true, timestamp '2026-01-30'),
  ('a', 'x', timestamp '2026-01-30', 8.0, true, timestamp '2026-02-05'))
  as stock (item_id, location_id, event_at, on_hand, is_in_stock, known_at);
create table marts.fct_signals as
  select 'weather_temperature_c' as name, 'north' as region_id, null::varchar as location_id,
      null::varchar as item_id,
    timestamp '{start}' + to_days(n::int) as event_at, (date '{start}' + n::int) as target_on,
        n::double as value,
    timestamp '{start}' + to_days(n::int + 1) as known_at
  from range(75) as days (n)
  union all
  select 'weather_forecast_temperature_c', 'north', null, null, timestamp '2026-03-01',
      date '2026-03-05', 99, timestamp '2026-03-01'
  union all select 'fuel_price', 'north', null, null, timestamp '2026-02-01', date '2026-02-01',
      1.4, timestamp '2026-02-03'
  union all select 'fuel_price', 'north', null, null, timestamp '2026-02-01', date '2026-02-01',
      1.5, timestamp '2026-02-20'
  union all select 'unemployment', null, 'x', null, timestamp '2026-02-01', date '2026-02-01', 5.5,
      timestamp '2026-03-05'
  union all select 'competitor_distance_m', null, 'x', null, timestamp '2025-06-01',
      date '2025-06-01', 900, timestamp '2025-06-01'
  union all select 'competitor_distance_m', null, 'x', null, timestamp '2026-02-18',
      date '2026-02-18', 300, timestamp '2026-02-18';
create table marts.fct_lead_times as from (values
  ('purchase', 's', timestamp '2026-01-01', timestamp '2026-01-08', timestamp '2026-01-07',
      timestamp '2026-01-07'),
  ('purchase', 's', timestamp '2026-01-11', timestamp '2026-01-18', timestamp '2026-01-21',
      timestamp '2026-01-21'),
  ('purchase', 's', timestamp '2026-03-01', timestamp '2026-03-08', null, timestamp '2026-03-01'))
  as lines (kind, from_id, ordered_at, promised_at, received_at, known_at);
alter table marts.fct_lead_times add column ordered_on date;
alter table marts.fct_lead_times add column promised_on date;
alter table marts.fct_lead_times add column received_on date;
alter table marts.fct_lead_times add column location_id varchar default 'x';
alter table marts.fct_lead_times add column is_censored boolean;
alter table marts.fct_lead_times add column actual_days double;
alter table marts.fct_lead_times add column promised_days double;
update marts.fct_lead_times
  set is_censored = received_at is null, actual_days = date_diff('day', ordered_at, received_at),
  promised_days = date_diff('day', ordered_at, promised_at),
  ordered_on = cast(ordered_at as date), promised_on = cast(promised_at as date),
      received_on = cast(received_at as date);
create table intermediate.int_orders_changed as from (values
  ('a', 'x', 6.0::double, timestamp '2026-01-20'), ('a', 'x', -2.0, timestamp '2026-02-20'))
  as changes (item_id, location_id, on_order_change, known_at);
create table marts.dim_lanes as from (values
  ('s', 'x', null::varchar, 'road', 3.0::double, 0.5::double, timestamp '2026-02-10',
      timestamp '2026-03-01'),
  ('s', 'x', null, 'road', 4.0, 0.75, timestamp '2026-03-01', null))
  as lanes (from_id, to_id, item_id, mode, transit_days, freight_per_kg, valid_from, valid_to);
"""


def write_marts(warehouse: Path) -> None:
    corrected = (START + timedelta(days=CORRECTED)).date()
    times = {
        "start": START,
        "days": DAYS,
        "now": NOW,
        "corrected": corrected,
        "corrected_at": CORRECTED_AT,
    }
    with duckdb.connect(str(warehouse)) as con:
        con.execute(MARTS.format(**times))


#: The features, and a supplier's record, which a feature and a metric tell.
FEATURES = ("--select", "features", "int_suppliers_timed")


def dbt(
    warehouse: Path, *arguments: str, select: Sequence[str] = FEATURES, target: str = "target"
) -> str:
    """Run dbt on the features alone, and return its words; the marts they read are already there.
    Targets and logs stay beside the warehouse."""
    scratch = warehouse.parent
    result = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "--no-use-colors",
            "--log-level-file=info",
            *arguments,
            *select,
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
            "--target-path",
            str(scratch / target),
            "--log-path",
            str(scratch / "logs"),
        ],
        env=os.environ | {"STOCKHOUSE_WAREHOUSE": str(warehouse), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def compiled(warehouse: Path, model: str, target: str = "target") -> str:
    """The SQL dbt made of a feature model."""
    return next((warehouse.parent / target / "compiled").rglob(f"{model}.sql")).read_text()


def at(day: float) -> datetime:
    """A number of days after the company's first midnight, with its zone."""
    return (START + timedelta(days=day)).replace(tzinfo=UTC)


def registered(store: FeatureStore) -> Any:
    """Everything that Feast knows of the project, but when it was told."""
    return without_times(store.registry.to_dict(store.project))


def without_times(known: Any) -> Any:
    if isinstance(known, dict):
        return {
            name: without_times(value)
            for name, value in known.items()
            if not name.endswith("Timestamp")
        }
    return [without_times(one) for one in known] if isinstance(known, list) else known
