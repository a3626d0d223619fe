"""How far demand comes out from what was expected: a law of the ratio demand / mean whose own mean
is one, learned from honest errors.

Demand of a period is Poisson (measures: exact) around mean x ratio. The ratio's law is a mixture of
narrow gammas whose weights are the likeliest ones (Kiefer and Wolfowitz, Annals of Mathematical
Statistics 27, 1956), separately where forecasts are steady and where they are not. Level and shape
are thus told apart: that the early model was too low on the periods held out says nothing of how
far the next forecast may be off, and whatever the tail, the mean of the distribution is the mean
forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammainc, gammaln

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

#: Levels at which the law is tabulated; what is asked for between two of them is read on a straight
#: line.
BODY = (*np.arange(0.025, 0.98, 0.025), 0.165, 0.835, 0.87)
LEVELS = np.unique(
    np.round((0.001, 0.0025, 0.005, 0.01, *BODY, 0.98, 0.985, 0.99, 0.995, 0.9975, 0.999), 4)
)
#: Classes by how unsteady forecasts are, and the honest forecasts that each asks for.
CLASSES, LEAST = 6, 400
#: What an honest forecast weighs against the belief in a plain negative binomial: so many of them
#: count as much as the belief.
PRIOR = 60.0
#: Honest forecasts a class is learned from, at most.
MOST = 20_000
ROUNDS = 60
#: The squared coefficient of variation of the ratio that is believed in at all.
STEADIEST, WILDEST = 5e-4, 50.0
#: Distance of two components, in standard deviations of the logarithm, and their own width on the
#: same scale.
STEP, WIDTH = 0.35, 0.3
#: Components that carry less of the probability are left out of the tables.
NEGLIGIBLE = 1e-12
#: Means of counts between which quantiles are interpolated; above the last they grow with the mean.
MEANS = np.geomspace(0.004, 4000.0, 72)


def unsteadiness(mean: Floats, dispersion: Floats, whole_units: bool) -> Doubles:
    """Squared coefficient of variation of the ratio, (n,), where variance = dispersion x mean;
    counts scatter by Poisson besides."""
    own = np.asarray(dispersion, np.float64) - (1.0 if whole_units else 0.0)
    return np.clip(own / np.maximum(np.asarray(mean, np.float64), 1e-9), STEADIEST, WILDEST)


@dataclass(frozen=True)
class Scatter:
    """Quantiles of demand by mean and unsteadiness, tabulated.

    nodes: (C,) ascending logarithms of unsteadiness. table: (C, M, len(LEVELS)) units for the M
    MEANS of counts, which a fraction of a unit continues (the quantile is the whole unit above);
    for measures M = 1 and the table holds demand / mean.
    """

    whole_units: bool
    nodes: Doubles
    table: Doubles

    def quantiles(self, mean: Floats, dispersion: Floats, levels: tuple[float, ...]) -> Floats:
        """Quantiles (n, Q) units of demand with these means and dispersions (variance / mean), (n,)
        each; not decreasing along Q."""
        mean = np.asarray(mean, np.float64)
        asked = _read_at(levels, self.table)
        if self.whole_units:
            at = np.interp(
                np.log(np.clip(mean, MEANS[0], MEANS[-1])), np.log(MEANS), np.arange(len(MEANS))
            )
            grown = np.maximum(mean / MEANS[-1], 1.0)
        else:
            at, grown = np.zeros(len(mean)), mean
        node = np.log(unsteadiness(mean, dispersion, self.whole_units))
        place = np.interp(node, self.nodes, np.arange(len(self.nodes)))
        out = np.zeros((len(mean), len(levels)))
        for which, share in _neighbours(place, len(self.nodes)):
            for size, part in _neighbours(at, asked.shape[1]):
                out += (share * part)[:, None] * asked[which, size]
        out *= grown[:, None]
        return np.where(
            mean[:, None] > 0,
            np.maximum(np.ceil(out - 1e-6) if self.whole_units else out, 0.0),
            0.0,
        ).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """What was learned as plain numbers, for a model's card; the table to six decimals."""
        return {
            "whole_units": self.whole_units,
            "nodes": self.nodes.tolist(),
            "table": np.round(self.table, 6).tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scatter:
        """What `to_dict` kept."""
        return cls(
            data["whole_units"],
            np.asarray(data["nodes"], np.float64),
            np.asarray(data["table"], np.float64),
        )


def _read_at(levels: tuple[float, ...], table: Doubles) -> Doubles:
    """The table at other levels than LEVELS, on a straight line between two of them: (C, M,
    len(levels))."""
    place = np.interp(levels, LEVELS, np.arange(len(LEVELS)))
    low = np.minimum(place.astype(np.int64), len(LEVELS) - 2)
    return np.asarray(table[:, :, low] + (place - low) * (table[:, :, low + 1] - table[:, :, low]))


def _neighbours(place: Doubles, count: int) -> list[tuple[NDArray[np.int64], Doubles]]:
    """The two entries of `count` that a fractional place lies between, and the share of each."""
    low = np.minimum(place.astype(np.int64), max(count - 2, 0))
    return [(low, 1 - (place - low)), (np.minimum(low + 1, count - 1), place - low)]


def believed(whole_units: bool) -> Scatter:
    """The scatter of forecasts whose errors were never observed: negative binomial for counts,
    gamma for measures."""
    nothing = np.zeros(0)
    nodes = np.log(np.geomspace(STEADIEST * 4, WILDEST / 4, 9))
    laws = [_Law.learn(nothing, nothing, float(np.exp(node)), whole_units) for node in nodes]
    return _tabulate(nodes, laws, whole_units)


def learn(mean: Floats, dispersion: Floats, units: Floats, whole_units: bool, seed: int) -> Scatter:
    """Learn from n honest forecasts: what was expected, how unsteady it was thought (variance /
    mean), and what came, (n,) each."""
    mean = np.maximum(np.asarray(mean, np.float64), 1e-6)
    unsteady = unsteadiness(mean, dispersion, whole_units)
    if len(mean) < LEAST // 4:
        return believed(whole_units)
    classes = int(np.clip(len(mean) // LEAST, 1, CLASSES))
    edges = (
        np.quantile(unsteady, np.linspace(0, 1, classes + 1)[1:-1]) if classes > 1 else np.zeros(0)
    )
    kind, random = np.searchsorted(np.unique(edges), unsteady), np.random.default_rng(seed)
    laws: dict[float, _Law] = {}
    for k in np.unique(kind):
        rows = np.flatnonzero(kind == k)
        chosen = np.sort(random.permutation(rows)[:MOST])
        node = float(np.median(unsteady[rows]))
        laws[float(np.log(node))] = _Law.learn(
            np.asarray(units, np.float64)[chosen], mean[chosen], node, whole_units
        )
    nodes = np.array(sorted(laws))
    return _tabulate(nodes, [laws[float(node)] for node in nodes], whole_units)


@dataclass(frozen=True)
class _Law:
    """One mixture of ratios: weights (K,) of components at `ratios`, the first of which is zero;
    each with `width` around it; mean one."""

    ratios: Doubles
    weights: Doubles
    width: float

    @classmethod
    def learn(cls, units: Doubles, mean: Doubles, unsteady: float, whole_units: bool) -> _Law:
        """The likeliest weights, by expectation maximisation from the gamma with this squared
        coefficient of variation."""
        deviation = np.sqrt(np.log1p(unsteady))
        ratio = units / np.maximum(mean, 1e-6)
        last = max(8.0 * deviation, float(np.log(max(ratio.max(initial=1.0), 1.0))) + deviation)
        ratios = np.exp(np.arange(-6.0 * deviation, last, STEP * deviation))
        between = np.sqrt(ratios[1:] * ratios[:-1])
        edges = np.concatenate([[0.0, ratios[0] * ratios[0] / between[0]], between, [np.inf]])
        prior = np.array(
            [
                gammainc(1 / unsteady, b / unsteady) - gammainc(1 / unsteady, a / unsteady)
                for a, b in pairwise(edges)
            ]
        )
        # What the belief rules out stays out: a component of no weight gets none by any outcome.
        possible = prior > 0
        possible[0] = True  # zero itself
        ratios, prior = np.concatenate([[0.0], ratios])[possible], prior[possible]
        width, weights = WIDTH * deviation, prior / prior.sum()
        if len(units):
            # the level of the class is not the shape's business: ratios are taken to their own mean
            level = units.sum() / max(mean.sum(), 1e-9) if units.any() else 1.0
            likely = _likelihood(units, mean * level, ratios, width, whole_units)
            for _ in range(ROUNDS):
                joint = likely * weights
                weights = PRIOR * prior + (
                    joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
                ).sum(axis=0)
                weights /= weights.sum()
            kept = weights > NEGLIGIBLE
            kept[0] = True
            ratios, weights = ratios[kept], weights[kept] / weights[kept].sum()
        return cls(ratios / max(float(weights @ ratios), 1e-9), weights, width)

    def cdf(self, units: Doubles, mean: float, whole_units: bool) -> Doubles:
        """P(Y <= units) of demand with this mean, (n,)."""
        size = 1 / self.width**2
        centre = np.maximum(mean * self.ratios[1:], 1e-12)[None, :]
        each = (
            betainc(size, units[:, None] + 1, size / (size + centre))
            if whole_units
            else gammainc(size, size * units[:, None] / centre)
        )
        return self.weights[0] + each @ self.weights[1:]


def _likelihood(
    units: Doubles, mean: Doubles, ratios: Doubles, width: float, whole_units: bool
) -> Doubles:
    """How likely each outcome is under each component, (n, K), every row on its own scale."""
    size, y = 1 / width**2, units[:, None]
    centre = np.maximum(mean[:, None] * ratios[None, 1:], 1e-12)
    if whole_units:
        log = gammaln(y + size) - gammaln(y + 1) - gammaln(size)
        log = log + size * np.log(size / (size + centre)) + y * np.log(centre / (size + centre))
    else:
        some = np.maximum(y, 1e-12)
        log = (
            (size - 1) * np.log(some)
            - size * some / centre
            - size * np.log(centre / size)
            - gammaln(size)
        )
        log = np.where(y > 0, log, -np.inf)
    log = np.column_stack([np.where(units == 0, 0.0, -np.inf), log])
    most = np.max(log, axis=1, keepdims=True)
    return np.exp(log - np.where(np.isfinite(most), most, 0.0))


def _tabulate(nodes: Doubles, laws: list[_Law], whole_units: bool) -> Scatter:
    table = np.stack(
        [
            [_inverse(law, mean, whole_units) for mean in (MEANS if whole_units else np.ones(1))]
            for law in laws
        ]
    )
    return Scatter(whole_units, nodes, table)


def _inverse(law: _Law, mean: float, whole_units: bool) -> Doubles:
    """Demand at LEVELS, (len(LEVELS),): the distribution is tabulated upwards until nothing is
    left, and read backwards."""
    top = mean * law.ratios[-1] * (1 + 6 * law.width) + 10
    if whole_units:
        far = np.unique(np.floor(np.geomspace(40.0, max(top, 41.0), 160)))
        points = np.concatenate([np.arange(40.0), far])
        reached = law.cdf(points, mean, True)
        points, reached = np.concatenate([[-1.0], points]), np.concatenate([[0.0], reached])
    else:
        spread = np.geomspace(law.ratios[1] * 0.2, law.ratios[-1] * (1 + 6 * law.width), 400) * mean
        points = np.concatenate([[0.0, 0.0], spread])
        reached = np.concatenate([[0.0, law.weights[0]], law.cdf(spread, mean, False)])
    reached = np.maximum.accumulate(reached)
    kept = np.concatenate([[True], np.diff(reached) > 1e-12])
    return np.interp(LEVELS, reached[kept], points[kept])
