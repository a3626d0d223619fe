"""The agent of a whole company: one small net shared by all items and locations, beside the rule of
least expected cost; it orders without JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.domain import Floats, Situation, recent_mean
from models.learning.rules import PLAIN, Ops, Params, View
from models.replenishment.base_policy import BasePolicy
from models.replenishment.notes import Note
from models.replenishment.order_rounding import smallest_order
from models.replenishment.policies import PRIOR_SCALE, QuantileOrderUpTo
from models.replenishment.stock_projection import critical_order, window_demand

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
    "recent_demand",
    "usual_demand",
    "forecast_error",
)
HIDDEN = 16
#: The most a correction may add or take, in a review interval's mean demand.
BOUND = 0.5
#: Rows that sell less than this in a review interval are seen as if they sold it, units.
LEAST = 0.5
#: Review intervals of recent and of usual demand.
RECENT, USUAL = 4, 13
#: How far beyond the training's range an input may lie, as a share of that range.
MARGIN = 0.1
#: Steps of the path along which a correction is split over the inputs, and the inputs it names.
PATH, NAMED = 16, 3


class Outlook(NamedTuple):
    """What does not depend on the stock, by row, (..., N): mean demand of a review interval and
    deviation of the window's (units), smallest order, fractile, window (review intervals), demand a
    review interval of late and usually (units), and by how much all rows together sold more of late
    than is forecast (logarithm)."""

    once: Any
    spread: Any
    smallest: Any
    fractile: Any
    window: Any
    recent: Any
    usual: Any
    error: Any

    @property
    def scale(self) -> Any:
        """A review interval's mean demand, never below LEAST."""
        return self.once + LEAST


def outlook_of(situation: Situation) -> Outlook:
    """The outlook of a situation with sample paths. Raises ValueError without them."""
    review, fractile = situation.review, situation.economics.fractile
    spread = window_demand(situation).std(axis=1)
    once = (situation.paths if situation.paths is not None else np.zeros((0, 1, 1)))[:, :, :review]
    mean = once.sum(axis=2, dtype=np.float64).mean(axis=1)
    recent = review * recent_mean(situation.history, RECENT * review)
    smallest = smallest_order(situation.moq, situation.order_multiple)
    return Outlook(
        once=mean,
        spread=spread,
        smallest=smallest if smallest.size else np.zeros_like(fractile),
        fractile=fractile,
        window=(situation.lead_time + review) / review,
        recent=recent,
        usual=review * recent_mean(situation.history, USUAL * review),
        error=np.full(mean.size, np.log((recent.sum() + 1.0) / (mean.sum() + 1.0))),
    )


def beginning(seed: int) -> Params:
    """The rule of least expected cost at its prior scale, and a net that corrects nothing."""
    random = np.random.default_rng(seed)
    return {
        "scale": np.full(1, PRIOR_SCALE["lost"]),
        "weight0": random.normal(0.0, 1.0, (len(INPUTS), HIDDEN)) / np.sqrt(len(INPUTS)),
        "bias0": np.zeros(HIDDEN),
        "weight1": np.zeros(HIDDEN),
        "bias1": np.zeros(1),
    }


def inputs_of(ops: Ops, view: View, outlook: Outlook, need: Any, review: int) -> Any:
    """What the net sees, (..., N, inputs): units in a review interval's demand, tails drawn in.

    need: what the structured part lacks, below 0 in surplus.
    """
    scale = outlook.scale
    still = ops.xp.zeros_like(view.position)
    parts = [
        view.on_hand / scale,
        view.position / scale,
        view.pipeline[..., :review].sum(axis=-1) / scale,
        ops.xp.maximum(need / scale, -2.0),
        outlook.spread / scale + still,
        outlook.smallest / scale + still,
        outlook.fractile + still,
        outlook.window + still,
        scale + still,
        outlook.recent / scale + still,
        outlook.usual / scale + still,
        outlook.error + still,
    ]
    return ops.xp.arcsinh(ops.xp.stack(parts, axis=-1))


