"""The network learns from the past alone, draws whole paths, and gives the same numbers for the
same seed."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from demand_features import label_frame

from models.forecasting import baselines
from models.forecasting.inputs import Spec
from models.forecasting.lstm import SensingModel, fit_sensing

FIRST = date(2025, 1, 6)
SPEC = Spec("day", 7)
CUT = 150
SAMPLES = 200  # one number for all: the network is compiled once for each
ORIGIN = FIRST + timedelta(days=CUT)


@pytest.fixture(scope="module")
def taught():
    random = np.random.default_rng(0)
    series, periods = 40, CUT + 7
    week = np.array([0.3, 0.3, 1, 1, 1, 3, 3])[np.arange(periods) % 7]
    rate = np.exp(random.normal(1.0, 0.8, series))[:, None] * week
    demand = random.poisson(rate).astype(np.float32)
    demand[random.random(demand.shape) < 0.05] = np.nan
    keys = pl.DataFrame(
        {"item_id": [f"i{k:02}" for k in range(series)], "location_id": ["x"] * series}
    )
    labels = label_frame(keys, demand, FIRST, SPEC)
    return (
        keys,
        demand,
        labels,
        fit_sensing(labels.filter(pl.col("target_on") < ORIGIN), None, SPEC, steps=150, width=24),
    )


def test_the_network_learns_the_week_and_beats_the_moving_average(taught):
    keys, demand, labels, model = taught
    made = model.predict(labels, keys, ORIGIN, samples=SAMPLES)
    actual, flat = demand[:, CUT:], baselines.moving_average(demand[:, :CUT], SPEC)
    assert np.nansum(np.abs(made.mean - actual)) < 0.85 * np.nansum(np.abs(flat - actual))
    assert model.card["loss_first_to_last"][1] < model.card["loss_first_to_last"][0]


def test_paths_are_whole_units_seeded_and_blind_to_the_future(taught):
    keys, _demand, labels, model = taught
    paths = model.paths(labels, keys, ORIGIN, samples=SAMPLES)
    assert (
        paths.shape == (40, SAMPLES, 7) and (paths == np.rint(paths)).all() and (paths >= 0).all()
    )
    spoiled = labels.with_columns(
        pl.when(pl.col("target_on") >= ORIGIN)
        .then(999.0)
        .otherwise(pl.col("demand"))
        .alias("demand")
    )
    np.testing.assert_array_equal(model.paths(spoiled, keys, ORIGIN, samples=SAMPLES), paths)


def test_saved_and_loaded_network_draws_the_same(taught):
    keys, _demand, labels, model = taught
    again = SensingModel.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(
        again.paths(labels, keys, ORIGIN, samples=SAMPLES),
        model.paths(labels, keys, ORIGIN, samples=SAMPLES),
    )


def test_quantiles_rise_and_hold_about_what_they_say(taught):
    keys, demand, labels, model = taught
    made = model.predict(labels, keys, ORIGIN, samples=SAMPLES)
    assert (np.diff(made.values, axis=2) >= 0).all()
    known = ~np.isnan(demand[:, CUT:])
    actual = demand[:, CUT:][known]
    for level in (0.5, 0.75, 0.975):
        assert (
            (actual < made.at(level)[known]).mean() - 0.08
            <= level
            <= (actual <= made.at(level)[known]).mean() + 0.08
        )
