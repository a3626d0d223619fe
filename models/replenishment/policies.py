"""Policies that decide from a distribution of demand; the legacy baselines they are measured
against are in `classic_rules`.

Every policy turns a Situation into units to order, for all series at once; rounding to MOQ and
multiples is done by whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from models.domain import Floats, Policy, Situation, recent_mean
from models.replenishment.base_policy import BasePolicy, RegisteredPolicy, Unmet
from models.replenishment.classic_rules import (
    EoqReorderPoint,
    MinMax,
    MovingAverageCover,
    PeriodicReview,
    SpreadsheetRule,
)
from models.replenishment.order_rounding import smallest_order
from models.replenishment.safety_stock import PARTS, Target, explain_target
from models.replenishment.service_levels import implied_shortage_cost
from models.replenishment.stock_projection import (
    critical_order,
    drawn_out,
    expected_cost,
    window_demand,
)

#: The scale to decide with before any replay could tune it. Under lost sales judging an order on
#: one review interval alone orders
#: too much: what is left over is still there when the next orders come. Replays of VN2, UCI and
#: Favorita put the best scale at
#: 0.5 to 0.7, with little between (tests/benchmarks/bench_replay.py).
PRIOR_SCALE = {"lost": 0.7, "backlog": 1.0}


@dataclass(frozen=True)
class QuantileOrderUpTo(BasePolicy):
    """Order so much that one more unit would cost more to hold than it saves in lost sales, judged
    on sampled futures.

    Backlog: the order-up-to level is the fractile p / (p + h) of the window's demand. Lost sales:
    the same fractile of demand in the last review interval beyond the stock each path has left by
    then. scale multiplies p, to be tuned by replay (twin.tuning); left out, PRIOR_SCALE.
    service_level sets the fractile directly (p is then the cost it implies).
    """

    scale: float | None = None
    service_level: float | None = None
    whole_units: bool = True
    name: str = "quantile_order_up_to"
    #: Tried beside the prior: neighbours closer than these cost the same but for noise.
    settings: ClassVar[tuple[float, ...]] = (0.4, 1.0)

    def setting(self, unmet: Unmet) -> float:
        """The scale it decides with: its own, else the prior."""
        return PRIOR_SCALE[unmet] if self.scale is None else self.scale

    def with_setting(self, setting: float) -> Self:
        """The same policy with another scale."""
        return replace(self, scale=setting)

    def split(self, situation: Situation, as_sold: Floats | None = None) -> Target:
        """What it wants, split into its reasons: see safety_stock.explain_target."""
        return explain_target(
            situation,
            tuned=self.shortage(replace(situation, service_level=np.zeros(0))),
            promised=self.shortage(situation),
            as_sold=as_sold,
        )

    def explain(
        self, situation: Situation, need: Floats, as_sold: Floats | None = None
    ) -> dict[str, Floats]:
        """The order-up-to level's parts, (N,) units each: see safety_stock.Target."""
        target = self.split(situation, as_sold)
        return {name: getattr(target, name) for name in PARTS}

    def shortage(self, situation: Situation) -> Floats:
        """The p this policy decides with, shape (N,): what a lost unit costs, or more where a
        promised service level asks for it."""
        economics, held = (
            situation.economics,
            np.ones(1) if situation.economics.unmet == "backlog" else situation.interval,
        )
        if self.service_level is not None:
            return implied_shortage_cost(self.service_level, economics.holding, held)
        scale = self.setting(economics.unmet)
        if not situation.service_level.size:
            return economics.shortage * scale
        return np.maximum(
            economics.shortage * scale,
            implied_shortage_cost(situation.service_level, economics.holding, held),
        )

    def target(self, situation: Situation) -> Floats:
        """The order-up-to level as a stock position, shape (N,)."""
        return situation.position + critical_order(situation, self.shortage(situation))

    def order(self, situation: Situation) -> Floats:
        """Units of least expected cost, (N,), in multiples where the supplier has them. Raises
        ValueError without sample paths of demand."""
        quantity = np.maximum(critical_order(situation, self.shortage(situation)), 0.0)
        return self.in_multiples(situation, np.round(quantity) if self.whole_units else quantity)

    def in_multiples(self, situation: Situation, quantity: Floats) -> Floats:
        """Take the multiple below where it is expected to cost less than the one above; never below
        the smallest order."""
        if not situation.order_multiple.size:
            return quantity
        multiple = np.where(situation.order_multiple > 0, situation.order_multiple, 1.0)
        below = multiple * np.floor(quantity / multiple + 1e-9)
        undecided = np.flatnonzero(
            (below < quantity) & (below >= smallest_order(situation.moq, situation.order_multiple))
        )
        cost = expected_cost(
            situation,
            np.stack([below[undecided], below[undecided] + multiple[undecided]], axis=1),
            undecided,
            shortage=self.shortage(situation)[undecided],
        )
        chosen = quantity.copy()
        chosen[undecided] = below[undecided] + multiple[undecided] * (cost[:, 1] < cost[:, 0])
        return chosen


