"""What would have sold: demand in periods when the shelf was empty, recovered from what did sell
and from everybody else.

Sales under a stock-out are a lower bound. Demand is taken as negative binomial around level x
season x common rise or fall; a censored period is set to its expected demand given that at least
the sold units were wanted, and all is estimated again until it settles (expectation-maximisation).
Leaving such periods out instead is biased: shelves run empty when demand is high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.special import betainc

Floats = NDArray[np.float64]

ROUNDS = 40
#: The settled state: no series' total moves by more than this share in a round.
SETTLED = 1e-4


@dataclass(frozen=True)
class Latent:
    """Recovered demand (N, T) units, NaN where unknown and no bound; its expectation (N, T);
    variance = mean + overdispersion x mean²."""

    demand: Floats
    mean: Floats
    overdispersion: float


def recover(sold: Floats, censored: NDArray[np.bool_], season: int = 7, window: int = 56) -> Latent:
    """Replace censored periods by expected demand; all others keep what was sold.

    sold: (N, T) units, NaN = no record at all (left NaN). censored: (N, T), True = out of stock for
    some of the period.
    season: periods after which the pattern repeats. window: periods over which a series' level is
    taken as steady.
    """
    if sold.shape != censored.shape:
        raise ValueError(
            f"sold is {sold.shape} and censored {censored.shape}: both are series by period"
        )
    known = ~np.isnan(sold)
    at_least = np.maximum(np.where(known, sold, 0.0), 0.0)
    hidden = known & censored
    mean = _expectation(at_least, known & ~hidden, season, window)
    overdispersion, latent = 0.2, at_least
    for _ in range(ROUNDS):
        first, second = moments_above(mean, overdispersion, at_least)
        settled = np.where(hidden, first, at_least)
        squares = np.where(hidden, second, at_least**2)
        moved = np.abs(settled - latent).sum() / max(latent.sum(), 1e-9)
        latent = settled
        mean = _expectation(latent, known, season, window)
        overdispersion = _overdispersion(latent, squares, mean, known)
        if moved < SETTLED:
            break
    return Latent(np.where(known, latent, np.nan), mean, overdispersion)


def moments_above(mean: Floats, overdispersion: float, least: Floats) -> tuple[Floats, Floats]:
    """E[Y | Y >= least] and E[Y² | Y >= least] of a negative binomial with variance mean +
    overdispersion x mean², units.

    Multiplying a negative binomial probability by the count gives one with one success more, so
    both follow from its tail.
    """
    mean = np.maximum(mean, 1e-9)
    size, success = np.full_like(mean, 1 / overdispersion), 1 / (1 + overdispersion * mean)
    k = np.ceil(least)

    def tail(more: int) -> Floats:
        """P(Y' >= k - more), Y' with `more` successes more."""
        return np.where(k > more, 1 - betainc(size + more, np.maximum(k - more, 1.0), success), 1.0)

    above = np.maximum(tail(0), 1e-12)
    first = np.maximum(mean * tail(1) / above, least)
    pairs = mean**2 * (1 + overdispersion) * tail(2) / above
    return first, np.maximum(pairs + first, first**2)


def _expectation(demand: Floats, used: NDArray[np.bool_], season: int, window: int) -> Floats:
    """Level x season x common movement from the cells used: a centred window per series, a pattern
    and a curve for all."""
    values = np.where(used, demand, 0.0)
    usual = values.sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    phase = np.arange(demand.shape[1]) % season
    pattern = np.ones(season)
    for k in range(season):
        here = phase == k
        fair = (used[:, here] * usual[:, None]).sum()
        pattern[k] = values[:, here].sum() / fair if fair > 0 else 1.0
    factor = np.where(pattern > 0, pattern, 1e-3)[phase]
    # the longer the window, the less a series' own noise: at its own scale, counted in known
    # periods
    size = min(window, demand.shape[1])
    total = uniform_filter1d(values, size, axis=1, mode="constant")
    weight = uniform_filter1d(used * factor[None, :], size, axis=1, mode="constant")
    level = (total + usual[:, None] / size) / (weight + 1 / size)
    return np.asarray(level * factor[None, :])


def _overdispersion(
    demand: Floats, squares: Floats, mean: Floats, used: NDArray[np.bool_]
) -> float:
    spread = (squares - 2 * demand * mean + mean**2 - mean)[used].sum() / max(
        float((mean[used] ** 2).sum()), 1e-9
    )
    return float(np.clip(spread, 0.01, 10.0))
