"""What dbt tells of each series: every feature, as it could be known at every time, equals a plain
reading of the past."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from feast import FeatureStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_marts import CORRECTED, CORRECTED_AT, at, compiled

from feature_repo.store import training_frame
from models.lead_time_survival import survival

FIRST = datetime(2026, 1, 1)


def frame(days: list[float], item: str = "a") -> pl.DataFrame:
    stamps = pl.Series([at(day) for day in days], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {"item_id": [item] * len(days), "location_id": ["x"] * len(days), "event_timestamp": stamps}
    )


def test_a_correction_inside_the_window_leaves_both_means_readable(store: FeatureStore) -> None:
    corrected_at = (CORRECTED_AT - FIRST) / timedelta(days=1)
    before, after = training_frame(store, frame([corrected_at - 0.01, corrected_at]), "demand_v1")[
        "demand_mean_28"
    ]
    first = CORRECTED % 5 + 1
    known = 28 - 3  # three of the last 28 days are stock-outs
    assert after - before == pytest.approx((50 - first) / known, rel=1e-5)


#: Periods of a year by grain; a year of days is not told period by period.
YEARS = {"day": None, "week": 52, "month": 12}


def expected(
    known: dict[int, float | None], index: int, grain: str = "day"
) -> dict[str, float | None]:
    """Every demand feature at the end of period `index`, from what is known by then ({period:
    quantity})."""
    past = [known.get(i) for i in range(index + 1)]
    values = np.array([math.nan if v is None else v for v in past])[::-1]  # values[0] is lag 1

    def clean(number: float) -> float | None:
        return None if number is None or math.isnan(number) else float(number)

    def of(numbers: np.ndarray, function: str, least: int = 1, **options: int) -> float | None:
        seen = numbers[~np.isnan(numbers)]
        return clean(getattr(np, function)(seen, **options)) if len(seen) >= least else None

    lags = (*range(1, 9), 14, 21, 28, 52, 364)
    out = {f"demand_lag_{k}": clean(values[k - 1]) if k <= len(values) else None for k in lags}
    out |= {f"demand_mean_{n}": of(values[:n], "mean") for n in (3, 7, 13, 28, 52, 91, 364)}
    out |= {f"demand_std_{n}": of(values[:n], "std", 2, ddof=1) for n in (13, 28, 91)}
    out |= {
        f"demand_zero_share_{n}": of(
            np.where(np.isnan(values[:n]), np.nan, values[:n] == 0), "mean"
        )
        for n in (28, 91)
    }
    out["demand_max_28"] = of(values[:28], "max")
    for k in range(7):
        wanted = [7 * j - k for j in range(1, 9)]
        out[f"demand_phase_mean_{k}"] = of(
            np.array([values[n - 1] for n in wanted if n <= len(values)]), "mean"
        )
    year = YEARS[grain]
    for k in range(13):
        is_past = year is not None and 0 <= year - 1 - k < len(values)
        out[f"demand_year_ago_{k}"] = clean(values[year - 1 - k]) if is_past else None
    before = values[year : year + 4] if year else values[:0]
    out["demand_year_ago_mean_4"] = of(before, "mean")
    out["known_share_28"] = float((~np.isnan(values[:28])).sum() / len(values[:28]))
    recent, longer = out["demand_mean_28"], out["demand_mean_91"]
    out["demand_trend"] = recent / longer - 1 if recent is not None and longer else None
    sold = np.flatnonzero(values > 0)
    out["periods_since_sale"] = float(sold[0] + 1) if len(sold) else None
    out["periods_since_first_sale"] = float(sold[-1] + 1) if len(sold) else None
    return out


QUANTITY = st.one_of(st.none(), st.integers(0, 9).map(float))
#: per period: the first reading and by how many days it is late, then a later version and its
#: further delay
PERIOD = st.tuples(
    QUANTITY, st.sampled_from([0, 0, 0, 1, 4]), st.none() | st.tuples(QUANTITY, st.integers(1, 9))
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(periods=st.lists(PERIOD, min_size=1, max_size=70), grain=st.sampled_from(sorted(YEARS)))
def test_every_version_of_every_feature_is_what_was_known_then(
    built: Path, periods: list[tuple], grain: str
) -> None:
    versions = []  # period, version, quantity, known (days after the first)
    for index, (quantity, late, correction) in enumerate(periods):
        versions.append((index, 1, quantity, index + 1 + late))
        if correction:
            versions.append((index, 2, correction[0], index + 1 + late + correction[1]))
    rows = [
        (
            "i",
            "l",
            date(2026, 1, 1) + timedelta(days=i),
            q,
            FIRST + timedelta(days=i + 1),
            FIRST + timedelta(days=k),
            v,
        )
        for i, v, q, k in versions
    ]
    sql = compiled(built, "feat_demand").replace('"warehouse"."marts"."fct_demand"', "fct_demand")
    sql = sql.replace('"warehouse"."staging"."stg_world"', "stg_world")
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE fct_demand (item_id VARCHAR, location_id VARCHAR, period_start DATE, "
            "quantity DOUBLE, event_at TIMESTAMP,"
            " known_at TIMESTAMP, version INT)"
        )
        con.execute("CREATE TABLE stg_world AS SELECT ? AS grain", [grain])
        con.executemany("INSERT INTO fct_demand VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        told = con.execute(f"SELECT * EXCLUDE (item_id, location_id) FROM ({sql})").pl()
    assert told.select(pl.struct("event_at", "known_at").is_unique().all()).item(), (
        "one row for each event and known time"
    )
    for day in range(1, len(periods) + 20):
        known = {i: q for i, v, q, k in sorted(versions, key=lambda row: row[3]) if k <= day}
        seen = told.filter(pl.col("known_at") <= FIRST + timedelta(days=day)).sort(
            "event_at", "known_at"
        )
        if not known:
            assert seen.is_empty()
            continue
        last = max(known)
        row = seen.row(-1, named=True)
        assert row["event_at"] == FIRST + timedelta(days=last + 1)
        for name, value in expected(known, last, grain).items():
            same = (
                row[name] is None
                if value is None
                else row[name] == pytest.approx(value, rel=1e-4, abs=1e-5)
            )
            assert same, (day, name, row[name], value)


def test_plans_tell_what_was_announced_and_forget_what_was_withdrawn(built: Path) -> None:
    with duckdb.connect(str(built), read_only=True) as con:
        plans = (
            "SELECT known_at, promotion_count, event_count, is_open, planned_price FROM "
            "features.feat_plans"
            " WHERE item_id = 'a' AND target_on = ? ORDER BY known_at"
        )

        def told(day: str) -> list[tuple]:
            return con.execute(plans, [day]).fetchall()

        march, february, tenth = datetime(2026, 3, 1), datetime(2026, 2, 1), datetime(2026, 3, 10)
        assert told("2026-03-30") == [(FIRST, 0, 1, None, None), (march, 0, 1, None, 3.0)]
        assert [row[:2] for row in told("2026-04-03")] == [(february, 1), (march, 1), (tenth, 0)], (
            "the shortened deal no longer counts"
        )
        assert told("2026-04-05")[0] == (FIRST, 0, 0, False, None)
        assert told("2026-03-14") == [], "no row where nothing is planned"


def test_an_open_order_counts_as_at_least_its_age(built: Path) -> None:
    with duckdb.connect(str(built), read_only=True) as con:
        rows = con.execute(
            "SELECT event_at, lead_time_mean_days, lead_time_p90_days, late_share, open_order_count"
            " FROM features.feat_supplier_lead_times ORDER BY event_at"
        ).fetchall()
    told = {row[0]: row[1:] for row in rows}
    assert told[datetime(2026, 1, 8)] == pytest.approx((6.0, 6.0, None, 0))
    assert told[datetime(2026, 1, 22)] == pytest.approx((8.0, 10.0, 0.5, 0)), (
        "6 and 10 days, the second of two was late"
    )
    # waiting 8 days after 6 and 10: survival 1 to day 6, 2/3 to day 10 (the open line leaves at 8),
    # then 0
    assert told[datetime(2026, 3, 9)] == pytest.approx((6 + 4 * 2 / 3, 10.0, 2 / 3, 1), rel=1e-5)
    planned = survival(np.array([6.0, 10.0, 8.0]), np.array([False, False, True]))
    assert told[datetime(2026, 3, 9)][:2] == pytest.approx(
        (planned.mean_days, planned.quantile(0.9))
    ), "what plans work with"


def test_signals_and_stock_change_when_the_news_arrives_not_before(store: FeatureStore) -> None:
    asked = frame([45.0, 52.0]).with_columns(
        pl.lit("north").alias("region_id"), pl.lit("s").alias("supplier_id")
    )
    early, late = training_frame(store, asked, "replenishment_v1").rows(named=True)
    assert (early["signal_fuel_price"], late["signal_fuel_price"]) == pytest.approx((1.4, 1.5)), (
        "the corrected price, once corrected"
    )
    assert (early["signal_weather"], late["signal_weather"]) == (44.0, 51.0), (
        "observed and published, never the forecast"
    )
    assert (early["competitor_distance_m"], late["competitor_distance_m"]) == (900.0, 300.0), (
        "once the competitor had opened"
    )
    assert (early["signal_unemployment"], late["signal_unemployment"]) == (None, None), (
        "not published yet"
    )
    assert early["on_hand"] == 8.0
    assert early["periods_since_stock_out"] == 20.0
    at_thirty = asked.with_columns(
        pl.lit(at(30)).cast(pl.Datetime("us", "UTC")).alias("event_timestamp")
    )
    before = training_frame(store, at_thirty, "replenishment_v1")
    assert before["on_hand"].to_list() == [9.0, 9.0], "the count as first known"


def test_the_position_and_its_cover_are_as_known_then(store: FeatureStore) -> None:
    asked = frame([45.0, 52.0]).with_columns(region_id=pl.lit("north"), supplier_id=pl.lit("s"))
    early, late = training_frame(store, asked, "replenishment_v1").rows(named=True)
    assert (early["on_order"], late["on_order"]) == (6.0, 4.0), "2 units came on day 50"
    assert (early["stock_position"], late["stock_position"]) == (14.0, 12.0), (
        "with the corrected count of 8"
    )
    means = training_frame(store, frame([45.0, 52.0]), "demand_v1")
    cover = (pl.Series([14.0, 12.0]) / means["demand_mean_28"]).to_list()
    assert [early["cover_periods"], late["cover_periods"]] == pytest.approx(cover)
    trend = (means["demand_mean_28"] / means["demand_mean_91"] - 1).to_list()
    assert [early["demand_trend"], late["demand_trend"]] == pytest.approx(trend, abs=1e-6)
    assert 0.0 not in trend


def test_a_lane_s_terms_are_as_known_then(store: FeatureStore) -> None:
    asked = frame([45.0, 60.0]).with_columns(lane_id=pl.lit("s>x"))
    early, late = training_frame(store, asked, "lanes_v1").rows(named=True)
    assert (early["transit_days"], early["freight_per_kg"], early["fuel_index"]) == (3.0, 0.5, 1.0)
    assert late["freight_per_kg"] == 0.75, "once the new tariff was known"
