"""Counts have the quantiles they should; totals of series that err together are as uncertain as
they are."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, norm

from models.forecasting import count_distributions
from models.forecasting.calibration import calibrate
from models.forecasting.design_matrix import COLUMNS
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.inputs import Spec
from models.forecasting.spread_of_totals import TotalSpread, grouping, learn_spread, totals_frame


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 50), st.floats(1.05, 20))
def test_counts_are_distributed_as_the_negative_binomial(mean: float, dispersion: float):
    units = np.arange(60.0)
    exact = nbinom.cdf(units, mean / (dispersion - 1), 1 / dispersion)
    np.testing.assert_allclose(
        count_distributions.cdf(units, np.full(60, mean), np.full(60, dispersion)), exact, atol=1e-9
    )


def totals_world(seed: int):
    """Fifty series whose days rise and fall together by a fifth."""
    random = np.random.default_rng(seed)
    mean = [np.full((50, 28), 10.0) for _ in range(8)]
    actual = [
        random.poisson(m * random.gamma(25, 1 / 25, (1, 28))).astype(np.float32) for m in mean
    ]
    return mean, actual


def whole(spread: TotalSpread, made: Forecast, frame: pl.DataFrame) -> Forecast:
    return replace(spread, columns=()).forecast(made, frame)


def test_totals_that_move_together_are_covered_and_parts_added_up_would_not_be():
    frame = pl.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(50)],
            "location_id": ["x"] * 50,
            "category": ["a", "b"] * 25,
        }
    )
    mean, actual = totals_world(0)
    names, group = grouping(frame, ("category",))
    spread = learn_spread(("category",), mean, actual, [group] * 8, True, 0)
    assert spread.far == pytest.approx(0.04, abs=0.02)
    came = totals_world(1)[1]
    made = Forecast(
        frame.select("item_id", "location_id"),
        Spec("day", 28).starts(date(2025, 1, 1)),
        PATH_LEVELS,
        np.repeat(mean[0][:, :, None], len(PATH_LEVELS), axis=2).astype(np.float32),
        mean[0].astype(np.float32),
    )
    totals = spread.forecast(made, frame)
    assert totals.keys["item_id"].to_list() == names == ["a", "b"]
    assert totals.mean == pytest.approx(np.full((2, 28), 250.0))
    table = totals_frame({("category",): totals, (): whole(spread, made, frame)})
    means = table.filter(pl.col("quantile").is_null()).group_by("total_of").agg(pl.sum("value"))
    assert dict(means.iter_rows()) == pytest.approx({"category": 14000.0, "everything": 14000.0})
    assert set(table["name"]) == {"a", "b", ""}
    observed = np.stack([np.stack([c[group == g].sum(axis=0) for g in (0, 1)]) for c in came])
    for level in (0.5, 0.75, 0.975):
        assert (observed <= totals.at(level)[None]).mean() == pytest.approx(level, abs=0.08)
    assert (observed <= 250 + 1.96 * np.sqrt(250)).mean() < 0.85
    assert TotalSpread.from_dict(spread.to_dict()).forecast(made, frame).values == pytest.approx(
        totals.values
    )


def test_unknown_periods_are_left_out_of_both_sides_of_a_total():
    mean, actual = totals_world(2)
    for a in actual:
        a[:25, ::2] = np.nan
    spread = learn_spread((), mean, actual, [np.zeros(50, np.int64)] * 8, True, 0)
    assert spread.near + 500 * spread.far < 60


@pytest.mark.parametrize("rate", [0.4, 3.0])
def test_paths_of_correlated_counts_have_the_spread_of_their_window(rate: float):
    random = np.random.default_rng(3)
    correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    normal = random.multivariate_normal(np.zeros(4), correlation, 6000)
    units = nbinom.ppf(norm.cdf(normal), 2, 2 / (2 + rate))
    mean = np.full(units.size, rate, np.float32)
    path, offset = np.repeat(np.arange(6000), 4), np.tile(np.arange(4), 6000)
    found = calibrate(
        np.zeros((units.size, len(COLUMNS)), np.float32),
        mean,
        units.reshape(-1),
        path,
        offset,
        4,
        True,
        0,
        1,
    )
    values = found.quantiles(mean[:4], np.full(4, units.var() / rate), PATH_LEVELS)[None]
    keys = pl.DataFrame({"item_id": ["a"], "location_id": ["x"]})
    made = Forecast(
        keys,
        Spec("day", 4).starts(date(2025, 1, 1)),
        PATH_LEVELS,
        values,
        mean[None, :4],
        found.correlation,
    )
    window = made.paths(20_000)[0].sum(axis=1)
    assert window.std() == pytest.approx(units.sum(axis=1).std(), rel=0.08)
    assert (units.sum(axis=1) <= np.quantile(window, 0.95)).mean() == pytest.approx(0.95, abs=0.02)
