"""The agent of a whole company: one small net shared by all items and locations, beside base-stock
on the forecast; it orders without JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from models.domain import Floats, Situation
from models.learning.rules import PLAIN, Ops, Params, View
from models.replenishment.base_policy import BasePolicy
from models.replenishment.notes import Note
from models.replenishment.order_rounding import smallest_order
from models.replenishment.policies import quantile_of_each
from models.replenishment.stock_projection import window_demand

#: What the net sees of a row, in order.
INPUTS = (
    "on_hand",
    "position",
    "due_before_next_review",
    "structured_order",
    "uncertainty",
    "smallest_order",
    "fractile",
    "window",
    "volume",
)
HIDDEN = 16
#: The most a correction may add or take, in a review interval's mean demand.
BOUND = 0.5
#: Rows that sell less than this in a review interval are seen as if they sold it, units.
LEAST = 0.5
#: How far beyond the training's range an input may lie, as a share of that range.
MARGIN = 0.1
#: Steps of the path along which a correction is split over the inputs, and the inputs it names.
PATH, NAMED = 16, 3


class ForecastSummary(NamedTuple):
    """What a row's forecast says, (..., N) units: mean and critical fractile of the decision
    window, mean and critical fractile of one review interval; and what does not change: smallest
    order, fractile, window (review intervals)."""

    mean: Any
    high: Any
    once: Any
    peak: Any
    smallest: Any
    fractile: Any
    window: Any

    @property
    def scale(self) -> Any:
        """A review interval's mean demand, never below LEAST."""
        return self.once + LEAST


def summary_of(situation: Situation) -> ForecastSummary:
    """The summary of a situation with sample paths. Raises ValueError without them."""
    within = replace(
        situation,
        lead_time=np.zeros_like(situation.lead_time),
        lead_time_paths=np.zeros((0, 0), dtype=np.int64),
    )
    demand, once = window_demand(situation), window_demand(within)
    fractile = situation.economics.fractile
    smallest = smallest_order(situation.moq, situation.order_multiple)
    return ForecastSummary(
        mean=demand.mean(axis=1),
        high=quantile_of_each(demand, fractile),
        once=once.mean(axis=1),
        peak=quantile_of_each(once, fractile),
        smallest=smallest if smallest.size else np.zeros_like(fractile),
        fractile=fractile,
        window=(situation.lead_time + situation.review) / situation.review,
    )


def beginning(seed: int) -> Params:
    """Base-stock at the critical fractile with a loose cap, and a net that corrects nothing."""
    random = np.random.default_rng(seed)
    return {
        "buffer": np.ones(1),
        "cap": np.full(1, 2.0),
        "weight0": random.normal(0.0, 1.0, (len(INPUTS), HIDDEN)) / np.sqrt(len(INPUTS)),
        "bias0": np.zeros(HIDDEN),
        "weight1": np.zeros(HIDDEN),
        "bias1": np.zeros(1),
    }


def structured(ops: Ops, params: Params, view: View, summary: ForecastSummary) -> Any:
    """Order up to mean + buffer x (fractile - mean) of the window, never more than cap x the
    fractile of one review interval at once."""
    level = summary.mean + params["buffer"] * (summary.high - summary.mean)
    most = params["cap"] * ops.xp.maximum(summary.peak, summary.smallest)
    return ops.xp.minimum(ops.xp.maximum(level - view.position, 0.0), most)


def inputs_of(ops: Ops, view: View, summary: ForecastSummary, need: Any, review: int) -> Any:
    """What the net sees, (..., N, inputs): units in a review interval's demand, tails drawn in."""
    scale = summary.scale
    still = ops.xp.zeros_like(view.position)
    parts = [
        view.on_hand / scale,
        view.position / scale,
        view.pipeline[..., :review].sum(axis=-1) / scale,
        need / scale,
        (summary.high - summary.mean) / scale + still,
        summary.smallest / scale + still,
        summary.fractile + still,
        summary.window + still,
        scale + still,
    ]
    return ops.xp.arcsinh(ops.xp.stack(parts, axis=-1))


def share(ops: Ops, params: Params, inputs: Any) -> Any:
    """The correction as a share of a review interval's demand, (..., N), within +/- BOUND."""
    inner = ops.xp.tanh(inputs @ params["weight0"] + params["bias0"])
    return BOUND * ops.xp.tanh(inner @ params["weight1"] + params["bias1"])


