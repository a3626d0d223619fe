"""Demand of one period: discrete as probabilities (p[d] is that of d units), and laws to draw
from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.domain import Floats

#: What a tail may weigh before it is folded into the last quantity kept.
TAIL = 1e-12


@dataclass(frozen=True)
class Law:
    """Demand of one node: units a period, their deviation, and how they are drawn, alike every
    period. pmf: probabilities, where units are whole."""

    mean: float
    deviation: float
    draw: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    pmf: Floats | None = None

    @classmethod
    def of(cls, pmf: Floats) -> Law:
        """Whole units with these probabilities."""
        pmf = check(pmf)
        units, edges = np.arange(pmf.size), pmf.cumsum()[:-1]
        usual = mean(pmf)

        def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
            return np.searchsorted(edges, random.random(shape)).astype(np.float64)

        return cls(usual, float(np.sqrt((units - usual) ** 2 @ pmf)), draw, pmf)

    @classmethod
    def normal(cls, mean: float, deviation: float) -> Law:
        """Normal demand, what falls below 0 counted as 0; mean and deviation before that cut."""

        def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
            return np.maximum(random.normal(mean, deviation, shape), 0.0)

        return cls(mean, deviation, draw)


def poisson(mean: float) -> Floats:
    """Poisson demand, (D,)."""
    return _folded(stats.poisson(mean))


def geometric(mean: float) -> Floats:
    """Geometric demand from 0 on, (D,): P(d) = q (1 - q)^d with q = 1 / (1 + mean)."""
    return _folded(stats.geom(1.0 / (1.0 + mean), loc=-1))


def negative_binomial(mean: float, deviation: float) -> Floats:
    """Demand more scattered than Poisson's, (D,). Raises ValueError where it is not."""
    if deviation**2 <= mean:
        raise ValueError(
            f"demand: a negative binomial of mean {mean:g} needs a deviation above {mean**0.5:.3g}"
        )
    size = mean**2 / (deviation**2 - mean)
    return _folded(stats.nbinom(size, size / (size + mean)))


def check(pmf: Floats) -> Floats:
    """The probabilities as given. Raises ValueError where they are none."""
    pmf = np.asarray(pmf, dtype=np.float64)
    if pmf.ndim != 1 or not pmf.size or not (np.isfinite(pmf) & (pmf >= 0)).all():
        raise ValueError("demand: probabilities are a list of finite numbers, 0 or more")
    if abs(pmf.sum() - 1.0) > 1e-9:
        raise ValueError(f"demand: probabilities add up to {pmf.sum():.6f}, not to 1")
    return pmf


def mean(pmf: Floats) -> float:
    """Units a period."""
    return float(np.arange(pmf.size) @ pmf)


def over(pmf: Floats, periods: int) -> Floats:
    """Demand of several periods together; of none, surely 0."""
    total = np.ones(1)
    for _ in range(periods):
        total = np.convolve(total, pmf)
    return total


def quantile(pmf: Floats, level: float) -> int:
    """The least quantity that covers demand with this probability."""
    return int(np.searchsorted(pmf.cumsum(), level - 1e-12))


def _folded(law: stats.rv_discrete) -> Floats:
    last = int(law.isf(TAIL)) + 1
    pmf = law.pmf(np.arange(last + 1))
    pmf[-1] += law.sf(last)
    return np.asarray(pmf / pmf.sum())
