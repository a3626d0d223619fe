"""A forecast that is kept and read again draws the same futures, bit by bit."""

from __future__ import annotations

import io
from datetime import date, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecasting.forecast import PATH_LEVELS, Forecast, from_table, to_table


def made(seed: int, count: int, horizon: int, *, correlated: bool, whole: bool) -> Forecast:
    random = np.random.default_rng(seed)
    values = np.sort(random.gamma(0.7, 9.0, (count, horizon, len(PATH_LEVELS))), axis=2)
    errors = random.normal(size=(horizon, horizon * 3))
    return Forecast(
        keys=pl.DataFrame(
            {"item_id": [f"item {i} ß" for i in range(count)], "location_id": ["a"] * count}
        ),
        period_starts=[date(2024, 1, 1) + timedelta(weeks=k) for k in range(horizon)],
        quantiles=PATH_LEVELS,
        values=values.astype(np.float32),
        mean=random.gamma(1.0, 3.0, (count, horizon)).astype(np.float32),
        correlation=np.corrcoef(errors) if correlated and horizon > 1 else None,
        whole_units=whole,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 5), st.integers(1, 6), st.booleans(), st.booleans())
def test_what_is_read_again_draws_the_same_paths(
    seed: int, count: int, horizon: int, correlated: bool, whole: bool
) -> None:
    forecast = made(seed, count, horizon, correlated=correlated, whole=whole)
    file = io.BytesIO()
    pq.write_table(to_table(forecast), file)
    again = from_table(pq.read_table(file))
    assert again.keys.equals(forecast.keys)
    assert again.period_starts == forecast.period_starts
    assert (again.quantiles, again.whole_units) == (forecast.quantiles, forecast.whole_units)
    assert (again.values == forecast.values).all() and (again.mean == forecast.mean).all()
    assert (again.paths(20, seed=3) == forecast.paths(20, seed=3)).all()


def test_another_table_is_refused() -> None:
    with pytest.raises(ValueError, match="was not kept as one"):
        from_table(pa.table({"item_id": ["a"]}))