def share(ops: Ops, params: Params, inputs: Any) -> Any:
    """The correction as a share of a review interval's demand, (..., N), within +/- BOUND."""
    inner = ops.xp.tanh(inputs @ params["weight0"] + params["bias0"])
    return BOUND * ops.xp.tanh(inner @ params["weight1"] + params["bias1"])


@dataclass(frozen=True)
class SharedAgent(BasePolicy):
    """The kept agent as a policy of the line.

    params: `scale` of what a missing unit costs in the structured part, the net's weights, and
    `low`, `high`, `usual` (inputs,): the range of each input in training and its mean. Rows with an
    input outside the range are decided by the structured part alone, and a note says so.
    """

    params: Params
    name: str = "agent"

    @property
    def rule(self) -> QuantileOrderUpTo:
        """The structured part."""
        return QuantileOrderUpTo(scale=float(self.params["scale"][0]))

    def order(self, situation: Situation) -> Floats:
        """Whole units for every row, (N,): the structured part's order, changed by the net within
        the range of its training."""
        need, change, _ = self._seen(situation)
        quantity = np.floor(np.maximum(need + change, 0.0) + 0.5)
        return self.rule.in_multiples(situation, quantity)

    def notes(self, situation: Situation) -> Sequence[Note]:
        """Rows the structured part decides alone, as they are unlike anything in training."""
        _, _, inputs = self._seen(situation)
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
        """The parts of the structured order-up-to level, and what the net changed by the inputs
        that moved it most, (N,) units each.

        The net's change is split along the straight path from usual inputs to these (integrated
        gradients, Sundararajan et al. 2017), so that its parts add up.
        """
        base, change, inputs = self._seen(situation)
        parts = self.rule.explain(situation, need, as_sold)
        # where nothing is wanted in the end, the net took what was, or there is a surplus
        moved = np.where(need > 0, need - base, np.minimum(-base, 0.0))
        is_split = (change != 0) & (moved != 0)
        return parts | self._split(inputs, outlook_of(situation).scale, moved, is_split)

    def _split(
        self, inputs: Floats, scale: Floats, change: Floats, is_split: np.ndarray
    ) -> dict[str, Floats]:
        usual, shares = self.params["usual"], np.zeros_like(inputs)
        for step in range(PATH):
            at = usual + (step + 0.5) / PATH * (inputs - usual)
            inner = np.tanh(at @ self.params["weight0"] + self.params["bias0"])
            outer = np.tanh(inner @ self.params["weight1"] + self.params["bias1"])
            slope = ((1 - inner**2) * self.params["weight1"]) @ self.params["weight0"].T
            shares += BOUND * (1 - outer**2)[:, None] * slope * (inputs - usual) / PATH
        units = np.where(is_split[:, None], shares * scale[:, None], 0.0)
        rank = np.argsort(np.argsort(-np.abs(units), axis=1), axis=1)
        units = np.where(rank < NAMED, units, 0.0)
        named = {f"agent_for_{name}": units[:, k] for k, name in enumerate(INPUTS)}
        return named | {"agent_otherwise": change - units.sum(axis=1)}

    def _seen(self, situation: Situation) -> tuple[Floats, Floats, Floats]:
        """What the structured part lacks and the net's change, (N,) units, and the net's inputs."""
        need = critical_order(situation, self.rule.shortage(situation))
        outlook = outlook_of(situation)
        view = View(situation.on_hand, situation.pipeline, situation.position)
        inputs = inputs_of(PLAIN, view, outlook, need, situation.review)
        # one number for all rows: a miss beyond any in training counts as the largest there
        error = INPUTS.index("forecast_error")
        inputs[:, error] = inputs[:, error].clip(
            self.params["low"][error], self.params["high"][error]
        )
        change = share(PLAIN, self.params, inputs) * outlook.scale
        is_outside = self._is_outside(inputs)
        return need, np.where(is_outside, 0.0, change), inputs

    def _range(self) -> tuple[Floats, Floats]:
        slack = MARGIN * (self.params["high"] - self.params["low"]) + 1e-6
        return self.params["low"] - slack, self.params["high"] + slack

    def _is_outside(self, inputs: Floats) -> np.ndarray:
        low, high = self._range()
        return np.asarray(((inputs < low) | (inputs > high)).any(axis=-1))