@dataclass(frozen=True)
class DisruptionAware(QuantileOrderUpTo):
    """The same rule told of events in force: an order placed now takes so much longer, and demand
    is so many times what was forecast.

    trust: the share of a delay and of a surge it believes lasts over its window, learned on other
    disruptions than those it is judged on.
    """

    trust: float = 1.0
    name: str = "disruption_aware"
    sees_events: ClassVar[bool] = True

    def split(self, situation: Situation, as_sold: Floats | None = None) -> Target:
        """What it wants, split into its reasons: see safety_stock.explain_target."""
        return super().split(informed(situation, self.trust), as_sold)

    def target(self, situation: Situation) -> Floats:
        """The order-up-to level as a stock position, shape (N,)."""
        return super().target(informed(situation, self.trust))

    def order(self, situation: Situation) -> Floats:
        """Units of least expected cost, (N,), on what events in force make of the forecast."""
        return super().order(informed(situation, self.trust))


def informed(situation: Situation, trust: float = 1.0) -> Situation:
    """The situation with lead times and sampled demand as events in force make them, each believed
    to this share; the same where nothing is told of any. Its paths are drawn out where needed."""
    if not situation.delay.size or situation.paths is None or trust == 0:
        return situation
    delay = np.rint(trust * situation.delay).astype(np.int64)
    factor = 1.0 + trust * (situation.surge - 1.0)
    paths = drawn_out(situation.paths, int(delay.max(initial=0)), situation.review)
    sampled = situation.lead_time_paths
    return replace(
        situation,
        memo=None,
        lead_time=situation.lead_time + delay,
        lead_time_paths=sampled + delay[:, None] if sampled.size else sampled,
        paths=paths * factor[:, None, None].astype(paths.dtype),
    )


@dataclass(frozen=True)
class Newsvendor(BasePolicy):
    """Order up to the fractile p / (p + h) of the demand that lead time and review bring: right
    under backlog, too much where unmet demand is lost."""

    scale: float = 1.0
    name: str = "newsvendor"

    def target(self, situation: Situation) -> Floats:
        """The order-up-to level as a stock position, shape (N,); scale multiplies p."""
        economics = situation.economics
        shortage = self.scale * economics.shortage
        level = shortage / np.maximum(shortage + economics.holding, 1e-12)
        return quantile_of_each(window_demand(situation), level)

    def order(self, situation: Situation) -> Floats:
        """Whole units that lift the position to its level, (N,). Raises ValueError without sample
        paths of demand."""
        return np.round(np.maximum(self.target(situation) - situation.position, 0.0))


@dataclass(frozen=True)
class BaseStock(Newsvendor):
    """The newsvendor's rule with p multiplied by what a replay says would have cost least."""

    name: str = "base_stock"
    settings: ClassVar[tuple[float, ...]] = (0.05, 0.1, 0.2, 0.4, 0.7)

    def setting(self, unmet: Unmet) -> float:
        """The scale it decides with."""
        return self.scale

    def with_setting(self, setting: float) -> Self:
        """The same policy with another scale."""
        return replace(self, scale=setting)


@dataclass(frozen=True)
class CappedBaseStock(BasePolicy):
    """Order up to a level, but never more than a cap at once: for long lead times and lost sales
    nearly as good as the optimum.

    level and cap: (N,) arrays or numbers. Left out, level is the fractile p / (p + h) of the
    window's demand and cap that of one review interval's demand, both from the sample paths.
    Source: Xin, Operations Research 69(1), 2021.
    """

    level: Floats | float | None = None
    cap: Floats | float | None = None
    name: str = "capped_base_stock"

    def target(self, situation: Situation) -> Floats:
        """The base-stock level as a stock position, shape (N,)."""
        if self.level is not None:
            return np.broadcast_to(self.level, situation.on_hand.shape).astype(
                np.float64, copy=False
            )
        return quantile_of_each(window_demand(situation), situation.economics.fractile)

    def order(self, situation: Situation) -> Floats:
        """Units that lift the position to its level, (N,), never more than the cap. Raises
        ValueError without sample paths of demand."""
        cap = self.cap
        if cap is None:
            none_yet = np.zeros_like(situation.lead_time)
            cap = quantile_of_each(
                window_demand(
                    replace(
                        situation,
                        lead_time=none_yet,
                        lead_time_paths=np.zeros((0, 0), dtype=np.int64),
                    )
                ),
                situation.economics.fractile,
            )
        return np.clip(self.target(situation) - situation.position, 0.0, cap)


