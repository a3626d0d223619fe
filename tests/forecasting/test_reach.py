"""How far a forecast looks ahead: as far as half of the orders to come are expected to take."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.facts.planning_inputs import expected_lead_times, read_lead_times
from orchestration.facts.timeline import Timeline
from orchestration.planning.demand import BORROWED_AT_MOST, longest_window

NOW = datetime(2026, 7, 1)
MARTS = """
create schema raw; create schema marts;
create table raw.world as select 'w' as world, 'day' as grain, 'UTC' as timezone,
    1 as week_starts_on, 7 as review_days, null::int as decide_on, true as is_whole_units,
    timestamp '2026-07-01' as newest_at, 'EUR' as currency, timestamp '2026-07-01' as now_at;
create table marts.dim_suppliers (supplier_id varchar, country varchar, region_id varchar,
    order_days varchar, working_days varchar, is_cut_off_missed boolean, is_current boolean);
create table marts.dim_locations (location_id varchar, country varchar, region_id varchar,
    receiving_days varchar, is_current boolean);
create table marts.dim_supplier_terms (item_id varchar);
create table marts.dim_holidays (day date, country varchar, region_id varchar,
    supplier_id varchar, location_id varchar);
"""


def company(
    con: duckdb.DuckDBPyConnection, promises: list[int], took: list[tuple[int, int]]
) -> Timeline:
    """One item a supplier with its promised days; orders as (supplier, days it took)."""
    con.execute(MARTS)
    ways = pl.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(len(promises))],
            "location_id": "S",
            "kind": "purchase",
            "from_id": [f"V{k}" for k in range(len(promises))],
            "lead_time_days": [float(days) for days in promises],
            "lead_time_periods": promises,
            "lead_time_working_days": pl.Series([None] * len(promises), dtype=pl.Float64),
            "departure_days": pl.Series([None] * len(promises), dtype=pl.String),
        }
    )
    starts = [NOW - timedelta(days=120 + k) for k in range(len(took))]
    ends = [start + timedelta(days=days) for start, (_, days) in zip(starts, took, strict=True)]
    orders = pl.DataFrame(
        {
            "kind": ["purchase"] * len(took),
            "from_id": [f"V{who}" for who, _ in took],
            "location_id": ["S"] * len(took),
            "promised_days": [float(promises[who]) for who, _ in took],
            "actual_days": [float(days) for _, days in took],
            "is_censored": [False] * len(took),
            "ordered_at": starts,
            "received_at": ends,
            "known_at": ends,
        },
        schema_overrides={
            "ordered_at": pl.Datetime,
            "received_at": pl.Datetime,
            "known_at": pl.Datetime,
        },
    ).with_columns(
        ordered_on=pl.col("ordered_at").cast(pl.Date),
        received_on=pl.col("received_at").cast(pl.Date),
    )
    for name, rows in (("dim_item_locations", ways), ("fct_lead_times", orders)):
        con.register("rows_of", rows.to_arrow())
        con.execute(f"create table marts.{name} as select * from rows_of")
    return Timeline.read(con)


def test_who_never_delivered_is_expected_as_late_as_the_others() -> None:
    with duckdb.connect() as con:
        timeline = company(con, [7, 30], [(0, 8)] * 10)
        # 30 days at eight days for seven
        assert longest_window(con, timeline) == 35


def test_an_order_of_one_day_that_took_ten_makes_no_promise_of_a_year_one_of_ten() -> None:
    with duckdb.connect() as con:
        timeline = company(con, [1, 360], [(0, 10)] * 10)
        assert longest_window(con, timeline) == BORROWED_AT_MOST * 360


def test_without_an_order_a_promise_is_believed() -> None:
    with duckdb.connect() as con:
        assert longest_window(con, company(con, [7, 30], [])) == 30


@settings(max_examples=40, deadline=None)
@given(
    promises=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    took=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 100)), max_size=20),
)
def test_half_of_all_orders_to_come_lie_within_the_forecast(
    promises: list[int], took: list[tuple[int, int]]
) -> None:
    with duckdb.connect() as con:
        timeline = company(con, promises, [(who % len(promises), days) for who, days in took])
        reach = longest_window(con, timeline)
        ways = con.execute("select * from marts.dim_item_locations order by all").pl()
        past = read_lead_times(con, timeline, timeline.origin)
        sampled = expected_lead_times(ways, past, timeline)
    assert reach >= max(promises)
    if sampled is not None:
        # what a supplier did himself counts in full, what others did up to twice his promise
        usual = np.median(sampled, axis=1)
        assert all(
            reach >= min(days, BORROWED_AT_MOST * said)
            for days, said in zip(usual, promises, strict=True)
        )
