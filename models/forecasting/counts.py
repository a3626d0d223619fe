"""Distributions of demand with a given mean and dispersion: negative binomial for whole units, gamma for measures.

dispersion = variance / mean. A mean of zero is the distribution that is always zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammainc, gammaincinv, pdtr

Floats = NDArray[np.floating]

#: Above this mean a count is treated as a rounded gamma: the difference is below one unit.
LARGE = 60.0
#: Nearer to one than this, the negative binomial is taken as Poisson.
EQUAL = 1.005


def cdf(units: Floats, mean: Floats, dispersion: Floats, whole_units: bool = True) -> Floats:
    """P(Y <= units) element by element; arrays of one shape, zero below zero."""
    units, mean, dispersion = (np.asarray(a, np.float64) for a in (units, mean, dispersion))
    safe = np.maximum(mean, 1e-9)
    gamma = gammainc(safe / dispersion, np.maximum(units + (0.5 if whole_units else 0.0), 0.0) / dispersion)
    if not whole_units:
        return np.where(units < 0, 0.0, gamma)
    k = np.maximum(np.floor(units), 0.0)
    wide = np.maximum(dispersion, EQUAL)
    negative_binomial = betainc(safe / (wide - 1), k + 1, 1 / wide)
    small = np.where(dispersion > EQUAL, negative_binomial, pdtr(k, safe))
    return np.where(units < 0, 0.0, np.where(mean > LARGE, gamma, small))


def quantiles(mean: Floats, dispersion: Floats, levels: Floats, whole_units: bool = True) -> Floats:
    """The smallest demand that covers each level: mean and dispersion (n,), levels (Q,) ascending, result (n, Q) units."""
    mean, dispersion, levels = (np.asarray(a, np.float64) for a in (mean, dispersion, levels))
    out = np.zeros((len(mean), len(levels)), np.float32)
    large = mean > (LARGE if whole_units else 0.0)
    if large.any():
        shape = (mean[large] / dispersion[large])[:, None]
        gamma = gammaincinv(shape, levels[None, :]) * dispersion[large][:, None]
        out[large] = np.rint(gamma) if whole_units else gamma
    small = np.flatnonzero(~large & (mean > 0))
    if whole_units and small.size:
        out[small] = _count_quantiles(mean[small], np.maximum(dispersion[small], EQUAL), levels)
    return out


def _count_quantiles(mean: NDArray[np.float64], dispersion: NDArray[np.float64], levels: NDArray[np.float64]) -> Floats:
    """Walk up the counts, adding probability, until every row has passed the highest level."""
    size = mean / (dispersion - 1)
    fail = 1 - 1 / dispersion
    out = np.zeros((len(mean), len(levels)), np.float32)
    rows: NDArray[np.int64] = np.arange(len(mean))
    probability = np.exp(-size * np.log(dispersion))
    reached = probability.copy()
    k = 0
    while rows.size:
        short = reached[:, None] < levels[None, :]
        out[rows] += short
        open_ = short[:, -1]
        rows = rows[open_]
        k += 1
        size, fail = size[open_], fail[open_]
        probability = probability[open_] * (size + k - 1) / k * fail
        reached = reached[open_] + probability
        if k > 5000:
            break
    return out