@dataclass(frozen=True)
class ReorderPointOrderUpTo(BasePolicy):
    """(s, S): wait until the position falls below s, then order up to S; right where every order
    line costs money of its own.

    s is the level of QuantileOrderUpTo, S = s + sqrt(2 K d / h) with d the mean demand of a period
    on the paths.
    """

    scale: float | None = None
    name: str = "s_S"

    def target(self, situation: Situation) -> Floats:
        """The upper level S as a stock position, shape (N,)."""
        return QuantileOrderUpTo(scale=self.scale).target(situation) + self._batch(situation)

    def order(self, situation: Situation) -> Floats:
        """Whole units up to S, (N,), where the position is below s. Raises ValueError without
        sample paths of demand."""
        lacking = critical_order(situation, QuantileOrderUpTo(scale=self.scale).shortage(situation))
        return np.where(lacking > 0, np.round(lacking + self._batch(situation)), 0.0)

    def _batch(self, situation: Situation) -> Floats:
        if situation.paths is None:
            raise ValueError("(s, S) needs sample paths of demand: pass a forecast")
        mean = situation.paths.mean(axis=(1, 2), dtype=np.float64)
        economics = situation.economics
        return np.sqrt(2 * economics.order_cost * mean / np.maximum(economics.holding, 1e-12))


@dataclass(frozen=True)
class Smoothed(BasePolicy):
    """Another policy with its orders damped: an order goes only part of the way from usual demand
    to what is wanted.

    weight 1 is the policy itself, lower weights calm what the supplier sees (the bullwhip) and cost
    money downstream: replay prices it.
    """

    policy: Policy
    weight: float = 0.5
    window: int = 13
    name: str = "smoothed"

    def order(self, situation: Situation) -> Floats:
        """The other policy's order, damped, in whole units, (N,); none where it orders none."""
        need = self.policy.order(situation)
        usual = recent_mean(situation.history, self.window) * situation.review
        return np.where(need > 0, np.round(self.weight * need + (1 - self.weight) * usual), 0.0)


#: Every policy by the name the command line, the scorecard and the decisions use.
POLICIES: dict[str, RegisteredPolicy] = {
    policy.name: policy
    for policy in (
        QuantileOrderUpTo(),
        DisruptionAware(),
        Newsvendor(),
        BaseStock(),
        CappedBaseStock(),
        ReorderPointOrderUpTo(),
        EoqReorderPoint(),
        PeriodicReview(),
        # The textbook's two with the service level that the costs ask for: stronger opponents.
        EoqReorderPoint(service_level=None, name="eoq_reorder_point_fractile"),
        PeriodicReview(service_level=None, name="periodic_review_fractile"),
        MinMax(),
        MovingAverageCover(),
        SpreadsheetRule(),
    )
}

#: The rule that decides until a rehearsal says otherwise, and the one forecasters are compared on.
DEFAULT = QuantileOrderUpTo.name


def configured(name: str, setting: object = None) -> RegisteredPolicy:
    """A policy by its name, with the setting that a rehearsal tuned; as it is where none was, or it
    has none."""
    if name not in POLICIES:
        raise ValueError(
            f"there is no policy '{name}'; there are {', '.join(POLICIES)}, and one of your own "
            "needs its extension"
        )
    policy = POLICIES[name]
    return (
        policy.with_setting(setting) if policy.settings and isinstance(setting, float) else policy
    )


#: The baselines a company is likely to run today; always shown beside, never chosen silently.
LEGACY: tuple[str, ...] = tuple(name for name, policy in POLICIES.items() if policy.is_legacy)

__all__ = [
    "DEFAULT",
    "LEGACY",
    "POLICIES",
    "CappedBaseStock",
    "QuantileOrderUpTo",
    "RegisteredPolicy",
    "ReorderPointOrderUpTo",
    "Smoothed",
    "configured",
]


def quantile_of_each(values: Floats, level: Floats) -> Floats:
    """The least sampled value of each row that covers its level; values: (N, S), level: (N,)."""
    rank = np.ceil(level * values.shape[1] * (1 - 1e-9)).astype(np.int64) - 1
    return np.take_along_axis(
        np.sort(values, axis=1), np.clip(rank, 0, values.shape[1] - 1)[:, None], axis=1
    )[:, 0]
