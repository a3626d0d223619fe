"""Signals enter the model where they help, by a rule on periods held out, and cost nothing where
they do not."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from demand_features import label_frame, origin_frame

from models.forecasting.demand_model import DemandModel, fit
from models.forecasting.inputs import SIGNAL_FEATURES, Spec

FIRST = date(2025, 1, 6)
SPEC = Spec("day", 7, levels=(), rows=20_000, rounds=60, threads=1)
PERIODS, CUT = 266, 252  # origins begin weeks


@pytest.fixture(scope="module")
def told() -> tuple[pl.DataFrame, np.ndarray, dict[str, np.ndarray]]:
    """Forty series whose demand follows the search interest of the week before, and weather that it
    has nothing to do with."""
    random = np.random.default_rng(4)
    weeks = np.cumsum(random.normal(0, 1, PERIODS // 7 + 2)) * 0.2 + random.normal(
        0, 0.8, PERIODS // 7 + 2
    )
    search, weather = (
        np.repeat(values, 7)[:PERIODS] for values in (weeks, random.normal(10, 5, len(weeks)))
    )
    usual = np.exp(random.normal(1.5, 0.6, 40))[:, None]
    follows = np.concatenate([np.zeros(7), search[:-7]])
    keys = pl.DataFrame({"item_id": [f"i{k}" for k in range(40)], "location_id": ["x", "y"] * 20})
    demand = random.poisson(usual * np.exp(0.7 * follows[None, :])).astype(np.float32)
    return keys, demand, {"signal_search_interest": search, "signal_weather": weather}


def origins(
    keys: pl.DataFrame, demand: np.ndarray, signals: dict[str, np.ndarray], columns: list[int]
) -> pl.DataFrame:
    frame = origin_frame(keys, demand, FIRST, columns, SPEC)
    at = pl.DataFrame(
        {
            "origin": [FIRST + timedelta(days=t) for t in columns],
            **{n: v[[t - 1 for t in columns]] for n, v in signals.items()},
        }
    )
    return frame.join(at, on="origin", how="left", maintain_order="left")


def trained(keys: pl.DataFrame, demand: np.ndarray, signals: dict[str, np.ndarray]) -> DemandModel:
    past = demand[:, :CUT]
    return fit(
        origins(keys, past, signals, list(range(28, CUT, 7))),
        label_frame(keys, demand, FIRST, SPEC, CUT),
        None,
        SPEC,
    )


def test_a_signal_that_drives_demand_is_kept_and_moves_the_forecast(told) -> None:
    keys, demand, signals = told
    model = trained(keys, demand, signals)
    assert model.card["signals"]["search"] > 0.05
    assert "signal_search_interest" in model.card["features"]
    here = origins(keys, demand, signals, [CUT])
    high, low = (here.with_columns(signal_search_interest=pl.lit(value)) for value in (1.5, -1.5))
    assert model.expected(high).sum() > 1.3 * model.expected(low).sum()
    error = np.abs(model.expected(here) - demand[:, CUT : CUT + 7]).sum()
    assert error < np.abs(trained(keys, demand, {}).expected(here) - demand[:, CUT : CUT + 7]).sum()


def test_a_signal_that_explains_nothing_is_dropped_and_the_forecast_is_that_without_it(
    told,
) -> None:
    keys, demand, signals = told
    weather = {"signal_weather": signals["signal_weather"]}
    model = trained(keys, demand, weather)
    assert model.card["signals"] == {"weather": 0.0}
    assert not set(SIGNAL_FEATURES) & set(model.card["features"])
    here = origins(keys, demand, weather, [CUT])
    np.testing.assert_array_equal(model.expected(here), trained(keys, demand, {}).expected(here))


def test_a_signal_that_is_late_or_missing_costs_accuracy_and_never_a_crash(told) -> None:
    keys, demand, signals = told
    model = trained(keys, demand, signals)
    here = origins(keys, demand, signals, [CUT])
    for poorer in (
        here.with_columns(signal_search_interest=pl.lit(None, pl.Float64)),
        here.drop("signal_search_interest"),
    ):
        made = model.predict(poorer)
        assert np.isfinite(made.mean).all() and (made.mean > 0).all()
