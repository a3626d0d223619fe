"""What a unit really costs by the time it can be sold, and which way of getting it is cheapest in money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.domain import Floats, Situation
from models.replenishment.projection import project, required_horizon


@dataclass(frozen=True)
class LandedCost:
    """One unit's cost at the shelf, in parts that add up, shape (N,) each, money in the world's currency."""

    price: Floats
    freight: Floats
    fuel: Floats
    duty: Floats
    holding_in_transit: Floats

    @property
    def total(self) -> Floats:
        return self.price + self.freight + self.fuel + self.duty + self.holding_in_transit


def landed_cost(
    price: Floats,
    *,
    weight_kg: Floats,
    freight_per_kg: Floats,
    fuel_share: Floats,
    fuel_index: float = 1.0,
    volume_m3: Floats | None = None,
    freight_per_m3: Floats | None = None,
    duty_share: Floats | float = 0.0,
    transit_periods: Floats | float = 0.0,
    holding: Floats | float = 0.0,
) -> LandedCost:
    """Price + freight by lane, weight and volume + fuel + duty + the capital tied up on the way.

    Freight is charged by weight or by volume, whichever is dearer. fuel_share: the part of the freight rate that follows fuel;
    fuel_index: fuel's price now over its price when the rate was agreed. duty is paid on price and freight. holding: money a unit
    and period, transit_periods: how long it travels. All (N,) or numbers. Raises ValueError for a negative part.
    """
    rate = weight_kg * freight_per_kg
    if volume_m3 is not None and freight_per_m3 is not None:
        rate = np.maximum(rate, volume_m3 * freight_per_m3)
    parts = LandedCost(
        price=price,
        freight=rate,
        fuel=rate * fuel_share * (fuel_index - 1.0),
        duty=(price + rate) * duty_share,
        holding_in_transit=np.broadcast_to(np.asarray(holding) * np.asarray(transit_periods), np.shape(price)).astype(np.float64),
    )
    for name in ("price", "freight", "duty", "holding_in_transit"):
        if (getattr(parts, name) < 0).any():
            raise ValueError(f"landed cost: {name} of row {int(np.argmin(getattr(parts, name)))} is negative")
    return parts


@dataclass(frozen=True)
class Alternative:
    """One way to get an item: normal order, expedite, transfer from another location, substitute, buy ahead of a price rise.

    quantity: (N,) units. unit_cost: (N,) landed, money a unit. lead_time: (N,) whole periods.
    """

    name: str
    quantity: Floats
    unit_cost: Floats
    lead_time: np.ndarray


def compare_alternatives(situation: Situation, alternatives: Sequence[Alternative], usual_unit_cost: Floats) -> pl.DataFrame:
    """All ways in one list, in money: what each costs above the usual unit cost, and what it leaves of holding and shortage cost.

    Every way is judged on the same periods: from now to the end of the slowest one's window, so an early arrival gets its due.
    Returns row, alternative, quantity, extra_purchase_cost, expected_cost, total_cost, is_cheapest. Raises ValueError for an
    empty list.
    """
    if not alternatives:
        raise ValueError("no alternative was given to compare")
    slowest = max(required_horizon(replace(situation, lead_time=way.lead_time)) for way in alternatives)
    frames = []
    for way in alternatives:
        due = np.zeros((situation.on_hand.size, max(situation.pipeline.shape[1], int(way.lead_time.max()), 1)))
        due[:, : situation.pipeline.shape[1]] = situation.pipeline
        later = np.flatnonzero(way.lead_time > 0)
        due[later, way.lead_time[later] - 1] += way.quantity[later]
        stocked = situation.on_hand + np.where(way.lead_time == 0, way.quantity, 0.0)
        stock, unmet = project(replace(situation, on_hand=stocked, pipeline=due), slowest)
        economics = situation.economics
        left = economics.holding * stock.sum(axis=2).mean(axis=1) + economics.shortage * unmet.sum(axis=2).mean(axis=1)
        extra = way.quantity * (way.unit_cost - usual_unit_cost)
        frames.append(
            pl.DataFrame(
                {
                    "row": np.arange(stocked.size), "alternative": [way.name] * stocked.size, "quantity": way.quantity,
                    "extra_purchase_cost": extra, "expected_cost": left, "total_cost": extra + left,
                }
            )
        )  # fmt: skip
    cheapest = pl.col("total_cost").rank("ordinal").over("row") == 1
    return pl.concat(frames).sort("row", "total_cost", "alternative").with_columns(is_cheapest=cheapest)
