"""Now may lie anywhere within a period: what is forecast then begins where reports end, so that no
weekday is taken for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecasting.forecast import Forecast, from_table, to_table
from models.forecasting.inputs import Grain
from orchestration.facts.planning_inputs import read_asked_before
from orchestration.facts.timeline import Timeline
from orchestration.planning.demand import Demand

WORLD = """
world: closed-on-sundays
currency: EUR
timezone: Europe/Berlin
plan: {grain: day, review: weekly, lead_time_days: 5, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till.csv
    format: csv
    key: [day, article]
    known_after: 1 day
    into: [sales: {item_id: article, location_id: "'main'", event_at: day, quantity: pieces}]
  counts:
    silo: erp
    path: counts.csv
    format: csv
    key: [day, article]
    known_after: 0 days
    into:
      - stock:
          item_id: article
          location_id: "'main'"
          event_at: "day::timestamp + interval 21 hour"
          on_hand: pieces
"""
FIRST, DAYS = date(2024, 1, 1), 120  # the last day is a Monday


@pytest.mark.long
@pytest.mark.line
def test_a_count_made_at_night_moves_no_weekday(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    random = np.random.default_rng(11)
    sales, counts = ["day,article,pieces"], ["day,article,pieces"]
    for k in range(DAYS):
        day = FIRST + timedelta(days=k)
        for article in ("mug", "cup", "tea"):
            if day.isoweekday() < 7:
                sales.append(f"{day},{article},{5 + random.poisson(5)}")
    counts += [f"{FIRST + timedelta(days=DAYS)},{article},60" for article in ("mug", "cup", "tea")]
    (tmp_path / "till.csv").write_text("\n".join(sales) + "\n", encoding="utf-8")
    (tmp_path / "counts.csv").write_text("\n".join(counts) + "\n", encoding="utf-8")
    (tmp_path / "world.yml").write_text(WORLD, encoding="utf-8")
    command("run", tmp_path, "--home", tmp_path / "home", "--until", "replenish")
    made = pl.read_parquet(tmp_path / "home/state/decisions/forecasts/*.parquet")
    mean = (
        made.filter(pl.col("quantile").is_null())
        .group_by(sunday=pl.col("period_start").dt.weekday() == 7)
        .agg(lowest=pl.col("value").min(), highest=pl.col("value").max())
    )
    assert made["period_start"].min() == FIRST + timedelta(days=DAYS + 1)
    open_, shut = (
        mean.row(by_predicate=pl.col("sunday") == one, named=True) for one in (False, True)
    )
    assert shut["highest"] < 1 and open_["lowest"] > 5
    # from nine in the evening to midnight an eighth of the Tuesday is still to come
    lines = pl.read_parquet(tmp_path / "home/state/decisions/order_lines/*.parquet")
    told = lines["reason"].str.extract(
        r"Of the stock, ([\d.]+) are expected to be asked for before 2024-05-01"
    )
    assert 0 < lines.height == len(told.drop_nulls())
    assert (told.cast(pl.Float64) - open_["lowest"] / 8).abs().max() < 0.5


@given(
    grain=st.sampled_from(["day", "week", "month"]),
    delay=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20)),
    after=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_models_look_ahead_from_the_first_period_that_is_not_reported(
    grain: Grain, delay: timedelta, after: timedelta, zone: str
) -> None:
    clock = Timeline("w", grain, zone, 1, 7, None, is_whole_units=True, now_at=datetime(2024, 1, 1))
    first = clock.first_period(date(2023, 1, 1))
    periods = tuple(clock.shift(first, k) for k in range(60))
    ends = [clock.instant(clock.shift(day, 1)).replace(tzinfo=None) for day in periods]
    clock = Timeline(
        "w", grain, zone, 1, 7, None, is_whole_units=True, now_at=ends[-1] + delay + after
    )
    empty = pl.DataFrame()
    reported = tuple(end + delay for end in ends)
    demand = Demand(None, clock, empty, empty, periods, reported, 10)  # type: ignore[arg-type]
    for origin in clock.origins(clock.origin, 8):
        known_by, edge = clock.cutoff(origin).replace(tzinfo=None), demand.edge(origin)
        told = [day for day, at in zip(periods, reported, strict=True) if at <= known_by]
        assert edge == clock.shift(told[-1], 1) <= origin
        assert clock.shift(edge, demand.unreported(origin)) == origin
        assert demand.unreported(origin) + demand.horizon <= demand.reach
        around = demand.around(origin, 12)
        assert around == [clock.shift(around[0], k) for k in range(len(around))]
        assert around[0] <= max(first, clock.shift(origin, -12))
        assert around[-1] >= clock.shift(origin, 9)


@given(
    grain=st.sampled_from(["day", "week", "month"]),
    counted=st.lists(
        st.one_of(st.none(), st.floats(min_value=-1.0, max_value=2.0)), min_size=3, max_size=3
    ),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
)
def test_what_is_asked_for_after_the_count_and_before_the_plan_is_the_share_of_that_time(
    grain: Grain, counted: list[float | None], zone: str
) -> None:
    """Two periods are not reported; units a period are constant, so time is what they are asked
    by: what is left from the later of the count and the first of the two."""
    plain = Timeline(
        "w", grain, zone, 1, 7, None, is_whole_units=True, now_at=datetime(2024, 5, 8, 12)
    )
    origin = plain.origin
    starts = [plain.shift(origin, k) for k in (-2, -1, 0)]
    begins = [plain.instant(day).replace(tzinfo=None) for day in starts]

    def moment(where: float | None) -> datetime | None:
        if where is None:
            return None
        inside = min(max(int(where), 0), 1)
        return begins[inside] + (where - inside) * (begins[inside + 1] - begins[inside])

    items = ["a", "b", "c"]
    told = [moment(where) for where in counted]
    nodes = pl.DataFrame({"item_id": items, "location_id": ["x"] * 3})
    forecast = Forecast(
        keys=nodes[::-1],
        period_starts=[origin],
        quantiles=(0.5,),
        values=np.zeros((3, 1, 1), np.float32),
        mean=np.zeros((3, 1), np.float32),
        before=np.array([[30.0, 30.0], [20.0, 20.0], [10.0, 10.0]], np.float32),
    )
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.fct_stock_positions "
        "(item_id varchar, location_id varchar, stock_as_of timestamp)"
    )
    con.executemany(
        "insert into marts.fct_stock_positions values (?, 'x', ?)",
        list(zip(items, told, strict=True)),
    )
    asked = read_asked_before(con, nodes, plain, forecast)
    left = [2.0 if where is None else min(max(2.0 - where, 0.0), 2.0) for where in counted]
    np.testing.assert_allclose(asked, np.multiply([10.0, 20.0, 30.0], left), atol=1e-3)
    assert (from_table(to_table(forecast)).before == forecast.before).all()  # type: ignore[union-attr]
    nobody = from_table(to_table(replace(forecast, before=None)))
    assert not read_asked_before(con, nodes, plain, nobody).any()
