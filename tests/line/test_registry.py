"""The model registry: a model is held against what came since, and trained anew for a reason that
is on record."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecasting.demand_model import FORM
from models.forecasting.drift import LEAST_SERVED, Drift
from orchestration.facts.timeline import Timeline
from orchestration.planning.model_registry import served, why_anew, why_unusable
from orchestration.planning.replay import RETRAIN

NOW = datetime(2024, 2, 1)
PROMISE = {"wape": 0.5, "bias": 0.02, "at_most_0.975": 0.97}
FIRST = date(2024, 1, 1)


def warehouse(demand: dict[int, float | None]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.fct_demand "
        "(item_id varchar, location_id varchar, period_start date, quantity double, "
        "recorded_quantity double, is_current boolean)"
    )
    for day, quantity in demand.items():
        row = ["tea", "A", FIRST + timedelta(days=day), quantity, quantity or 0.0, True]
        con.execute("insert into marts.fct_demand values (?, ?, ?, ?, ?, ?)", row)
    return con


def promised(
    folder: Path,
    run: str,
    as_of: datetime,
    days: list[int],
    mean: float,
    high: float,
    model: str = "m",
) -> str:
    said = [
        {
            "run_id": run,
            "as_of": as_of,
            "model": model,
            "item_id": "tea",
            "location_id": "A",
            "period_start": FIRST + timedelta(days=day),
            "quantile": level,
            "value": value,
        }
        for day in days
        for level, value in ((None, mean), (0.5, mean), (0.975, high))
    ]
    path = folder / f"{run}.parquet"
    pl.DataFrame(said, infer_schema_length=None).write_parquet(path)
    return str(path)


def test_what_a_model_served_is_its_newest_word_on_each_period_that_has_closed_with_known_demand(
    tmp_path: Path,
) -> None:
    files = [
        promised(tmp_path, "one", datetime(2024, 1, 1), [0, 1, 2, 3], mean=10.0, high=14.0),
        promised(tmp_path, "two", datetime(2024, 1, 3), [2, 3, 40], mean=20.0, high=24.0),
        promised(
            tmp_path, "other", datetime(2024, 1, 4), [3], mean=99.0, high=99.0, model="another"
        ),
        promised(tmp_path, "now", NOW, [3], mean=99.0, high=99.0),
    ]
    with warehouse({0: 10.0, 1: None, 2: 25.0, 3: 15.0}) as con:
        found = served(con, files, "m", NOW)
        assert served(con, files, "nobody", NOW) is None
    assert found is not None and found.served_periods == 3
    assert found.wape == pytest.approx((0 + 5 + 5) / 50)
    assert found.bias == pytest.approx((50 - 50) / 50)
    assert found.under_tail == pytest.approx(2 / 3)


def test_a_model_that_serves_as_promised_stays_and_each_way_to_drift_is_named() -> None:
    assert Drift(1000, 0.5, 0.02, 0.97).reason(PROMISE) is None
    assert "WAPE 0.70" in (Drift(1000, 0.70, 0.02, 0.97).reason(PROMISE) or "")
    assert "bias -0.30" in (Drift(1000, 0.5, -0.30, 0.97).reason(PROMISE) or "")
    assert "under the 97.5% quantile" in (Drift(1000, 0.5, 0.02, 0.90).reason(PROMISE) or "")


@given(st.floats(0, 10), st.floats(-2, 2), st.floats(0, 1))
def test_too_little_has_closed_or_nothing_was_promised_and_nobody_speaks_of_drift(
    wape: float, bias: float, tail: float
) -> None:
    assert Drift(LEAST_SERVED - 1, wape, bias, tail).reason(PROMISE) is None
    assert Drift(10_000, wape, bias, tail).reason({}) is None


@pytest.mark.parametrize(
    ("change", "now", "drift", "why"),
    [
        ({}, NOW, None, None),
        ({}, NOW + timedelta(days=7 * RETRAIN - 1), Drift(1000, 0.5, 0.0, 0.98), None),
        ({}, NOW + timedelta(days=7 * RETRAIN), None, "reviews old"),
        ({}, NOW - timedelta(days=1), None, "knows a later time"),
        ({"horizon": 9}, NOW, None, "horizon is 7"),
        ({"form": FORM - 1}, NOW, None, "another version"),
        ({"reading": "of yesterday"}, NOW, None, "reads sales another way"),
        ({}, NOW + timedelta(days=7), Drift(1000, 0.9, 0.0, 0.98), "drift: WAPE"),
    ],
)
def test_a_kept_model_serves_until_it_is_old_drifts_or_no_longer_fits(
    change: dict[str, Any], now: datetime, drift: Drift | None, why: str | None
) -> None:
    facts: dict[str, Any] = {
        "as_of": NOW.isoformat(),
        "horizon": 7,
        "form": FORM,
        "unseen": PROMISE,
    }
    facts |= {"reading": "of today"} | change
    timeline = Timeline("tea", "day", "UTC", 1, 7, None, True, now)
    found = why_unusable(facts, 7, timeline) or why_anew(facts, timeline, "of today", drift)
    assert found is None if why is None else why in (found or "")
