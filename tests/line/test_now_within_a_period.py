"""Now may lie anywhere within a period: what is forecast then begins where reports end, so that no
weekday is taken for another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecasting.inputs import Grain
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
    command("run", tmp_path, "--home", tmp_path / "home", "--until", "forecast")
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
