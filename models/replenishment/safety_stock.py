"""Dynamic safety stock: an output of the decision, never an input, and split into the reasons it is
there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.domain import Floats, Situation
from models.replenishment.stock_projection import (
    critical_order,
    expected_shortfall,
    remembering,
    window_demand,
)


@dataclass(frozen=True)
class Target:
    """What the order is built from, per series in units, shape (N,) each; the eight add up to
    need.

    expected_demand: mean demand of the window. lost_before_arrival: demand expected to be lost
    before the order can come, which it need not cover (0 or less). demand_noise: buffer for demand
    being uncertain. lead_time_noise: for suppliers being early or late. calibration: what tuning by
    replay adds or takes. service_floor: what a promised service level adds. censoring: the share of
    expected demand seen only because stock-outs are not read as "nobody wanted it". stock_position:
    on hand, on the way and owed, negated. need: units before rounding, negative in surplus.
    """

    expected_demand: Floats
    lost_before_arrival: Floats
    demand_noise: Floats
    lead_time_noise: Floats
    calibration: Floats
    service_floor: Floats
    censoring: Floats
    stock_position: Floats
    need: Floats

    @property
    def order_up_to(self) -> Floats:
        """The order-up-to level as a stock position."""
        return self.need - self.stock_position

    @property
    def safety_stock(self) -> Floats:
        """Order-up-to level less the demand the window is expected to bring."""
        return self.order_up_to - self.expected_demand - self.censoring

    def parts(self, row: int) -> dict[str, float]:
        """The eight parts of one row, in the order a planner reads them."""
        return {name: float(getattr(self, name)[row]) for name in PARTS}


PARTS = (
    "expected_demand",
    "censoring",
    "lost_before_arrival",
    "demand_noise",
    "lead_time_noise",
    "calibration",
    "service_floor",
    "stock_position",
)


def explain_target(
    situation: Situation, *, tuned: Floats, promised: Floats, as_sold: Floats | None = None
) -> Target:
    """Split what a quantile policy wants into its reasons, by taking them away one after the other.

    First the textbook fractile at the planned lead time, then the lead time's spread, then the
    policy's own tuning. tuned: (N,) the cost of a lost unit it decides with where nobody promised a
    service level; promised: (N,) where somebody did.
    as_sold: (N,) mean demand had stock-out periods been taken at what was sold, as a share of what
    it is without them; left out, nothing is put down to censoring.
    """
    situation = remembering(situation)
    certain = remembering(replace(situation, lead_time_paths=np.zeros((0, 0), dtype=np.int64)))
    costs = situation.economics.shortage
    mean = window_demand(certain).mean(axis=1)
    net_need = expected_shortfall(certain)
    textbook = critical_order(certain, costs)
    late = critical_order(situation, costs) if situation.lead_time_paths.size else textbook
    freely = critical_order(situation, tuned)
    need = critical_order(situation, promised) if situation.service_level.size else freely
    seen = mean if as_sold is None else mean * as_sold
    return Target(
        expected_demand=seen,
        lost_before_arrival=net_need - mean + situation.position,
        demand_noise=textbook - net_need,
        lead_time_noise=late - textbook,
        calibration=freely - late,
        service_floor=need - freely,
        censoring=mean - seen,
        stock_position=-situation.position,
        need=need,
    )