@dataclass(frozen=True)
class SharedAgent(BasePolicy):
    """The kept agent as a policy of the line.

    params: `buffer` and `cap` of the structured part, the net's weights, and `low`, `high`, `usual`
    (inputs,): the range of each input in training and its mean. Rows with an input outside the
    range are decided by the structured part alone, and a note says so.
    """

    params: Params
    name: str = "agent"

    def order(self, situation: Situation) -> Floats:
        """Whole units for every row, (N,): the structured part's order, changed by the net within
        the range of its training."""
        need, inputs, summary = self._seen(situation)
        change = np.where(self._is_outside(inputs), 0.0, share(PLAIN, self.params, inputs))
        return np.asarray(np.floor(np.maximum(need + change * summary.scale, 0.0) + 0.5))

    def notes(self, situation: Situation) -> Sequence[Note]:
        """Rows the structured part decides alone, as they are unlike anything in training."""
        _, inputs, _ = self._seen(situation)
        low, high = self._range()
        outside = (inputs < low) | (inputs > high)
        notes = []
        for k, name in enumerate(INPUTS):
            rows = np.flatnonzero(outside[:, k] & ~outside[:, :k].any(axis=1))
            if rows.size:
                notes.append(
                    Note(
                        "agent_handed_over",
                        "warning",
                        rows,
                        f"its {name.replace('_', ' ')} is outside what the agent was trained on:"
                        " the structured policy decides; train the agent anew",
                    )
                )
        return notes

    def explain(
        self, situation: Situation, need: Floats, as_sold: Floats | None = None
    ) -> dict[str, Floats]:
        """Expected demand, the structured buffer, what the net changed by the inputs that moved it
        most, and the stock position, (N,) units each.

        The net's change is split along the straight path from usual inputs to these (integrated
        gradients, Sundararajan et al. 2017), so that its parts add up.
        """
        base, inputs, summary = self._seen(situation)
        position = situation.position
        is_outside = self._is_outside(inputs)
        change = np.where(is_outside, 0.0, share(PLAIN, self.params, inputs)) * summary.scale
        level = np.where(base > 0, position + base, np.minimum(self._target(summary), position))
        level = np.where(need > 0, position + np.maximum(need - change, 0.0), level)
        parts = {"expected_demand": summary.mean, "buffer": level - summary.mean}
        change = np.where(need > 0, position + need - level, 0.0)
        parts |= self._split(inputs, summary, change, ~is_outside & (need > 0))
        return parts | {"stock_position": -position}

    def _split(
        self, inputs: Floats, summary: ForecastSummary, change: Floats, is_split: np.ndarray
    ) -> dict[str, Floats]:
        usual, shares = self.params["usual"], np.zeros_like(inputs)
        for step in range(PATH):
            at = usual + (step + 0.5) / PATH * (inputs - usual)
            inner = np.tanh(at @ self.params["weight0"] + self.params["bias0"])
            outer = np.tanh(inner @ self.params["weight1"] + self.params["bias1"])
            slope = ((1 - inner**2) * self.params["weight1"]) @ self.params["weight0"].T
            shares += BOUND * (1 - outer**2)[:, None] * slope * (inputs - usual) / PATH
        units = np.where(is_split[:, None], shares * summary.scale[:, None], 0.0)
        rank = np.argsort(np.argsort(-np.abs(units), axis=1), axis=1)
        units = np.where(rank < NAMED, units, 0.0)
        named = {f"agent_for_{name}": units[:, k] for k, name in enumerate(INPUTS)}
        return named | {"agent_otherwise": change - units.sum(axis=1)}

    def _seen(self, situation: Situation) -> tuple[Floats, Floats, ForecastSummary]:
        summary = summary_of(situation)
        view = View(situation.on_hand, situation.pipeline, situation.position)
        need = structured(PLAIN, self.params, view, summary)
        return need, inputs_of(PLAIN, view, summary, need, situation.review), summary

    def _target(self, summary: ForecastSummary) -> Floats:
        spread = summary.high - summary.mean
        return np.asarray(summary.mean + self.params["buffer"] * spread)

    def _range(self) -> tuple[Floats, Floats]:
        slack = MARGIN * (self.params["high"] - self.params["low"]) + 1e-6
        return self.params["low"] - slack, self.params["high"] + slack

    def _is_outside(self, inputs: Floats) -> np.ndarray:
        low, high = self._range()
        return np.asarray(((inputs < low) | (inputs > high)).any(axis=-1))
