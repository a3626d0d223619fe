"""From an expected value to an honest distribution, learned only from forecasts of periods the mean model had not seen.

Three things are learned: how widely demand scatters around its mean (variance / mean, by XGBoost), what each nominal level
must be set to so that it covers what it says (conformal, by size of the mean), and how errors of neighbouring periods hang together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from scipy.special import ndtri

from models.forecasting import counts

Floats = NDArray[np.floating]

#: Nominal levels the conformal curve is kept at.
GRID = np.concatenate([[0.0, 0.0025, 0.005, 0.0125], np.linspace(0.025, 0.975, 39), [0.9875, 0.995, 0.9975, 1.0]])
CLASSES = 5
#: A class with this many observations trusts its own curve and the identity half and half.
PRIOR = 60
DISPERSION_PARAMS = {
    "objective": "reg:tweedie",
    "tweedie_variance_power": 1.9,
    "max_depth": 5,
    "eta": 0.1,
    "min_child_weight": 20,
    "colsample_bytree": 0.5,
    "tree_method": "hist",
}
NARROWEST, WIDEST = 0.02, 500.0


@dataclass(frozen=True)
class Calibration:
    """How forecasts of unseen periods erred: dispersion model, conformal curves (classes, len(GRID)) and correlation (H, H)."""

    whole_units: bool
    dispersion: float
    booster: xgb.Booster | None
    edges: NDArray[np.float64]
    curves: NDArray[np.float64]
    correlation: NDArray[np.float64]
    scores: dict[str, float]

    def spread(self, matrix: Floats, mean: Floats) -> Floats:
        """Dispersion (variance / mean) of each row, (n,)."""
        return _spread(self.booster, self.dispersion, matrix, mean)

    def quantiles(self, mean: Floats, dispersion: Floats, levels: tuple[float, ...]) -> Floats:
        """Calibrated quantiles, (n, Q) units, not decreasing along Q."""
        out = np.zeros((len(mean), len(levels)), np.float32)
        kind = np.searchsorted(self.edges, mean)
        for k in range(len(self.curves)):
            rows = np.flatnonzero(kind == k)
            adjusted = np.clip(np.interp(levels, GRID, self.curves[k]), 1e-6, 1 - 1e-6)
            out[rows] = counts.quantiles(mean[rows], dispersion[rows], adjusted, self.whole_units)
        return out

    def to_dict(self) -> dict[str, Any]:
        return {
            "whole_units": self.whole_units,
            "dispersion": self.dispersion,
            "edges": self.edges.tolist(),
            "curves": self.curves.tolist(),
            "correlation": self.correlation.tolist(),
            "scores": self.scores,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], booster: xgb.Booster | None) -> Calibration:
        arrays = {name: np.asarray(data[name], np.float64) for name in ("edges", "curves", "correlation")}
        return cls(
            data["whole_units"], data["dispersion"], booster, arrays["edges"], arrays["curves"], arrays["correlation"], data["scores"]
        )


def features(matrix: Floats, mean: Floats) -> Floats:
    """The dispersion model's features: what the mean model saw, and the mean."""
    return np.column_stack([matrix, np.log(np.maximum(mean, 1e-6))]).astype(np.float32)


def _spread(booster: xgb.Booster | None, overall: float, matrix: Floats, mean: Floats) -> Floats:
    if booster is None:
        return np.full(len(mean), overall, np.float32)
    margin = np.full(len(mean), np.log(overall), np.float32)
    return np.clip(booster.inplace_predict(features(matrix, mean), base_margin=margin), NARROWEST, WIDEST)


def uncalibrated(whole_units: bool, horizon: int) -> Calibration:
    """What to assume of errors that were never observed: twice Poisson, independent from period to period."""
    return Calibration(whole_units, 2.0, None, np.zeros(0), GRID[None, :].copy(), np.eye(horizon), {})


