"""Baselines are what the field calls them; the backtest scores every method on the same cells."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from demand_features import label_frame, origin_frame

from models.forecasting import backtest, baselines
from models.forecasting.demand_model import fit
from models.forecasting.inputs import Spec
from models.forecasting.statistical import METHODS, statistical

DAY = Spec("day", 9, rows=5_000, rounds=10, threads=1)
WEEK = Spec("week", 3)
FIRST = date(2025, 1, 6)


def test_naive_repeats_the_last_known_and_seasonal_naive_the_last_week():
    history = np.array([[1, 2, 3, 4, 5, 6, 7, 8, np.nan], [np.nan] * 9], float)
    assert baselines.naive(history, DAY)[0].tolist() == [8.0] * 9
    assert baselines.naive(history, DAY)[1].tolist() == [0.0] * 9
    # the ninth day is unknown, and so is the same weekday a week later: the last known stands in
    assert baselines.seasonal_naive(history, DAY)[0].tolist() == [3, 4, 5, 6, 7, 8, 8, 3, 4]


def test_moving_average_leaves_out_stock_outs():
    history = np.array([[100.0] * 5 + [2.0, np.nan, 4.0] * 4 + [2.0]])
    assert baselines.moving_average(history, WEEK, 13) == pytest.approx(
        np.full((1, 3), np.nanmean(history[:, -13:]))
    )


def test_seasonal_moving_average_is_exact_where_all_series_share_the_year():
    weeks = np.arange(157 + 3)
    season = 1 + 0.5 * np.sin(2 * np.pi * (weeks % 52) / 52)
    demand = np.array([[3.0], [10.0]]) * season
    made = baselines.seasonal_moving_average(demand[:, :156], WEEK)
    np.testing.assert_allclose(made, demand[:, 156:159], rtol=1e-9)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_statistical_methods_find_a_level_and_are_silent_about_nothing(name: str):
    random = np.random.default_rng(0)
    history = np.vstack([random.poisson(6.0, 60), np.zeros(60)]).astype(float)
    history[0, 10] = np.nan
    made = statistical(name)(history, WEEK)
    assert (
        made.shape == (2, 3)
        and made[0] == pytest.approx(np.full(3, 6.0), abs=1.5)
        and (made[1] == 0).all()
    )
    with pytest.raises(ValueError, match="no method"):
        statistical("magic")


@pytest.mark.parametrize("name", METHODS)
def test_statistical_methods_take_net_returns_for_no_demand(name: str):
    history = np.tile([-2.0, 0.0, -1.0, np.nan], (2, 16))
    history[1, 40] = 3.0
    made = statistical(name)(history, WEEK)
    assert (made[0] == 0).all() and np.isfinite(made).all() and (made >= 0).all()


def test_every_baseline_is_a_distribution():
    random = np.random.default_rng(1)
    keys = pl.DataFrame({"item_id": ["a", "b"], "location_id": ["x", "x"]})
    made = baselines.forecast(
        baselines.moving_average, keys, random.poisson(5.0, (2, 80)).astype(float), FIRST, WEEK
    )
    assert (np.diff(made.values, axis=2) >= 0).all() and (made.at(0.975) > made.at(0.5)).all()
    short = baselines.forecast(baselines.naive, keys, np.array([[3.0], [np.nan]]), FIRST, WEEK)
    assert (short.mean[0] == 3).all() and (short.mean[1] == 0).all()


def test_a_trained_model_beats_the_naive_one_on_the_same_cells():
    random = np.random.default_rng(2)
    keys = pl.DataFrame({"item_id": [f"i{k}" for k in range(20)], "location_id": ["x"] * 20})
    demand = random.poisson(4.0, (20, 120)).astype(np.float32)
    demand[3, 92] = np.nan
    origins = origin_frame(keys, demand, FIRST, list(range(20, 91)), DAY)
    labels = label_frame(keys, demand, FIRST, DAY)
    start = FIRST + timedelta(days=90)
    known = labels.filter(pl.col("target_on") < start)
    now = origins.filter(pl.col("origin") == start)
    actual = backtest.observed(labels, now.select("item_id", "location_id"), start, DAY)
    plain = backtest.baseline(baselines.naive, labels, now, DAY)
    ours = fit(origins.filter(pl.col("origin") < start), known, None, DAY).predict(now)
    scores = [backtest.score(made, actual) for made in (plain, ours)]
    assert scores[0]["cells"] == scores[1]["cells"] == actual.size - 1
    assert scores[1]["wape"] < 0.8 * scores[0]["wape"]
