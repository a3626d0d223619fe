"""What the world outside says reaches the product's own model, by the product's own door."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.forecasting.demand_model import fit
from models.forecasting.inputs import SIGNAL_FEATURES
from orchestration.home import Home
from orchestration.planning.demand import Demand, open_demand

pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]
#: What the sample company feeds; it has no unemployment rate and no competitors' shops.
FED = set(SIGNAL_FEATURES) - {"signal_unemployment", "competitor_distance_m"}


@pytest.fixture(scope="module")
def demand(sample_run: tuple[Path, dict[str, Any]]) -> Demand:
    return open_demand(Home(sample_run[0]))


@pytest.fixture(scope="module")
def past(demand: Demand) -> pl.DataFrame:
    return demand.features_at(demand.timeline.origins(demand.timeline.origin, 45))


def test_every_signal_the_sample_feeds_is_known_at_its_origins(past: pl.DataFrame) -> None:
    known = {name for name in SIGNAL_FEATURES if past[name].null_count() < 0.5 * len(past)}
    assert known == FED
    assert all(past[name].n_unique() > 10 for name in FED)


def test_planting_a_signal_moves_the_forecast_of_the_sample(
    demand: Demand, past: pl.DataFrame
) -> None:
    origins = sorted(past["origin"].unique())
    random = np.random.default_rng(5)
    told = pl.DataFrame({"origin": origins, "planted": random.choice([-1.0, 1.0], len(origins))})
    here = (
        past.join(told, on="origin")
        .with_columns(signal_weather=pl.col("planted").cast(pl.Float32))
        .drop("planted")
    )
    labels = demand.labels(demand.timeline.origin).sort("target_on")
    planted = labels.join_asof(told, left_on="target_on", right_on="origin", strategy="backward")
    planted = planted.with_columns(
        demand=pl.col("demand") * (2.0 * pl.col("planted").fill_null(0.0)).exp()
    )
    spec = replace(demand.timeline.spec(7), rows=20_000, rounds=60, levels=())
    before = pl.col("origin") < origins[-1]
    model = fit(here.filter(before), planted.select(labels.columns), None, spec)
    assert model.card["signals"]["weather"] > 0
    now = here.filter(~before)
    high, low = (
        model.expected(now.with_columns(signal_weather=pl.lit(value, pl.Float32))).sum()
        for value in (1.0, -1.0)
    )
    assert high > 2 * low
