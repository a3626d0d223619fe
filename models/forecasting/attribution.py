"""Why a forecast moved: the difference between two forecasts split into season, promotion, price
and the rest, exactly.

The model is multiplicative, so each column's exact Shapley share (TreeSHAP, by XGBoost itself) is a
factor; factors become units by the logarithmic mean, which leaves no remainder. Source: Lundberg et
al. 2020; Ang 2005 (LMDI).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from models.domain import SERIES
from models.forecasting.custom_forecaster import OwnModel
from models.forecasting.demand_model import DemandModel
from models.forecasting.design_matrix import GROUPS
from models.forecasting.inputs import Indices

Floats = NDArray[np.float64]

#: Parts a model's columns belong to, then what stands beside the columns.
COLUMN_PARTS = (
    "recent demand",
    "season",
    "promotion",
    "event",
    "price",
    "weather",
    "macro",
    "search",
    "competitor",
)
PARTS = (*COLUMN_PARTS, "level model", "closed", "own forecaster", "unexplained")


def attribute(
    model: DemandModel | OwnModel,
    now: pl.DataFrame,
    plans: pl.DataFrame | None,
    before: pl.DataFrame,
    plans_before: pl.DataFrame | None,
    observed: NDArray[np.floating] | None = None,
    *,
    rows: Indices | None = None,
    periods: int | None = None,
    means: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> pl.DataFrame:
    """Split (forecast now - forecast before) of each series and period ahead into PARTS; they add
    up to the difference.

    now, before: origins of one date each, the same series in the same order. rows: (n,) the series
    to split, all where left out. periods: how many ahead to split, the horizon where left out.
    observed: (n, periods) demand that came; then the difference is (observed - forecast before) and
    what the model did not foresee is "unexplained". means: (N, H) the forecasts of now and of
    before, where they have been made already. What a company's own forecaster changed its
    mind by is not split: it is "own forecaster". Columns: item_id, location_id, period_start,
    ahead, part, units.
    """
    if not now.select(SERIES).equals(before.select(SERIES)):
        raise ValueError("the two forecasts to compare must name the same series in the same order")
    rows = np.arange(len(now)) if rows is None else rows
    periods = model.spec.horizon if periods is None else periods
    if means is None:
        means = expected(model, now, plans), expected(model, before, plans_before)
    mean, mean_before = (np.asarray(one, np.float64)[rows, :periods] for one in means)
    if isinstance(model, OwnModel):
        units = dict.fromkeys(PARTS, np.zeros((len(rows), periods)))
        units["own forecaster"] = mean - mean_before
        if observed is not None:
            units["unexplained"] = np.asarray(observed, np.float64) - mean
        return _frame(model, now[rows], units, periods)
    logs = _factors(model, now, plans, rows, mean)
    logs_before = _factors(model, before, plans_before, rows, mean_before)
    both = (mean > 0) & (mean_before > 0)
    ratio = np.log(np.where(both, mean, 1.0) / np.where(both, mean_before, 1.0))
    # the logarithmic mean: units per unit of log ratio
    per_log = np.where(
        np.abs(ratio) > 1e-9,
        (mean - mean_before) / np.where(np.abs(ratio) > 1e-9, ratio, 1.0),
        mean,
    )
    units = {part: np.where(both, (logs[part] - logs_before[part]) * per_log, 0.0) for part in logs}
    units["own forecaster"] = np.zeros_like(mean)
    units["closed"] = np.where(both, 0.0, mean - mean_before)
    units["unexplained"] = (
        np.zeros_like(mean) if observed is None else np.asarray(observed, np.float64) - mean
    )
    # single-precision leaves a remainder of about 1e-6: it goes where most is explained by the past
    # anyway
    target = mean if observed is None else np.asarray(observed, np.float64)
    units["recent demand"] = units["recent demand"] + (target - mean_before - sum(units.values()))
    return _frame(model, now[rows], units, periods)


def expected(
    model: DemandModel | OwnModel, origins: pl.DataFrame, plans: pl.DataFrame | None
) -> NDArray[np.floating]:
    """(N, H) the mean that a model forecasts, ours or a company's own."""
    if isinstance(model, OwnModel):
        return model.predict(origins, plans).mean
    return model.expected(origins, plans)


def _factors(
    model: DemandModel,
    origins: pl.DataFrame,
    plans: pl.DataFrame | None,
    rows: Indices,
    mean: Floats,
) -> dict[str, Floats]:
    """Per part the sum of its columns' log factors, each (n, periods): they multiply to the mean
    that is forecast."""
    base, planned = model.prepare(origins, plans)
    shape = mean.shape
    row, step = np.repeat(rows, shape[1]), np.tile(np.arange(shape[1]), len(rows))
    logs = {part: np.zeros(shape) for part in (*COLUMN_PARTS, "level model")}
    level = np.log(base.level[row].astype(np.float64))
    plain = np.exp(level)
    if model.booster is not None:
        names = model.design.columns
        matrix = xgb.DMatrix(
            model.design.rows(base, row, step, planned),
            base_margin=level,
            feature_names=list(names),
            feature_types=model.design.kinds,
        )
        shares = model.booster.predict(matrix, pred_contribs=True).astype(np.float64)
        plain = model.booster.predict(matrix).astype(np.float64)
        for j, name in enumerate(names):
            logs[GROUPS[name]] += shares[:, j].reshape(shape)
        level = shares[:, -1]  # XGBoost's bias column carries the base margin
    logs["recent demand"] += level.reshape(shape)
    aligned = np.where(mean > 0, mean, 1.0) / np.where(mean > 0, plain.reshape(shape), 1.0)
    logs["level model"] = np.log(aligned)
    return logs


def _frame(
    model: DemandModel | OwnModel, origins: pl.DataFrame, units: dict[str, Floats], horizon: int
) -> pl.DataFrame:
    starts = model.spec.starts(origins["origin"][0], horizon)
    pair = np.arange(len(origins) * horizon)
    keys = pl.DataFrame(
        {
            "item_id": origins["item_id"].gather(pair // horizon),
            "location_id": origins["location_id"].gather(pair // horizon),
            "period_start": pl.Series(starts, dtype=pl.Date).gather(pair % horizon),
            "ahead": pair % horizon + 1,
        }
    )
    return pl.concat(
        [
            keys.with_columns(part=pl.lit(part), units=pl.Series(units[part].reshape(-1)))
            for part in PARTS
        ]
    )
