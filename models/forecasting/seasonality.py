"""What the calendar does to the daily total of a group: weekdays, days of the month, promotions and
events as factors on a level.

A group's total is large and smooth, so a regression on every day of its past learns these factors
better than trees that see one origin a week; the level itself follows the last days. By
quasi-likelihood, so that a zero is an observation like any other. Source: McCullagh and Nelder,
Generalized Linear Models, 1989, chapter 9; with a ridge from each group towards all groups.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.design_matrix import Plans, calendar
from models.forecasting.inputs import Floats, Indices, Panel, Spec

#: Waves within a month (paydays, benefits paid in its first days): so many harmonics of a month of
#: 30.4 days.
WAVES = 4
MONTH = 30.4
#: The level follows the last days; one so many days old counts half.
HALF_LIFE = 5.0
#: A slow level is taken out before the factors are learned: the width of its bell, in days.
SLOW = 14.0
#: Days' worth of belief that a factor is one, and that a group's factors are those of all groups.
PRIOR = 1.0
ROUNDS = 5
#: A busy group that sold less than this share of the expected was closed, which says nothing of the
#: days around.
CLOSED, BUSY = 0.3, 20.0
#: The origin's features tell so many last days one by one, and of the days before them two means.
DAYS, MEANS = 8, (13, 28)
#: Days before the end of training whose factors are remembered: past plans are not told again at an
#: origin.
REMEMBERED = 56

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class CalendarTotals:
    """Forecasts a group's daily total: its recent level, cleared of the calendar, times what the
    calendar does to the day ahead.

    factors: log factors (G + 1, F), the last row those of all groups, for one not seen before;
    usual: mean plans (G + 1, P).
    remembered: log factors (G, D) of the last days of training, from period number `first` on.
    """

    spec: Spec
    groups: tuple[str, ...]
    factors: Doubles
    usual: Doubles
    first: int
    remembered: Doubles

    @classmethod
    def learn(cls, demand: Panel, planned: Plans, spec: Spec, before: int) -> CalendarTotals:
        """Learn from the totals `demand` (G, T) before period number `before`; planned: plans of
        the same groups."""
        observed = np.nan_to_num(demand.until(before).astype(np.float64))
        days = np.arange(observed.shape[1])
        plans, is_open = _plans(planned, np.arange(len(observed)), demand.first + days)
        usual = plans.mean(axis=1)
        effects = _effects(spec, demand.first + days, plans, usual)
        bell = np.exp(-0.5 * (np.subtract.outer(days, days) / SLOW) ** 2)
        size = np.maximum(observed.mean(axis=1, keepdims=True), 1e-9)
        common, own = np.zeros(effects.shape[2]), np.zeros((len(observed), effects.shape[2]))
        kept = np.ones_like(observed, dtype=bool)
        for _ in range(ROUNDS):
            shape = np.exp(_log_shape(effects, common + own)) * is_open
            mean = np.maximum(
                shape * ((observed * kept) @ bell) / np.maximum((shape * kept) @ bell, 1e-9), 1e-9
            )
            kept = (observed >= CLOSED * mean) | (mean < BUSY)
            error = np.clip(observed / mean - 1, -1, 2)
            weight = kept * np.minimum(mean / size, 5.0)
            shared = weight * np.sqrt(size / size.mean())
            step = _ridge(
                effects.reshape(-1, effects.shape[2]), shared.reshape(-1), error.reshape(-1), common
            )
            common = common + step
            rest = error - effects @ step
            own = own + np.stack(
                [_ridge(effects[g], weight[g], rest[g], own[g]) for g in range(len(own))]
            )
        shape = _log_shape(effects, common + own) + np.log(is_open)
        first = max(len(days) - REMEMBERED, 0)
        return cls(
            spec,
            tuple(demand.keys["item_id"].to_list()),
            np.vstack([common + own, common]),
            np.vstack([usual, usual.mean(axis=0)]),
            demand.first + first,
            shape[:, first:],
        )

    def forecast(self, totals: pl.DataFrame, planned: Plans) -> Floats:
        """Totals (G, H) of the groups of one origin date, rows as in `totals` and `planned`; NaN
        without any history."""
        origin = int(self.spec.index(totals["origin"])[0])
        number = {name: g for g, name in enumerate(self.groups)}
        group = np.array([number.get(name, -1) for name in totals["item_id"]], np.int64)
        level = self._level(totals, self._past(group, planned, origin))
        shape = self._shape(group, planned, origin + np.arange(self.spec.horizon))
        return np.asarray(level[:, None] * np.exp(shape), np.float32)

    def _shape(self, group: Indices, planned: Plans, periods: Indices) -> Doubles:
        """Log factors (G, T) of periods, as planned."""
        plans, is_open = _plans(planned, np.arange(len(group)), periods)
        effects = _effects(self.spec, periods, plans, self.usual[group])
        return np.asarray(_log_shape(effects, self.factors[group]) + np.log(is_open))

    def _past(self, group: Indices, planned: Plans, origin: int) -> Doubles:
        """Log factors (G, T) of the days before the origin, the last first: as remembered, else as
        planned where told, else as usual."""
        periods = origin - 1 - np.arange(max(MEANS))
        is_planned = periods >= max((panel.first for panel in planned.panels.values()), default=0)
        usual = np.broadcast_to(
            self.usual[group][:, None, :], (len(group), len(periods), self.usual.shape[1])
        )
        shape = _log_shape(
            _effects(self.spec, periods, usual, self.usual[group]), self.factors[group]
        )
        place = periods - self.first
        known = (group >= 0)[:, None] & ((place >= 0) & (place < self.remembered.shape[1]))[None, :]
        remembered = self.remembered[group][:, np.clip(place, 0, self.remembered.shape[1] - 1)]
        return np.where(
            known,
            remembered,
            np.where(is_planned[None, :], self._shape(group, planned, periods), shape),
        )

    def _level(self, totals: pl.DataFrame, shape: Doubles) -> Doubles:
        """What a group sells on a usual day, (G,): its last days over their factors, younger days
        counting more."""
        factor = np.exp(shape)
        days = np.stack([_column(totals, f"demand_lag_{k}") for k in range(1, DAYS + 1)], axis=1)
        usual = np.median(np.nan_to_num(days / factor[:, :DAYS]), axis=1, keepdims=True)
        expected = usual * factor[:, :DAYS]
        kept = np.isfinite(days) & ((days >= CLOSED * expected) | (expected < BUSY))
        weight = 0.5 ** (np.arange(max(MEANS)) / HALF_LIFE)
        sold = (weight[:DAYS] * np.where(kept, days, 0.0)).sum(axis=1)
        worth = (weight[:DAYS] * np.where(kept, factor[:, :DAYS], 0.0)).sum(axis=1)
        before, end = days.sum(axis=1), DAYS
        for length in MEANS:
            until = _column(totals, f"demand_mean_{length}") * length
            some = weight[end:length].mean()
            known = np.isfinite(until - before)
            sold += some * np.where(known, np.maximum(until - before, 0.0), 0.0)
            worth += some * np.where(known, factor[:, end:length].sum(axis=1), 0.0)
            before, end = until, length
        return np.where(worth > 0, sold / np.where(worth > 0, worth, 1.0), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """What was learned as plain numbers, for a model's card."""
        arrays = {name: getattr(self, name).tolist() for name in ("factors", "usual", "remembered")}
        return {"spec": asdict(self.spec), "groups": self.groups, "first": self.first, **arrays}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CalendarTotals:
        """What `to_dict` kept."""
        factors, usual, remembered = (
            np.asarray(data[name], np.float64) for name in ("factors", "usual", "remembered")
        )
        return cls(
            Spec.from_dict(data["spec"]),
            tuple(data["groups"]),
            factors,
            usual,
            data["first"],
            remembered,
        )


