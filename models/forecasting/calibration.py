"""From an expected value to an honest distribution, learned only from forecasts of periods the mean
model had not seen.

Four things are learned: which sizes of the mean come out too high against the others, how widely
demand scatters around its mean (variance / mean, by XGBoost), by what law it does so (scatter), and
how errors of neighbouring periods hang together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from scipy.special import ndtri

from models.forecasting import count_distributions, spread_around_mean
from models.forecasting.design_matrix import COLUMNS
from models.forecasting.inputs import STDS
from models.forecasting.spread_around_mean import Scatter

Floats = NDArray[np.floating]

#: Classes by size of the mean, each with this many honest forecasts at least.
SIZES, LEAST = 5, 200
#: How far a size class follows what it was found to come out at against the others. Chosen on UCI,
#: VN2, Rossmann and Walmart,
#: with the later half of the windows seen too, so their figures flatter it a little: halfway no
#: mean is worse than all the way.
FOLLOWED = 0.5
#: Squared errors have long tails themselves: nearer to a gamma (2) the trees follow the small ones,
#: nearer to Poisson (1) the large ones.
DISPERSION_PARAMS = {
    "objective": "reg:tweedie",
    "tweedie_variance_power": 1.5,
    "max_depth": 3,
    "eta": 0.1,
    "min_child_weight": 20,
    "colsample_bytree": 0.5,
    "tree_method": "hist",
}
NARROWEST, WIDEST = 0.02, 500.0


@dataclass(frozen=True)
class Calibration:
    """How forecasts of unseen periods erred: sizes, dispersion model, law of the scatter and
    correlation (H, H).

    sizes: (2, C) ascending logarithms of the mean, and the factor that a mean of this size is
    multiplied by.
    """

    whole_units: bool
    dispersion: float
    booster: xgb.Booster | None
    sizes: NDArray[np.float64]
    scatter: Scatter
    correlation: NDArray[np.float64]
    scores: dict[str, float]

    def levelled(self, mean: Floats) -> Floats:
        """Means as they come out against those of other sizes, of the same shape."""
        return _levelled(self.sizes, mean)

    def spread(self, matrix: Floats, mean: Floats) -> Floats:
        """Dispersion (variance / mean) of each row, (n,)."""
        return _spread(self.booster, self.dispersion, matrix, mean)

    def quantiles(self, mean: Floats, dispersion: Floats, levels: tuple[float, ...]) -> Floats:
        """Quantiles of demand with this mean, (n, Q) units, not decreasing along Q."""
        return self.scatter.quantiles(mean, dispersion, levels)

    def to_dict(self) -> dict[str, Any]:
        """What was learned as plain numbers, for a model's card; the boosted trees are kept in a
        file of their own."""
        return {
            "whole_units": self.whole_units,
            "dispersion": self.dispersion,
            "sizes": self.sizes.tolist(),
            "scatter": self.scatter.to_dict(),
            "correlation": self.correlation.tolist(),
            "scores": self.scores,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], booster: xgb.Booster | None) -> Calibration:
        """What `to_dict` kept, together with its boosted trees (None where none were trained)."""
        sizes, correlation = (
            np.asarray(data[name], np.float64) for name in ("sizes", "correlation")
        )
        law = Scatter.from_dict(data["scatter"])
        return cls(
            data["whole_units"],
            data["dispersion"],
            booster,
            sizes,
            law,
            correlation,
            data["scores"],
        )


def features(matrix: Floats, mean: Floats) -> Floats:
    """The dispersion model's features: what the mean model saw, the mean, and how far the series'
    own demand strayed of late, in the terms that are learned (variance / mean).

    Without the last, trees had to find a ratio by cuts: series that scatter little and much were
    given nearly the same spread, and large steady ones a tail far beyond all they ever sold.
    """
    mean = np.maximum(mean, 1e-6)
    level = np.exp(matrix[:, COLUMNS.index("log_level")])
    strayed = [matrix[:, COLUMNS.index(f"demand_std_{k}")] * level for k in STDS]
    highest = matrix[:, COLUMNS.index("demand_max_28")] * level
    own = [np.log(np.maximum(std**2, 1e-4) / mean) for std in strayed]
    own.append(np.log(np.maximum(highest, 1e-3) / mean))
    return np.column_stack([matrix, np.log(mean), *own]).astype(np.float32)


def _spread(booster: xgb.Booster | None, overall: float, matrix: Floats, mean: Floats) -> Floats:
    if booster is None:
        return np.full(len(mean), overall, np.float32)
    margin = np.full(len(mean), np.log(overall), np.float32)
    return np.clip(
        booster.inplace_predict(features(matrix, mean), base_margin=margin), NARROWEST, WIDEST
    )


def uncalibrated(whole_units: bool, horizon: int) -> Calibration:
    """What to assume of errors that were never observed: twice Poisson, independent from period to
    period."""
    return Calibration(
        whole_units,
        2.0,
        None,
        np.array([[0.0], [1.0]]),
        spread_around_mean.believed(whole_units),
        np.eye(horizon),
        {},
    )


def sizes_of(mean: Floats, units: Floats) -> NDArray[np.float64]:
    """What means of each size come out at against all others, (2, C): logarithm of the mean,
    factor; all together stay as they are.

    The level of all sizes together is left alone: what the early model was too low on the periods
    held out says little of the next.
    """
    classes = int(np.clip(len(mean) // LEAST, 1, SIZES))
    edges = (
        np.unique(np.quantile(mean, np.linspace(0, 1, classes + 1)[1:-1]))
        if classes > 1
        else np.zeros(0)
    )
    kind = np.searchsorted(edges, mean)
    expected, came = (
        np.bincount(kind, weights=values, minlength=len(edges) + 1) for values in (mean, units)
    )
    level = came.sum() / expected.sum() if came.sum() > 0 else 1.0
    kept = expected > 0
    found = (
        np.clip(came[kept] / expected[kept] / level, 0.1, 10.0)
        if came.sum() > 0
        else np.ones(kept.sum())
    ) ** FOLLOWED
    place = np.array(
        [np.log(max(float(np.median(mean[kind == k])), 1e-6)) for k in np.flatnonzero(kept)]
    )
    sizes = np.stack([place, found])
    return np.stack([place, found * mean.sum() / _levelled(sizes, mean).sum()])


def _levelled(sizes: NDArray[np.float64], mean: Floats) -> Floats:
    factor = np.interp(np.log(np.maximum(mean, 1e-6)), sizes[0], sizes[1])
    return np.asarray(mean * factor, np.float32)


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
    """Learn from n forecasts (mean) of periods not seen and what came (units); path numbers the
    series-origin each belongs to."""
    if len(units) < 30:
        return uncalibrated(whole_units, horizon)
    random = np.random.default_rng(seed)
    sizes = sizes_of(np.maximum(mean, 1e-6), units)
    mean = np.maximum(_levelled(sizes, mean), 1e-6)
    squares = np.minimum((units - mean) ** 2 / mean, WIDEST * 4)
    # halves by path: dispersion is learned on one half, the law on the other, so that the law sees
    # honest errors
    first = random.random(int(path.max()) + 1)[path] < 0.5
    overall = float(np.clip((mean * squares).sum() / (mean.sum()), NARROWEST, WIDEST))
    booster = None
    if first.sum() >= 1000:
        data = xgb.QuantileDMatrix(
            features(matrix[first], mean[first]),
            label=squares[first],
            base_margin=np.full(int(first.sum()), np.log(overall)),
            max_bin=64,
            nthread=threads,
        )
        booster = xgb.train(
            {**DISPERSION_PARAMS, "seed": seed, "nthread": threads, "max_bin": 64},
            data,
            num_boost_round=60,
        )
    spread = _spread(booster, overall, matrix, mean)
    upper = count_distributions.cdf(units, mean, spread, whole_units)
    lower = count_distributions.cdf(units - 1, mean, spread, whole_units) if whole_units else upper
    rest = ~first if booster is not None else np.ones(len(units), bool)
    pit = lower + random.random(len(units)) * (upper - lower)
    law = spread_around_mean.learn(mean[rest], spread[rest], units[rest], whole_units, seed)
    residual = np.clip((units - mean) / np.sqrt(spread * mean), -6, 6) * np.sqrt(
        np.minimum(mean, 1.0)
    )
    score = ndtri(np.clip(pit, 1e-4, 1 - 1e-4))
    # a world that sold nothing has no errors
    fidelity = float(np.corrcoef(residual, score)[0, 1]) if residual.std() > 1e-4 else 1.0
    correlation = _correlation(residual, fidelity, path, offset, horizon)
    found = Calibration(whole_units, overall, booster, sizes, law, correlation, {})
    return replace(found, scores=_scores(found, mean, spread, units, rest))


def _correlation(
    residual: Floats,
    fidelity: float,
    path: NDArray[np.int64],
    offset: NDArray[np.int64],
    horizon: int,
) -> NDArray[np.float64]:
    """Correlation of normal scores between offsets, drawn towards its mean by distance in time
    where paths are few.

    Counts correlate less than the normal scores behind them; to first order by the square of their
    own correlation with those scores (fidelity), so that the variance of a window's sum comes out
    right.
    """
    table = np.full((int(path.max()) + 1, horizon), np.nan)
    table[path, offset] = residual
    known = ~np.isnan(table)
    centred = np.where(known, table, 0.0)
    product = centred.T @ centred
    pairs = known.astype(float).T @ known.astype(float)
    deviation = np.sqrt(np.maximum(np.diag(product) / np.maximum(np.diag(pairs), 1), 1e-9))
    raw = (
        np.where(pairs > 0, product / np.maximum(pairs, 1), 0.0)
        / np.outer(deviation, deviation)
        / max(fidelity, 0.5) ** 2
    )
    distance = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    smooth = np.empty_like(raw)
    for d in range(horizon):
        here = distance == d
        smooth[here] = (
            1.0 if d == 0 else (raw[here] * pairs[here]).sum() / max(pairs[here].sum(), 1.0)
        )
    trust = pairs / (pairs + 1000.0)
    mixed = np.clip(trust * raw + (1 - trust) * smooth, -0.99, 0.99)
    np.fill_diagonal(mixed, 1.0)
    eigen, vectors = np.linalg.eigh(mixed)
    positive = (vectors * np.clip(eigen, 1e-6, None)) @ vectors.T
    scale = np.sqrt(np.diag(positive))
    return np.asarray(positive / np.outer(scale, scale))


def _scores(
    found: Calibration, mean: Floats, spread: Floats, units: Floats, rest: NDArray[np.bool_]
) -> dict[str, float]:
    """The model card's figures, on unseen periods: WAPE, bias, and P(Y <= Q) at three levels."""
    levels = (0.5, 0.75, 0.975)
    quantiles = found.quantiles(mean[rest], spread[rest], levels)
    total = max(float(units[rest].sum()), 1e-9)
    out = {"rows": float(rest.sum()), "wape": float(np.abs(units[rest] - mean[rest]).sum()) / total}
    out["bias"] = float((mean[rest] - units[rest]).sum()) / total
    for j, level in enumerate(levels):
        out[f"at_most_{level}"] = float((units[rest] <= quantiles[:, j]).mean())
    return out
