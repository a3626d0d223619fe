"""How good a forecast is: errors of the mean, of the quantiles, and of whole hierarchies as M5
scores them.

Arrays are (N, H): series by period, units. Unknown actuals (NaN) are left out everywhere. Source of
RMSSE, WRMSSE, SPL and WSPL: the M5 competitors' guide (Makridakis, Spiliotis, Assimakopoulos 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.integer]


def wape(actual: Floats, mean: Floats) -> float:
    """Absolute error as a share of what was sold."""
    return float(np.nansum(np.abs(actual - mean)) / np.nansum(np.abs(actual)))


def bias(actual: Floats, mean: Floats) -> float:
    """How much too high, as a share of what was sold; positive is over-forecast."""
    known = ~np.isnan(actual)
    return float((mean[known] - actual[known]).sum() / np.abs(actual[known]).sum())


def naive_scale(history: Floats, season: int = 1, power: int = 2) -> Floats:
    """A series' usual change from one season to the next, (N,): mean |difference| ** power from its
    first sale on."""
    out = np.full(len(history), np.nan)
    for i, row in enumerate(history):
        sold = np.flatnonzero(np.nan_to_num(row) != 0)
        change = (
            row[sold[0] + season :] - row[sold[0] : -season]
            if sold.size and season
            else np.zeros(0)
        )
        if np.isfinite(change).any():
            out[i] = np.nanmean(np.abs(change) ** power)
    return out


def mase(actual: Floats, mean: Floats, history: Floats, season: int = 1) -> Floats:
    """Mean absolute error over that of the seasonal naive forecast in history, (N,)."""
    return np.nanmean(np.abs(actual - mean), axis=1) / naive_scale(history, season, 1)


def rmsse(actual: Floats, mean: Floats, scale: Floats) -> Floats:
    """Root mean squared error over that of the naive forecast in history, (N,); scale =
    naive_scale(history)."""
    return np.sqrt(np.nanmean((actual - mean) ** 2, axis=1) / scale)


def pinball(actual: Floats, quantile: Floats, level: float) -> Floats:
    """Pinball loss, element by element: what a unit over or under costs a planner who aims at this
    level."""
    error = actual - quantile
    return np.maximum(level * error, (level - 1) * error)


def crps(actual: Floats, values: Floats, levels: tuple[float, ...]) -> float:
    """Continuous ranked probability score from quantiles (N, H, Q): twice the pinball loss
    integrated over the levels."""
    order = np.asarray(levels)
    edges = np.concatenate([[0.0], (order[1:] + order[:-1]) / 2, [1.0]])
    losses = [np.nanmean(pinball(actual, values[:, :, j], level)) for j, level in enumerate(levels)]
    return float(2 * np.dot(np.diff(edges), losses))


@dataclass(frozen=True)
class Coverage:
    """How often demand fell below a quantile and at most on it; an honest level lies between, since
    demand is discrete."""

    level: float
    below: float
    at_most: float

    @property
    def gap(self) -> float:
        """How far the level lies outside [below, at_most]; zero when covered."""
        return max(self.below - self.level, self.level - self.at_most, 0.0)


def coverage(actual: Floats, quantile: Floats, level: float) -> Coverage:
    """P(Y < Q) and P(Y <= Q) over all known cells."""
    known = ~np.isnan(actual)
    return Coverage(
        level,
        float((actual[known] < quantile[known]).mean()),
        float((actual[known] <= quantile[known]).mean()),
    )


def pit(actual: Floats, paths: Floats, seed: int = 0) -> Floats:
    """Randomised probability integral transform, (N, H): uniform where sample paths (N, S, H)
    describe what came."""
    below = (paths < actual[:, None, :]).mean(axis=1)
    ties = (paths == actual[:, None, :]).mean(axis=1)
    uniform = below + np.random.default_rng(seed).random(actual.shape) * ties
    return np.where(np.isnan(actual), np.nan, uniform)


def pit_of_quantiles(
    actual: Floats, values: Floats, levels: tuple[float, ...], seed: int = 0
) -> Floats:
    """Randomised probability integral transform, (N, H), from quantiles (N, H, Q): uniform where
    they describe what came.

    It is drawn between the last level below what came and the first above it (0 and 1 outside the
    levels).
    """
    edges = np.array([0.0, *levels, 1.0])
    low = edges[(values < actual[:, :, None]).sum(axis=2)]
    high = edges[(values <= actual[:, :, None]).sum(axis=2) + 1]
    uniform = low + np.random.default_rng(seed).random(actual.shape) * (high - low)
    return np.where(np.isnan(actual), np.nan, uniform)


@dataclass(frozen=True)
class Hierarchy:
    """Levels of aggregation over N series: per level the group of each series, groups numbered in
    sorted order of their names."""

    names: tuple[str, ...]
    groups: tuple[Indices, ...]

    @classmethod
    def of(cls, columns: dict[str, tuple[NDArray[np.str_], ...]]) -> Hierarchy:
        """Build from level name -> the label arrays (N,) whose combinations are its groups; no
        labels = one total."""
        groups = []
        for labels in columns.values():
            if labels:
                joined = np.array(["\x1f".join(parts) for parts in zip(*labels, strict=True)])
                groups.append(np.unique(joined, return_inverse=True)[1])
            else:
                groups.append(np.zeros(1, np.int64))
        width = max(len(g) for g in groups)
        return cls(
            tuple(columns), tuple(np.zeros(width, np.int64) if len(g) == 1 else g for g in groups)
        )

    def aggregate(self, values: Floats) -> list[Floats]:
        """Sums per level, each (groups, ...)."""
        out = []
        for group in self.groups:
            total = np.zeros((int(group.max()) + 1, *values.shape[1:]))
            np.add.at(total, group, values)
            out.append(total)
        return out


def wrmsse(
    actual: Floats, mean: Floats, hierarchy: Hierarchy, scale: list[Floats], weight: list[Floats]
) -> dict[str, float]:
    """Weighted RMSSE per level and, under "mean", over all levels; scale and weight per level,
    (groups,), weights of a level add to 1."""
    out = {}
    for name, a, m, s, w in zip(
        hierarchy.names,
        hierarchy.aggregate(actual),
        hierarchy.aggregate(mean),
        scale,
        weight,
        strict=True,
    ):
        out[name] = float((w * rmsse(a, m, s)).sum())
    return {**out, "mean": float(np.mean(list(out.values())))}


def wspl(
    actual: list[Floats],
    values: list[Floats],
    levels: tuple[float, ...],
    names: tuple[str, ...],
    scale: list[Floats],
    weight: list[Floats],
) -> dict[str, float]:
    """Weighted scaled pinball loss per level and over all; quantiles per level (groups, H, Q),
    scale = naive_scale(power=1)."""
    out = {}
    for name, a, v, s, w in zip(names, actual, values, scale, weight, strict=True):
        loss = np.mean(
            [pinball(a, v[:, :, j], level).mean(axis=1) for j, level in enumerate(levels)], axis=0
        )
        out[name] = float((w * np.where(s > 0, loss / np.where(s > 0, s, 1.0), 0.0)).sum())
    return {**out, "mean": float(np.mean(list(out.values())))}