def _plans(planned: Plans, group: Indices, periods: Indices) -> tuple[Doubles, Doubles]:
    """What is planned for the groups, (G, T, 4): promotions, and events on the day, before and
    after; and the share open, (G, T)."""
    row, period = np.repeat(group, len(periods)), np.tile(periods, len(group))
    features = [("promotion_count", 0), *(("event_count", k) for k in (0, -1, 1))]
    plans = np.stack([planned.at(name, row, period + k, 0.0) for name, k in features], axis=-1)
    is_open = np.maximum(planned.at("is_open", row, period, 1.0), 0.01)
    shape = (len(group), len(periods))
    return plans.reshape(*shape, len(features)).astype(np.float64), is_open.reshape(shape).astype(
        np.float64
    )


def _effects(spec: Spec, periods: Indices, plans: Doubles, usual: Doubles) -> Doubles:
    """The regressors (G, T, F), each zero on a usual day: weekdays, waves of the month, plans."""
    weekday, day = calendar(spec, periods)[:, :2].astype(np.float64).T
    week = (weekday[:, None] == np.arange(1, 8)) - 1 / 7
    angle = 2 * np.pi * np.outer(day - 0.5, np.arange(1, WAVES + 1)) / MONTH
    dates = np.column_stack([week, np.cos(angle), np.sin(angle)])
    return np.concatenate(
        [np.broadcast_to(dates, (len(plans), *dates.shape)), plans - usual[:, None, :]], axis=2
    )


def _log_shape(effects: Doubles, factors: Doubles) -> Doubles:
    """Log factors (G, T), within bounds that no calendar exceeds."""
    return np.clip(np.matmul(effects, factors[:, :, None])[:, :, 0], -4.0, 4.0)


def _ridge(effects: Doubles, weight: Doubles, error: Doubles, factors: Doubles) -> Doubles:
    """The step from `factors` that takes relative errors out, drawn towards no effect."""
    weighted = effects * weight[:, None]
    normal = weighted.T @ effects + PRIOR * np.eye(effects.shape[1])
    return np.asarray(np.linalg.solve(normal, weighted.T @ error - PRIOR * factors))


def _column(frame: pl.DataFrame, name: str) -> Doubles:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
