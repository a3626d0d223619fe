"""Other demand than the forecast's for the twin's futures: weeks of the past drawn at random, or a
synthetic company's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats


def drawn_from_history(
    history: Floats, block: int, samples: int, periods: int, seed: int
) -> Floats:
    """Futures put together from stretches of the past, the same stretch for all items at once, so
    that what sells together keeps selling together.

    history: (N, T) demand of past periods, the newest last; NaN, where it is unknown, counts as the
    item's usual. block: periods of a stretch, a week or a review, so that its days keep their
    places. Returns (N, samples, periods) units. Raises ValueError where the past is shorter than
    four stretches. Source: moving-block bootstrap, Kunsch (1989), blocks aligned.
    """
    count = history.shape[1] // block
    if count < 4:
        raise ValueError(
            f"history has {history.shape[1]} periods: drawing stretches of {block} needs four of "
            "them at least"
        )
    known = np.isfinite(history)
    total = np.where(known, history, 0.0).sum(axis=1)
    usual = total / np.maximum(known.sum(axis=1), 1)
    filled = np.where(known, history, usual[:, None])[:, -count * block :]
    stretches = filled.reshape(len(history), count, block)
    drawn = np.random.default_rng(seed).integers(0, count, (samples, -(-periods // block)))
    return stretches[:, drawn].reshape(len(history), samples, -1)[:, :, :periods]


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """How synthetic demand moves around each item's usual level.

    trend: growth until the last period, as a share. season, season_periods: a wave's height, as a
    share, and length. promotion, promotion_every, promotion_periods: by what factor sales rise, how
    often, for how long. surge, surge_chance: by what factor an item's sales jump, and the chance of
    it in a period. intermittent: share of periods in which nobody asks for an item. variation:
    standard deviation of a period with demand, as a share of its mean. correlation: of items' luck
    in one period, 0 to 1.
    """

    trend: float = 0.0
    season: float = 0.0
    season_periods: float = 1.0
    promotion: float = 1.0
    promotion_every: float = 1.0
    promotion_periods: float = 0.0
    surge: float = 1.0
    surge_chance: float = 0.0
    intermittent: float = 0.0
    variation: float = 0.5
    correlation: float = 0.0

    def mean(self, periods: int) -> Floats:
        """What an item of level one sells in each period on average, surges aside, (periods,)."""
        t = np.arange(periods)
        wave = 1 + self.season * np.sin(2 * np.pi * t / self.season_periods)
        is_promoted = t % self.promotion_every < self.promotion_periods
        return np.asarray(
            (1 + self.trend * t / max(periods - 1, 1))
            * wave
            * np.where(is_promoted, self.promotion, 1.0)
        )

    def drawn(self, level: Floats, samples: int, periods: int, seed: int) -> Floats:
        """Futures of items with these usual sales a period, (N,) units; returns (N, samples,
        periods) whole units.

        The same seed is the same luck: another pattern changes what it says and no more. Log-normal
        around the mean, zero-inflated.
        """
        random, shape = np.random.default_rng(seed), (len(level), samples, periods)
        shared = random.standard_normal(shape[1:])
        own, asked, jumps, rounding = random.standard_normal(shape), *random.random((3, *shape))
        luck = np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own
        spread = np.sqrt(np.log1p(self.variation**2))
        mean = level[:, None, None] * self.mean(periods) / (1 - self.intermittent)
        units = mean * np.exp(spread * luck - spread**2 / 2)
        units = np.where(jumps < self.surge_chance, units * self.surge, units)
        # up or down by chance, so that the mean stays
        return np.where(asked < self.intermittent, 0.0, np.floor(units + rounding))
