"""How a forecast made at an origin is judged: what came after it, the baselines beside it on the
same labels, and every figure over the same cells."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from models.domain import QUANTILES, SERIES
from models.forecasting import baselines, metrics
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import LABEL, Floats, Spec, panels


def baseline(
    method: baselines.Method,
    labels: pl.DataFrame,
    rows: pl.DataFrame,
    spec: Spec,
    quantiles: tuple[float, ...] = QUANTILES,
) -> Forecast:
    """What a baseline forecasts for `rows` (item_id, location_id, one origin) from the labels
    before it."""
    keys, origin = rows.select(SERIES), rows["origin"][0]
    history = panels(labels, keys, [LABEL], spec)[LABEL]
    end = int(spec.index(rows["origin"])[0])
    return baselines.forecast(method, keys, history.until(end), origin, spec, quantiles)


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
