"""One forecast: paths have the mean and the quantiles that are published, on tame and heavy tails
and on the public worlds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from demand_features import label_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from public_worlds import World, rossmann, uci, vn2

from models.domain import QUANTILES
from models.forecasting import metrics, spread_around_mean
from models.forecasting.backtest import observed
from models.forecasting.demand_model import fit
from models.forecasting.forecast import PATH_LEVELS, Forecast, from_table, to_table
from models.forecasting.inputs import Spec
from models.forecasting.sample_paths import Margins, agreeing

SAMPLES = 400
SMALL = {"rows": 20_000, "rounds": 30, "threads": 1}


def heavy() -> World:
    """Weekly demand with a tail as heavy as wholesale's: most weeks little, and now and then an
    order fifty times as large."""
    random = np.random.default_rng(0)
    usual = np.exp(random.normal(1.0, 1.2, 400))[:, None]
    demand = random.poisson(
        usual * np.exp(np.clip(random.standard_t(2.2, (400, 70)) * 0.7 - 0.5, None, 6.0))
    )
    keys = pl.DataFrame({"item_id": [f"item{k}" for k in range(400)], "location_id": ["x"] * 400})
    return World(keys, demand.astype(np.float32), date(2024, 1, 1), None)


#: name: world, spec, periods between training origins, the first of them.
WORLDS: dict[str, tuple[Callable[[], World], Spec, int, int]] = {
    "heavy": (heavy, Spec("week", 4, levels=(), **SMALL), 2, 13),
    "uci": (lambda: uci().sampled(700), Spec("week", 4, levels=(), **SMALL), 1, 6),
    "vn2": (vn2, Spec("week", 3, levels=(), **SMALL), 4, 13),
    "rossmann": (
        lambda: rossmann().sampled(60),
        Spec("day", 14, whole_units=False, levels=(), **SMALL),
        21,
        200,
    ),
}
PUBLIC = [
    pytest.param(name, marks=() if name == "heavy" else pytest.mark.shared) for name in WORLDS
]


@pytest.fixture(scope="module")
def made() -> Callable[[str], tuple[Forecast, np.ndarray]]:
    """The forecast of a world's last horizon, trained on what lies before it, and what came (N,
    H)."""
    known: dict[str, tuple[Forecast, np.ndarray]] = {}

    def forecast(name: str) -> tuple[Forecast, np.ndarray]:
        if name not in known:
            load, spec, apart, first = WORLDS[name]
            world = load()
            cut = world.demand.shape[1] - spec.horizon
            past = replace(world, demand=world.demand[:, :cut])
            origins = past.origins(list(range(first, cut, apart)), spec)
            model = fit(
                origins,
                label_frame(world.keys, world.demand, world.first, spec, cut),
                world.plans,
                spec,
            )
            # one more column that no feature reads: an origin wants its own column to exist
            here = replace(world, demand=world.demand[:, : cut + 1]).origins([cut], spec)
            labels = label_frame(world.keys, world.demand, world.first, spec)
            came = observed(labels, here.select("item_id", "location_id"), here["origin"][0], spec)
            known[name] = model.predict(here, world.plans, PATH_LEVELS), came
        return known[name]

    return forecast


@pytest.mark.parametrize("name", PUBLIC)
def test_the_mean_of_the_paths_is_the_mean_that_is_published(name: str, made):
    forecast, _ = made(name)
    paths = forecast.paths(SAMPLES, seed=1).astype(np.float64)
    assert paths.sum() / SAMPLES == pytest.approx(forecast.mean.sum(), rel=0.01)
    window = paths.sum(axis=2)
    error = window.std(axis=1) / np.sqrt(SAMPLES)
    off = np.abs(window.mean(axis=1) - forecast.mean.sum(axis=1)) / np.maximum(
        error, 1e-3 * forecast.mean.sum(axis=1) + 1e-6
    )
    # tails this heavy are seen by few of 400 paths: the most extreme series are left aside
    assert np.quantile(off, 0.9) < 2.5


@pytest.mark.parametrize("name", PUBLIC)
def test_the_quantiles_of_the_paths_are_the_published_ones(name: str, made):
    forecast, _ = made(name)
    paths = forecast.paths(SAMPLES, seed=2)
    for level in QUANTILES:
        quantile = forecast.at(level)[:, None, :]
        below, at_most = (
            (paths < quantile - 1e-3).mean(axis=(1, 2)),
            (paths <= quantile + 1e-3).mean(axis=(1, 2)),
        )
        assert below.mean() - 0.005 <= level <= at_most.mean() + 0.005
        error = np.sqrt(level * (1 - level) / SAMPLES)
        assert ((below - 4 * error <= level) & (level <= at_most + 4 * error)).mean() > 0.99


@pytest.mark.parametrize("name", PUBLIC)
def test_what_comes_is_covered_as_each_level_says(name: str, made):
    forecast, came = made(name)
    pit = metrics.pit_of_quantiles(came, forecast.values, forecast.quantiles)
    pit = pit[np.isfinite(pit)]
    for level, slack in ((0.5, 0.12), (0.75, 0.1), (0.975, 0.045)):
        assert (pit <= level).mean() == pytest.approx(level, abs=slack)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_kept_forecast_draws_the_same_paths_and_so_does_a_part_of_it(name: str, made):
    forecast, _ = made(name)
    again = from_table(to_table(forecast))
    paths = forecast.paths(20, seed=3)
    np.testing.assert_array_equal(again.paths(20, seed=3), paths)
    some = np.arange(0, len(forecast.keys), 7)
    part = replace(
        forecast, keys=forecast.keys[some], values=forecast.values[some], mean=forecast.mean[some]
    )
    np.testing.assert_array_equal(part.paths(20, seed=3), paths[some])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 500), min_size=9, max_size=9).map(sorted),
    st.floats(0.01, 400),
    st.booleans(),
)
def test_whatever_quantiles_are_handed_over_paths_keep_the_mean(
    values: list[float], mean: float, whole: bool
):
    given_values = np.rint(values) if whole else np.asarray(values)
    agreed = agreeing(given_values[None, None], np.full((1, 1), mean), QUANTILES, whole)
    keys = pl.DataFrame({"item_id": ["a"], "location_id": ["x"]})
    forecast = Forecast(
        keys, [date(2025, 1, 1)], QUANTILES, agreed, np.full((1, 1), mean, np.float32), None, whole
    )
    paths = forecast.paths(4000)[0, :, 0].astype(np.float64)
    assert (agreed <= given_values.astype(np.float32) + 1e-5).all() and (
        np.diff(agreed[0, 0]) >= 0
    ).all()
    assert abs(paths.mean() - mean) < 5 * paths.std() / np.sqrt(4000) + 0.02 * mean
    levels = np.asarray(QUANTILES)
    assert ((paths[:, None] < 0.98 * agreed[0, 0] - 1e-3).mean(axis=0) <= levels + 0.03).all()
    assert ((paths[:, None] <= 1.02 * agreed[0, 0] + 1e-3).mean(axis=0) >= levels - 0.03).all()


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 3000), st.floats(0.02, 8), st.booleans(), st.integers(0, 99))
def test_the_law_of_the_ratio_keeps_the_mean_though_the_level_was_missed(
    mean: float, unsteady: float, whole: bool, seed: int
):
    random = np.random.default_rng(seed)
    expected = np.full(1500, mean)
    # what came was 40 % above what was expected
    rate = expected * 1.4 * random.gamma(1 / unsteady, unsteady, 1500)
    units = random.poisson(rate).astype(float) if whole else rate
    dispersion = np.full(1500, 1 + unsteady * mean if whole else unsteady * mean)
    law = spread_around_mean.learn(expected, dispersion, units, whole, 0)
    levels = tuple(spread_around_mean.LEVELS.tolist())
    values = law.quantiles(expected[:1], dispersion[:1], levels)
    keys = pl.DataFrame({"item_id": ["a"], "location_id": ["x"]})
    drawn = Forecast(
        keys,
        [date(2025, 1, 1)],
        levels,
        values[None],
        np.full((1, 1), mean, np.float32),
        None,
        whole,
    )
    margins = Margins.of(drawn.values, drawn.mean, drawn.quantiles)
    assert margins.scale == pytest.approx(1.0, abs=1e-6)
    straight = (
        np.trapezoid(np.concatenate([[0.0], values[0]]), np.concatenate([[0.0], levels]))
        + 0.001 * values[0, -1]
    )
    assert straight == pytest.approx(mean, rel=0.08, abs=0.05)
