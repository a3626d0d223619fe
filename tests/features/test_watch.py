"""A feature that moved, went missing or fell silent is found; one that did not is left in peace."""

from __future__ import annotations

import math
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import polars as pl
import pytest

from feature_repo.watch import drift, freshness, stability_index
from orchestration.defs import feature_checks
from orchestration.defs.resources import Lakehouse
from orchestration.home import Home
from orchestration.landing import World

CLOCK = """
create or replace table raw.world as select 'small' as world, now_at, 'day' as grain,
    'UTC' as timezone, 1 as week_starts_on,
  7 as review_days, null::int as decide_on, true as is_whole_units, now_at as newest_at,
  'EUR' as currency
      from raw.world;
insert into features.feat_demand
  select * exclude (k) replace (item_id || k as item_id) from features.feat_demand cross
      join range(60) as copies (k) where item_id = 'b';
create table marts.dim_item_locations as
  select distinct item_id, location_id, 'store' as role, true as is_forecast, 'purchase' as kind, 's' as from_id,
      3 as lead_time_periods, 3.0::double as lead_time_days
  from features.feat_demand;
alter table marts.dim_item_locations add column lead_time_working_days double;
alter table marts.dim_item_locations add column departure_days varchar;
alter table marts.dim_locations add column receiving_days varchar;
alter table marts.dim_locations add column country varchar;
create table marts.dim_suppliers as select 's' as supplier_id, null::varchar as region_id, null::varchar as country,
    null::varchar as order_days, null::varchar as working_days, false as is_cut_off_missed,
    true as is_current;
create table marts.dim_supplier_terms as select null::varchar as item_id limit 0;
create table marts.dim_holidays as select null::date as day, null::varchar as country, null::varchar as region_id,
    null::varchar as supplier_id, null::varchar as location_id limit 0;
update features.feat_signals set known_at = known_at + interval 4 day;  -- its weather ends five days before Now, which is stale indeed
"""


def test_the_index_is_the_sum_over_bins_of_share_difference_times_log_ratio() -> None:
    expected = (0.5 - 0.25) * math.log(2) + (0.5 - 0.75) * math.log(0.5 / 0.75)
    assert stability_index([25, 75], [50, 50]) == pytest.approx(expected)
    assert stability_index([3, 5, 9], [30, 50, 90]) == pytest.approx(0.0)
    assert math.isfinite(stability_index([10, 0], [0, 10]))
    assert stability_index([0, 0], [4, 4]) == 0.0


def frame(draw: np.random.Generator, rows: int, days: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sales": draw.poisson(0.7, rows).astype(np.float32),
            "price": draw.lognormal(0, 1, rows),
            "kind": draw.choice(["a", "b"], rows),
            "day": np.arange(rows) % days,
            "flag": draw.random(rows) < 0.3,
            "empty": pl.Series([None] * rows, dtype=pl.Float32),
        }
    )


def test_chance_alone_is_no_drift_however_few_rows_are_served() -> None:
    draw = np.random.default_rng(7)
    learnt = frame(draw, 4000, 10)
    for rows in (5, 40, 300):
        for _ in range(20):
            moves = drift(learnt, frame(draw, rows), "day")
            assert not moves["has_moved"].any(), moves
            assert not moves["is_lost"].any(), moves


def test_what_moved_or_went_missing_is_found_and_nothing_else() -> None:
    draw = np.random.default_rng(8)
    learnt, served = frame(draw, 4000, 10), frame(draw, 300)
    changed = served.with_columns(
        pl.col("price") * 2.5,
        kind=pl.lit("c"),
        flag=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("flag")),
    )
    moves = drift(learnt, changed, "day")
    assert set(moves.filter("has_moved")["feature"]) == {"price", "kind"}
    assert moves.filter("is_lost").select("feature", "missing_then", "missing_now").rows() == [
        ("flag", 0.0, 0.5)
    ]
    assert moves["psi"].is_sorted(descending=True)


def test_a_season_that_the_training_set_has_seen_is_no_drift() -> None:
    draw = np.random.default_rng(9)
    learnt, served = frame(draw, 4000, 10), frame(draw, 400)
    peaks = (
        pl.when(pl.col("day").is_in([1, 3, 5, 7]))
        .then(pl.col("price") * 4)
        .otherwise(pl.col("price"))
        .alias("price")
    )
    peak = served.with_columns(pl.col("price") * 4)
    assert drift(learnt, peak, "day").filter("has_moved")["feature"].to_list() == ["price"]
    assert drift(learnt.with_columns(peaks), peak, "day").filter("has_moved").is_empty()


def test_a_view_is_stale_when_it_is_silent_for_more_than_twice_its_longest_usual_silence() -> None:
    weekly = [date(2026, 1, 1) + timedelta(days=7 * k) for k in range(10)]
    news = pl.DataFrame(
        {"view": ["weekly"] * 10 + ["once"], "known_on": [*weekly, date(2026, 1, 1)]}
    )
    last = datetime(2026, 3, 5)
    for days, is_stale in ((0, False), (15, False), (16, True)):
        told = freshness(news, last + timedelta(days=days)).rows_by_key(
            "view", named=True, unique=True
        )
        assert (
            told["weekly"]["age_days"],
            told["weekly"]["usual_days"],
            told["weekly"]["is_stale"],
        ) == (days, 7.0, is_stale)
        assert told["once"]["usual_days"] is None, (
            "a view with hardly any news has no rhythm to fall out of"
        )
        assert not told["once"]["is_stale"]


@pytest.fixture
def lakehouse(own: Path, tmp_path: Path) -> Lakehouse:
    with duckdb.connect(str(own)) as con:
        con.execute(CLOCK)
    # whose name the home carries; the rows are the small company's
    world = Path(__file__).parents[2] / "sample_data"
    home = Home.found(tmp_path / "home", World.load(world).world)
    shutil.copy(own, home.warehouse)
    return Lakehouse(world=str(world), home=str(home.root))


def checked(lakehouse: Lakehouse) -> dict[str, dg.AssetCheckResult]:
    return {result.check_name: result for result in feature_checks.watched(lakehouse.open_home())}


def test_the_graphs_checks_warn_of_what_moved_and_what_fell_silent(lakehouse: Lakehouse) -> None:
    before = checked(lakehouse)
    assert before["features_stay_present"].passed
    assert before["features_stay_fresh"].passed
    assert "known_share_28" not in before["features_stay_like_the_training_set"].description
    assert all(
        result.metadata["plot"].value.startswith("![plot](data:image/png;base64,")
        for result in before.values()
    )
    with lakehouse.open_home().connect() as con:
        con.execute(
            "update features.feat_demand set known_share_28 = 0.2, demand_max_28 = null where "
            "event_at > timestamp '2026-03-20'"
        )
        con.execute("delete from features.feat_signals where known_at > timestamp '2026-03-01'")
    after = checked(lakehouse)
    assert not any(result.passed for result in after.values()), after
    told = {name: result.description for name, result in after.items()}
    assert "known_share_28" in told["features_stay_like_the_training_set"]
    assert told["features_stay_present"].startswith("demand_max_28 of")
    assert told["features_stay_fresh"].startswith("region_signals of")
    assert all(result.severity == dg.AssetCheckSeverity.WARN for result in after.values())


def test_what_has_nothing_to_compare_did_not_run_and_has_not_passed(lakehouse: Lakehouse) -> None:
    with lakehouse.open_home().connect() as con:
        con.execute("delete from marts.fct_demand")
    assert set(checked(lakehouse)) == {"features_stay_fresh"}