def calibrate(
    matrix: Floats,
    mean: Floats,
    units: Floats,
    path: NDArray[np.int64],
    offset: NDArray[np.int64],
    horizon: int,
    whole_units: bool,
    seed: int,
    threads: int,
) -> Calibration:
    """Learn from n forecasts (mean) of periods not seen and what came (units); path numbers the series-origin each belongs to."""
    if len(units) < 30:
        return uncalibrated(whole_units, horizon)
    random = np.random.default_rng(seed)
    mean = np.maximum(mean, 1e-6)
    scatter = np.minimum((units - mean) ** 2 / mean, WIDEST * 4)
    # halves by path: dispersion is learned on one half, curves on the other, so the curves see honest errors
    first = random.random(int(path.max()) + 1)[path] < 0.5
    overall = float(np.clip((mean * scatter).sum() / (mean.sum()), NARROWEST, WIDEST))
    booster = None
    if first.sum() >= 1000:
        data = xgb.QuantileDMatrix(
            features(matrix[first], mean[first]),
            label=scatter[first],
            base_margin=np.full(int(first.sum()), np.log(overall)),
            max_bin=64,
            nthread=threads,
        )
        booster = xgb.train({**DISPERSION_PARAMS, "seed": seed, "nthread": threads, "max_bin": 64}, data, num_boost_round=60)
    spread = _spread(booster, overall, matrix, mean)
    upper = counts.cdf(units, mean, spread, whole_units)
    lower = counts.cdf(units - 1, mean, spread, whole_units) if whole_units else upper
    rest = ~first if booster is not None else np.ones(len(units), bool)
    pit = lower + random.random(len(units)) * (upper - lower)
    edges, curves = pit_curves(mean[rest], pit[rest])
    residual = np.clip((units - mean) / np.sqrt(spread * mean), -6, 6) * np.sqrt(np.minimum(mean, 1.0))
    score = ndtri(np.clip(pit, 1e-4, 1 - 1e-4))
    fidelity = float(np.corrcoef(residual, score)[0, 1]) if residual.std() > 1e-4 else 1.0  # a world that sold nothing has no errors
    correlation = _correlation(residual, fidelity, path, offset, horizon)
    found = Calibration(whole_units, overall, booster, edges, curves, correlation, {})
    return Calibration(whole_units, overall, booster, edges, curves, correlation, _scores(found, mean, spread, units, rest))


def pit_curves(mean: Floats, pit: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Conformal curves from probability integral transforms: per size of the mean, where each level of GRID truly lies."""
    classes = max(1, min(CLASSES, len(mean) // 200))
    edges = np.asarray(np.unique(np.quantile(mean, np.linspace(0, 1, classes + 1)[1:-1])) if classes > 1 else [], np.float64)
    kind = np.searchsorted(edges, mean)
    curves = np.empty((len(edges) + 1, len(GRID)))
    for k in range(len(curves)):
        inside = pit[kind == k]
        trust = len(inside) / (len(inside) + PRIOR)
        curves[k] = trust * (np.quantile(inside, GRID) if len(inside) else GRID) + (1 - trust) * GRID
    return edges, curves


def _correlation(
    residual: Floats, fidelity: float, path: NDArray[np.int64], offset: NDArray[np.int64], horizon: int
) -> NDArray[np.float64]:
    """Correlation of normal scores between offsets, drawn towards its mean by distance in time where paths are few.

    Counts correlate less than the normal scores behind them; to first order by the square of their own correlation with those
    scores (fidelity), so that the variance of a window's sum comes out right.
    """
    table = np.full((int(path.max()) + 1, horizon), np.nan)
    table[path, offset] = residual
    known = ~np.isnan(table)
    centred = np.where(known, table, 0.0)
    product = centred.T @ centred
    pairs = known.astype(float).T @ known.astype(float)
    deviation = np.sqrt(np.maximum(np.diag(product) / np.maximum(np.diag(pairs), 1), 1e-9))
    raw = np.where(pairs > 0, product / np.maximum(pairs, 1), 0.0) / np.outer(deviation, deviation) / max(fidelity, 0.5) ** 2
    distance = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    smooth = np.empty_like(raw)
    for d in range(horizon):
        here = distance == d
        smooth[here] = 1.0 if d == 0 else (raw[here] * pairs[here]).sum() / max(pairs[here].sum(), 1.0)
    trust = pairs / (pairs + 1000.0)
    mixed = np.clip(trust * raw + (1 - trust) * smooth, -0.99, 0.99)
    np.fill_diagonal(mixed, 1.0)
    eigen, vectors = np.linalg.eigh(mixed)
    positive = (vectors * np.clip(eigen, 1e-6, None)) @ vectors.T
    scale = np.sqrt(np.diag(positive))
    return np.asarray(positive / np.outer(scale, scale))


def _scores(found: Calibration, mean: Floats, spread: Floats, units: Floats, rest: NDArray[np.bool_]) -> dict[str, float]:
    """The model card's figures, on unseen periods: WAPE, bias, and P(Y <= Q) at three levels."""
    levels = (0.5, 0.75, 0.975)
    quantiles = found.quantiles(mean[rest], spread[rest], levels)
    total = max(float(units[rest].sum()), 1e-9)
    out = {"rows": float(rest.sum()), "wape": float(np.abs(units[rest] - mean[rest]).sum()) / total}
    out["bias"] = float((mean[rest] - units[rest]).sum()) / total
    for j, level in enumerate(levels):
        out[f"at_most_{level}"] = float((units[rest] <= quantiles[:, j]).mean())
    return out
