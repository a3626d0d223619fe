"""The pooled mean model: XGBoost on (origin, offset) pairs, a Tweedie likelihood in units with the
series' level as offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from models.forecasting.design_matrix import Base, Design, Plans
from models.forecasting.inputs import Floats, Indices, Panel, Spec

HALF_LIFE = {"day": 200.0, "week": 78.0, "month": 36.0}
#: Fewer labelled rows than this teach nothing beyond the level itself.
ENOUGH = 200
CHUNK = 400_000

Params = dict[str, Any]
BOTTOM: Params = {
    "max_depth": 8,
    "eta": 0.06,
    "min_child_weight": 20,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
    "tweedie_variance_power": 1.2,
}
TOTAL: Params = {
    "max_depth": 5,
    "eta": 0.06,
    "min_child_weight": 5,
    "colsample_bytree": 0.6,
    "subsample": 0.8,
    "tweedie_variance_power": 1.5,
}


@dataclass(frozen=True)
class Sample:
    """Training pairs: origin row, offset and the demand observed, (n,) each."""

    row: Indices
    offset: Indices
    units: Floats


def sample(
    base: Base, demand: Panel, spec: Spec, limit: int, since: int, before: int, seed: int
) -> Sample:
    """Pairs whose origin is at or after `since` and whose target is known and lies before `before`;
    at most about `limit`."""
    random = np.random.default_rng(seed)
    eligible = np.flatnonzero((base.origin >= since) & (base.origin < before))
    total = len(eligible) * spec.horizon
    pair = (
        np.arange(total)
        if total <= 2 * limit
        else np.unique(random.integers(0, total, int(limit * 1.4)))
    )
    row, offset = eligible[pair // spec.horizon], pair % spec.horizon
    target = base.origin[row] + offset
    units = demand.at(base.series[row], target)
    kept = np.flatnonzero(~np.isnan(units) & (target < before))
    if len(kept) > limit:
        kept = np.sort(random.permutation(kept)[:limit])
    return Sample(row[kept], offset[kept], np.maximum(units[kept], 0.0))


def train(
    design: Design, base: Base, plans: Plans, pairs: Sample, params: Params, rounds: int
) -> xgb.Booster | None:
    """Fit the factors on the level; None where there is too little to learn from, and the level
    itself is the forecast."""
    spec = design.spec
    if len(pairs.units) < ENOUGH or not pairs.units.any():
        return None
    age = base.origin.max() - base.origin[pairs.row]
    data = xgb.QuantileDMatrix(
        design.rows(base, pairs.row, pairs.offset, plans),
        label=pairs.units,
        weight=0.5 ** (age / (spec.half_life or HALF_LIFE[spec.grain])),
        base_margin=np.log(base.level[pairs.row]),
        feature_names=list(design.columns),
        feature_types=design.kinds,
        max_bin=128,
        nthread=spec.threads,
    )
    settings = {
        "objective": "reg:tweedie",
        "tree_method": "hist",
        "max_bin": 128,
        "seed": spec.seed,
        "nthread": spec.threads,
        **params,
    }
    return xgb.train(settings, data, num_boost_round=rounds)


def expect(
    booster: xgb.Booster | None,
    design: Design,
    base: Base,
    plans: Plans,
    row: Indices,
    offset: Indices,
) -> Floats:
    """Expected units of each pair, (n,); the level where no model could be trained."""
    if booster is None:
        return base.level[row].astype(np.float32)
    out = np.empty(len(row), np.float32)
    for start in range(0, len(row), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = booster.inplace_predict(
            design.rows(base, row[part], offset[part], plans),
            base_margin=np.log(base.level[row[part]]),
        )
    return out
