"""The feature contract in plain numpy: what the warehouse's feature models must give, for tests and
benchmarks without one."""

from __future__ import annotations

import warnings
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.inputs import AHEAD_A_YEAR_AGO, LAGS, MEANS, PHASES, STDS, Spec

Floats = NDArray[np.float32]


def features_at(values: Floats, t: int, year: int) -> dict[str, Floats]:
    """Every demand feature of every series with column t as the first unknown period; values (N,
    T), NaN = unknown; year: periods of one."""
    empty = np.full(len(values), np.nan, np.float32)

    def lag(k: int) -> Floats:
        return values[:, t - k] if t >= k else empty

    def window(k: int) -> Floats:
        return values[:, max(0, t - k) : t]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        out = {f"demand_lag_{k}": lag(k) for k in LAGS}
        out |= {f"demand_mean_{k}": np.nanmean(window(k), axis=1) for k in MEANS}
        for k in range(PHASES):
            out[f"demand_phase_mean_{k}"] = np.nanmean(
                np.stack([lag(7 * j - k) for j in range(1, 9)]), axis=0
            )
        for k in range(AHEAD_A_YEAR_AGO):
            at = t - year + k
            is_told = year != 364 and 0 <= at < t
            out[f"demand_year_ago_{k}"] = values[:, at] if is_told else empty
        before = values[:, max(0, t - year - 4) : max(0, t - year)]
        is_told = year != 364 and before.size > 0
        out["demand_year_ago_mean_4"] = np.nanmean(before, axis=1) if is_told else empty
        out |= {f"demand_std_{k}": np.nanstd(window(k), axis=1, ddof=1) for k in STDS}
        for k in (28, 91):
            part = window(k)
            out[f"demand_zero_share_{k}"] = (part == 0).sum(axis=1) / np.maximum(
                np.isfinite(part).sum(axis=1), 1
            )
        out["demand_max_28"] = np.nanmax(window(28), axis=1)
        past = values[:, :t]
        sold = past > 0
        ever = sold.any(axis=1)
        known = np.isfinite(window(28)).sum(axis=1)
        out["known_share_28"] = known / np.minimum(28, t)
        out["periods_since_sale"] = np.where(ever, sold[:, ::-1].argmax(axis=1) + 1, np.nan)
        out["periods_since_first_sale"] = np.where(ever, t - sold.argmax(axis=1), np.nan)
    return {name: np.asarray(column, np.float32) for name, column in out.items()}


def origin_frame(
    keys: pl.DataFrame, values: Floats, first: date, columns: list[int], spec: Spec
) -> pl.DataFrame:
    """Origins as demand_v1 would give them: series already sold, at each of the columns; keys carry
    attributes along."""
    starts = spec.starts(first, max(columns) + 1)
    frames = []
    for t in columns:
        found = features_at(values, t, spec.year)
        alive = np.flatnonzero(np.isfinite(values[:, :t]).any(axis=1))
        names = {name: pl.Series(column[alive]).fill_nan(None) for name, column in found.items()}
        frames.append(keys[alive].with_columns(pl.lit(starts[t]).alias("origin"), **names))
    return pl.concat(frames)


def label_frame(
    keys: pl.DataFrame, values: Floats, first: date, spec: Spec, until: int | None = None
) -> pl.DataFrame:
    """Labels as labels_v1 would give them: every period up to column `until`, null where unknown,
    nothing before the first known."""
    values = values[:, :until]
    alive = np.maximum.accumulate(np.isfinite(values), axis=1)
    row, column = np.nonzero(alive)
    starts = pl.Series(spec.starts(first, values.shape[1]), dtype=pl.Date)
    return pl.DataFrame(
        {
            "item_id": keys["item_id"].gather(row),
            "location_id": keys["location_id"].gather(row),
            "target_on": starts.gather(column),
            "demand": pl.Series(values[row, column]).fill_nan(None),
        }
    )
