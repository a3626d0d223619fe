"""The rules most companies run today, from the textbook and the spreadsheet: the baselines every
plan is shown beside.

All work from past demand alone. Unknown periods (stock-outs) are left out of means where the rule's
users would have left them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from models.domain import Floats, Integers, Situation, recent_mean
from models.replenishment.base_policy import BasePolicy


def recent_deviation(history: Floats, periods: int) -> Floats:
    """Standard deviation of demand in the last `periods` periods, unknown ones left out; shape
    (N,)."""
    window = history[:, -periods:]
    known = ~np.isnan(window)
    mean = recent_mean(history, periods)[:, None]
    squares = np.where(known, (np.where(known, window, 0.0) - mean) ** 2, 0.0).sum(axis=1)
    return np.sqrt(squares / np.maximum(known.sum(axis=1) - 1, 1))


def textbook_level(situation: Situation, service_level: float | None, window: int) -> Floats:
    """mean x (L + R) + z x sigma x sqrt(L + R): the textbook's stock level for normal, independent
    demand; shape (N,).

    service_level: z's probability; None takes each series' critical fractile p / (p + h).
    """
    level = situation.economics.fractile if service_level is None else service_level
    span = situation.lead_time + situation.interval
    mean, deviation = (
        recent_mean(situation.history, window),
        recent_deviation(situation.history, window),
    )
    return mean * span + ndtri(level) * deviation * np.sqrt(span)


@dataclass(frozen=True)
class EoqReorderPoint(BasePolicy):
    """When the position falls to the reorder point, order the economic order quantity sqrt(2 K d /
    h), or whole multiples of it.

    The reorder point is the textbook level. Where an order line costs nothing (K = 0) the quantity
    is one review interval's demand. Source: Harris 1913; Wilson 1934.
    """

    service_level: float | None = 0.95
    window: int = 52
    name: str = "eoq_reorder_point"
    is_legacy: ClassVar[bool] = True

    def order(self, situation: Situation) -> Floats:
        """Whole economic batches, (N,) units, wherever the position is at or below the reorder
        point."""
        mean = recent_mean(situation.history, self.window)
        economics = situation.economics
        batch = np.sqrt(2 * economics.order_cost * mean / np.maximum(economics.holding, 1e-12))
        batch = np.maximum(np.round(np.maximum(batch, mean * situation.interval)), 1.0)
        lacking = textbook_level(situation, self.service_level, self.window) - situation.position
        return np.where(
            (lacking >= 0) & (mean > 0), batch * np.maximum(np.ceil(lacking / batch), 1.0), 0.0
        )


@dataclass(frozen=True)
class PeriodicReview(BasePolicy):
    """Every review, order up to mean x (L + R) + z x sigma x sqrt(L + R)."""

    service_level: float | None = 0.95
    window: int = 26
    name: str = "periodic_review"
    is_legacy: ClassVar[bool] = True

    def target(self, situation: Situation) -> Floats:
        """The order-up-to level as a stock position, shape (N,)."""
        return textbook_level(situation, self.service_level, self.window)

    def order(self, situation: Situation) -> Floats:
        """Whole units that lift the position to its level, (N,)."""
        return np.maximum(np.ceil(self.target(situation) - situation.position - 1e-9), 0.0)


@dataclass(frozen=True)
class MinMax(BasePolicy):
    """When the position falls below min, order up to max; min and max are so many times the mean
    demand of the window L + R."""

    low: float = 1.5
    high: float = 2.5
    window: int = 26
    name: str = "min_max"
    is_legacy: ClassVar[bool] = True

    def order(self, situation: Situation) -> Floats:
        """Whole units up to max, (N,), where the position is below min."""
        demand = recent_mean(situation.history, self.window) * (
            situation.lead_time + situation.interval
        )
        position = situation.position
        return np.where(
            position < self.low * demand, np.ceil(self.high * demand - position - 1e-9), 0.0
        )


@dataclass(frozen=True)
class MovingAverageCover(BasePolicy):
    """Order up to so many periods of a 13-period moving average, seasonally adjusted: the benchmark
    of the VN2 challenge.

    cover: periods of forecast to order up to; left out, the window L + R and a third more (4 weeks
    for L = 2, R = 1). Seasonal factors are pooled over all series, one a phase of the year, and
    used only where the caller gives phases and a full cycle of history.
    """

    window: int = 13
    cover: int | None = None
    name: str = "moving_average_cover"
    is_legacy: ClassVar[bool] = True

    def target(self, situation: Situation) -> Floats:
        """So many periods of forecast, as a stock position; shape (N,)."""
        span = situation.lead_time + situation.interval
        cover = (
            np.broadcast_to(self.cover, span.shape)
            if self.cover is not None
            else np.ceil(span * 4 / 3).astype(np.int64)
        )
        past, coming = seasonal_factors(
            situation.history, situation.phase, int(cover.max(initial=1))
        )
        base = recent_mean(situation.history / past[None, :], self.window)
        return base * np.concatenate([[0.0], coming.cumsum()])[cover]

    def order(self, situation: Situation) -> Floats:
        """Whole units that lift the position to its level, (N,), to the nearest."""
        return np.maximum(np.round(self.target(situation) - situation.position), 0.0)


@dataclass(frozen=True)
class SpreadsheetRule(BasePolicy):
    """The average of the last four periods, empty cells as zero, times the window, plus a fifth for
    safety: what a spreadsheet does."""

    window: int = 4
    margin: float = 1.2
    name: str = "spreadsheet_rule"
    is_legacy: ClassVar[bool] = True

    def order(self, situation: Situation) -> Floats:
        """Whole units that lift the position to the window's average demand and a fifth, (N,)."""
        mean = (
            np.nan_to_num(situation.history[:, -self.window :]).mean(axis=1)
            if situation.history.shape[1]
            else 0.0
        )
        return np.maximum(
            np.ceil(
                mean * (situation.lead_time + situation.interval) * self.margin
                - situation.position
                - 1e-9
            ),
            0.0,
        )


def seasonal_factors(history: Floats, phase: Integers, coming: int) -> tuple[Floats, Floats]:
    """Pooled seasonal factors of the past periods (T,) and of the `coming` ones, mean 1; all 1
    without a calendar or a full cycle.

    A factor is the mean demand of all series and years in that phase over the mean of all phases; a
    phase never seen counts as 1.
    """
    periods = history.shape[1]
    past, future = np.ones(periods), np.ones(coming)
    if phase.size < periods + coming or np.unique(phase[:periods]).size < np.unique(phase).size:
        return past, future
    known = ~np.isnan(history)
    by_period = np.where(known, history, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    phases, index = np.unique(phase, return_inverse=True)
    seen = np.bincount(index[:periods], minlength=phases.size)
    factor = np.bincount(index[:periods], weights=by_period, minlength=phases.size) / np.maximum(
        seen, 1
    )
    factor = np.where(seen > 0, factor / max(factor[seen > 0].mean(), 1e-12), 1.0)
    factor = np.where(factor > 0, factor, 1.0)
    return factor[index[:periods]], factor[index[periods : periods + coming]]
