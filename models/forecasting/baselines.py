"""The forecasts to beat: naive, seasonal naive and moving averages (ETS, Croston and TSB: see
statistical).

history: (N, T) demand up to the cutoff, NaN where unknown. Errors are those the method itself would
have made on the last periods of history, per series, so every baseline is a distribution too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain import QUANTILES, recent_mean
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import Spec

Floats = NDArray[np.floating]
Method = Callable[[Floats, Spec], Floats]

#: Past origins whose errors a baseline learns its spread from.
ORIGINS = 12


def naive(history: Floats, spec: Spec) -> Floats:
    """The last known demand goes on, (N, H)."""
    return np.repeat(_last_known(history)[:, None], spec.horizon, axis=1)


def seasonal_naive(history: Floats, spec: Spec) -> Floats:
    """What was sold a season ago (a week of days, a year of weeks or months); where that is
    unknown, the last known, (N, H)."""
    last = _last_known(history)
    out = np.empty((len(history), spec.horizon))
    for h in range(spec.horizon):
        back = spec.season * (h // spec.season + 1) - h
        out[:, h] = history[:, -back] if back <= history.shape[1] else np.nan
    return np.where(np.isnan(out), last[:, None], out)


def moving_average(history: Floats, spec: Spec, window: int = 13) -> Floats:
    """The mean of the known among the last `window` periods, (N, H); zero where none is known."""
    return np.repeat(recent_mean(history, window)[:, None], spec.horizon, axis=1)


def seasonal_moving_average(history: Floats, spec: Spec, window: int = 13) -> Floats:
    """A moving average of what is left when the year's pattern is divided out, put back on the
    periods ahead, (N, H).

    One pattern for all series: the mean over series of each period of the year, scaled to mean one.
    This is the benchmark of the VN2 competition (13 weeks, in-stock weeks only).
    """
    usual = recent_mean(history.T)  # over series: of each period
    periods = history.shape[1]
    phase = np.arange(periods + spec.horizon) % spec.year
    if periods < spec.year:
        return moving_average(history, spec, window)
    by_phase = np.array([usual[phase[:periods] == k].mean() for k in range(spec.year)])
    factor = by_phase / max(by_phase.mean(), 1e-9)
    factor = np.where(factor > 0, factor, 1.0)
    level = recent_mean(history / factor[phase[:periods]], window)
    return level[:, None] * factor[phase[periods:]][None, :]


def forecast(
    method: Method,
    keys: pl.DataFrame,
    history: Floats,
    origin: date,
    spec: Spec,
    quantiles: tuple[float, ...] = QUANTILES,
    origins: int = ORIGINS,
) -> Forecast:
    """Any method as a Forecast: its mean, and quantiles from its own errors at past origins, scaled
    by the mean it gave."""
    mean = np.maximum(method(history, spec), 0.0)
    errors = []
    for back in range(spec.horizon, spec.horizon + origins):
        if history.shape[1] - back < 2:
            break
        past = history[:, : history.shape[1] - back]
        ahead = history[:, history.shape[1] - back :][:, : spec.horizon]
        errors.append(ahead - np.maximum(method(past, spec), 0.0))
    if errors:
        with warnings.catch_warnings():
            # a series without one known error has no spread of its own
            warnings.simplefilter("ignore", RuntimeWarning)
            spread = np.nanquantile(np.concatenate(errors, axis=1), quantiles, axis=1).T
        values = mean[:, :, None] + np.nan_to_num(spread)[:, None, :]
    else:
        values = np.repeat(mean[:, :, None], len(quantiles), axis=2)
    values = np.maximum(values, 0.0)
    if spec.whole_units:
        values = np.rint(values)
    return Forecast(
        keys,
        spec.starts(origin),
        quantiles,
        values.astype(np.float32),
        mean.astype(np.float32),
        whole_units=spec.whole_units,
    )


def _last_known(history: Floats) -> Floats:
    known = ~np.isnan(history)
    last = history.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.where(known.any(axis=1), history[np.arange(len(history)), last], 0.0)
