"""What a unit really costs by the time it can be sold: its price and all it takes to bring it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from models.domain import Floats


@dataclass(frozen=True)
class LandedCost:
    """One unit's cost at the shelf, in parts that add up, shape (N,) each, money in the world's
    currency."""

    price: Floats
    freight: Floats
    fuel: Floats
    duty: Floats
    holding_in_transit: Floats

    @property
    def total(self) -> Floats:
        """All parts together, (N,) money a unit."""
        return self.price + self.freight + self.fuel + self.duty + self.holding_in_transit

    def __add__(self, onward: LandedCost) -> LandedCost:
        """The cost after one more lane, whose own price is zero."""
        return LandedCost(
            *(getattr(self, part.name) + getattr(onward, part.name) for part in fields(self))
        )


def landed_cost(
    price: Floats | float,
    *,
    weight_kg: Floats | float,
    freight_per_kg: Floats | float,
    fuel_share: Floats | float,
    fuel_index: Floats | float = 1.0,
    volume_m3: Floats | float | None = None,
    freight_per_m3: Floats | float | None = None,
    duty_share: Floats | float = 0.0,
    transit_periods: Floats | float = 0.0,
    holding: Floats | float = 0.0,
) -> LandedCost:
    """Price + freight by lane, weight and volume + fuel + duty + the capital tied up on the way.

    Freight is charged by weight or by volume, whichever is dearer. fuel_share: the part of the
    freight rate that follows fuel;
    fuel_index: fuel's price now over its price when the rate was agreed. duty is paid on price and
    freight. holding: money a unit and period, transit_periods: how long it travels. All (N,) or
    numbers. Raises ValueError for a negative part.
    """
    paid = np.asarray(price, dtype=np.float64)
    rate = np.asarray(weight_kg, dtype=np.float64) * freight_per_kg
    if volume_m3 is not None and freight_per_m3 is not None:
        rate = np.maximum(rate, np.asarray(volume_m3, dtype=np.float64) * freight_per_m3)
    parts = LandedCost(
        price=paid,
        freight=rate,
        fuel=rate * fuel_share * (np.asarray(fuel_index) - 1.0),
        duty=(paid + rate) * duty_share,
        holding_in_transit=np.broadcast_to(
            np.asarray(holding) * np.asarray(transit_periods), paid.shape
        ).astype(np.float64),
    )
    for name in ("price", "freight", "duty", "holding_in_transit"):
        if np.any(getattr(parts, name) < 0):
            raise ValueError(
                f"landed cost: {name} of row {int(np.argmin(getattr(parts, name)))} is negative"
            )
    return parts
