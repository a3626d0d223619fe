"""Rolling-origin backtest: at each origin train on what was known before it, forecast, score
against what came.

Nothing at or after an origin reaches the forecast made there: labels and origins are cut here, not
trusted to be cut.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl

from models.domain import QUANTILES, SERIES
from models.forecasting import baselines, metrics
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import LABEL, Floats, Spec, panels
from models.forecasting.quantile import DemandModel, fit

#: A forecaster: (past origins, past labels, plans, origins to forecast) -> Forecast.
Forecaster = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame | None, pl.DataFrame], Forecast]


def boosted(spec: Spec, quantiles: tuple[float, ...] = QUANTILES) -> Forecaster:
    """XGBoost, trained anew at each origin."""

    def forecaster(
        origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, now: pl.DataFrame
    ) -> Forecast:
        return fit(origins, labels, plans, spec).predict(now, plans, quantiles)

    return forecaster


def retrained_every(
    spec: Spec, origins_between: int, quantiles: tuple[float, ...] = QUANTILES
) -> Forecaster:
    """XGBoost, trained at every n-th origin only and used until the next: as production does."""
    held: list[DemandModel] = []
    calls = [0]

    def forecaster(
        origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, now: pl.DataFrame
    ) -> Forecast:
        if calls[0] % origins_between == 0:
            held[:] = [fit(origins, labels, plans, spec)]
        calls[0] += 1
        return held[0].predict(now, plans, quantiles)

    return forecaster


def baseline(
    method: baselines.Method, spec: Spec, quantiles: tuple[float, ...] = QUANTILES
) -> Forecaster:
    """A baseline, reading the labels before each origin."""

    def forecaster(
        origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, now: pl.DataFrame
    ) -> Forecast:
        keys = now.select(SERIES)
        history = panels(labels, keys, [LABEL], spec)[LABEL]
        end = int(spec.index(now["origin"])[0])
        return baselines.forecast(
            method, keys, history.until(end), now["origin"][0], spec, quantiles
        )

    return forecaster


def backtest(
    forecasters: dict[str, Forecaster],
    origins: pl.DataFrame,
    labels: pl.DataFrame,
    plans: pl.DataFrame | None,
    at: list[date],
    spec: Spec,
) -> pl.DataFrame:
    """Score each forecaster at each origin date of `at`; one row per method, origin and periods
    ahead (null = all together).

    Columns: method, origin, ahead, wape, bias, crps, pinball, below_x, at_most_x and pit_x
    (share of the randomised PIT at most x, x when honest) at 0.5, 0.75, 0.975, cells.
    """
    rows = []
    for origin in sorted(at):
        now = origins.filter(pl.col("origin") == origin)
        if now.is_empty():
            raise ValueError(
                f"no origins on {origin}; the frame has "
                f"{sorted(origins['origin'].unique().to_list())}"
            )
        past = origins.filter(pl.col("origin") < origin)
        known = labels.filter(pl.col("target_on") < origin)
        actual = observed(labels, now.select(SERIES), origin, spec)
        for name, forecaster in forecasters.items():
            made = forecaster(past, known, plans, now)
            if not made.keys.equals(now.select(SERIES)):
                raise ValueError(
                    f"{name} did not forecast every series it was asked for at {origin}"
                )
            rows.append({"method": name, "origin": origin, "ahead": None, **score(made, actual)})
            for h in range(spec.horizon if spec.horizon <= 12 else 0):
                rows.append(
                    {
                        "method": name,
                        "origin": origin,
                        "ahead": h + 1,
                        **score(_period(made, h), actual[:, h : h + 1]),
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


def observed(labels: pl.DataFrame, keys: pl.DataFrame, origin: date, spec: Spec) -> Floats:
    """What came in the horizon after an origin, (N, H), NaN where unknown."""
    demand = panels(labels, keys, [LABEL], spec)[LABEL]
    pair = np.arange(len(keys) * spec.horizon)
    start = int(spec.index(pl.Series([origin], dtype=pl.Date))[0])
    return demand.at(pair // spec.horizon, start + pair % spec.horizon).reshape(-1, spec.horizon)


def score(made: Forecast, actual: Floats) -> dict[str, float]:
    """The figures of one forecast against what came, over all known cells."""
    if not np.isfinite(actual).any():
        return {"cells": 0.0}
    out = {
        "wape": metrics.wape(actual, made.mean),
        "bias": metrics.bias(actual, made.mean),
        "crps": metrics.crps(actual, made.values, made.quantiles),
        "pinball": float(
            np.mean([np.nanmean(metrics.pinball(actual, made.at(q), q)) for q in made.quantiles])
        ),
    }
    pit = metrics.pit_of_quantiles(actual, made.values, made.quantiles)
    for level in (0.5, 0.75, 0.975):
        if level in made.quantiles:
            found = metrics.coverage(actual, made.at(level), level)
            out |= {f"below_{level}": found.below, f"at_most_{level}": found.at_most}
            out[f"pit_{level}"] = float(np.nanmean(np.where(np.isnan(pit), np.nan, pit <= level)))
    return {**out, "cells": float(np.isfinite(actual).sum())}


def _period(made: Forecast, h: int) -> Forecast:
    part = slice(h, h + 1)
    return Forecast(
        made.keys,
        made.period_starts[part],
        made.quantiles,
        made.values[:, part],
        made.mean[:, part],
        None,
        made.whole_units,
    )
