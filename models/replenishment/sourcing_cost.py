"""Where to get it: suppliers, an expedited lorry or another location, alone or split, weighed by
expected cost in money."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from models.domain import Floats
from models.replenishment.order_rounding import orderable


@dataclass(frozen=True)
class Offer:
    """One way to get goods: from a supplier, faster at a premium, or from another location.

    days, probability: (K,) the lead-time distribution in days; probabilities add up to one. breaks:
    (from units, price a unit), the price of the highest break reached holds for all units.
    freight_per_unit: all it takes to bring one, in money; duty_share: of the price. order_cost:
    money. moq, multiple, capacity: units.
    """

    name: str
    days: Floats
    probability: Floats
    breaks: tuple[tuple[float, float], ...]
    freight_per_unit: float = 0.0
    duty_share: float = 0.0
    order_cost: float = 0.0
    moq: float = 0.0
    multiple: float = 1.0
    capacity: float = math.inf

    def __post_init__(self) -> None:
        if (
            not self.breaks
            or self.breaks[0][0] > self.moq
            or list(self.breaks) != sorted(self.breaks)
        ):
            raise ValueError(
                f"{self.name}: price breaks must rise and begin at or below the MOQ {self.moq:g}"
            )
        if len(self.days) != len(self.probability) or not math.isclose(
            float(np.sum(self.probability)), 1.0, abs_tol=1e-9
        ):
            raise ValueError(f"{self.name}: the lead-time probabilities must add up to one")

    def orderable(self, quantity: float) -> float:
        """The least quantity at or above this one that can be ordered: at least the MOQ, in whole
        multiples."""
        return orderable(quantity, self.moq, self.multiple)

    def price(self, quantity: float) -> float:
        """What a unit costs when this many are ordered."""
        return [cost for units, cost in self.breaks if units <= quantity][-1]

    def landed(self, quantity: float) -> float:
        """What this many units cost at the door: price at its break with its duty, freight and the
        order itself."""
        return (
            quantity * (self.price(quantity) * (1.0 + self.duty_share) + self.freight_per_unit)
            + self.order_cost
        )


@dataclass(frozen=True)
class Need:
    """Units that will be missing: quantity, wanted at `daily` units a day from day `first_day` on
    (when the shelf is empty).

    shortage_cost: money for one unit that is one day late, or, where buyers do not wait (unmet
    "lost"), for one unit not sold.
    holding_cost: money for one unit that is one day early.
    """

    quantity: float
    first_day: float
    daily: float
    shortage_cost: float
    holding_cost: float
    unmet: Literal["lost", "backlog"] = "backlog"


@dataclass(frozen=True)
class Choice:
    """What to order where, (offer, units), and what it is expected to cost: landed and waiting,
    money."""

    parts: tuple[tuple[str, float], ...]
    landed_cost: float
    waiting_cost: float

    @property
    def expected_cost(self) -> float:
        """What is paid and what early or late goods are expected to cost, money."""
        return self.landed_cost + self.waiting_cost


def waiting_cost(parts: Sequence[tuple[Offer, float]], need: Need) -> float:
    """Expected money for units that come late or early.

    Goods serve the need in order of arrival: the block that comes first covers the earliest days. A
    block that serves days s..e and comes on day t is early by the integral of (u - t)+ over its
    days, times the daily rate; late by that of (t - u)+ where buyers wait, and by the part of s..e
    before t where they do not. Lead times of different offers are independent.
    """
    grids = np.meshgrid(*(offer.days for offer, _ in parts), indexing="ij")
    arrival = np.stack([grid.ravel() for grid in grids])  # (parts, outcomes)
    chances = np.meshgrid(*(offer.probability for offer, _ in parts), indexing="ij")
    weight = np.prod(np.stack([chance.ravel() for chance in chances]), axis=0)
    order = np.argsort(arrival, axis=0, kind="stable")
    units = np.array([quantity for _, quantity in parts])[order]
    arrival = np.take_along_axis(arrival, order, axis=0)
    end = need.first_day + np.cumsum(units, axis=0) / need.daily
    start = end - units / need.daily
    waited = (np.maximum(arrival - start, 0) ** 2 - np.maximum(arrival - end, 0) ** 2) / 2
    late = np.clip(arrival - start, 0, end - start) if need.unmet == "lost" else waited
    early = (np.maximum(end - arrival, 0) ** 2 - np.maximum(start - arrival, 0) ** 2) / 2
    cost = need.daily * (need.shortage_cost * late + need.holding_cost * early)
    return float(weight @ cost.sum(axis=0))


def source(offers: Sequence[Offer], need: Need, steps: int = 20) -> Choice:
    """The cheapest way to meet a need in expected cost: one offer, or two that share it.

    steps: how finely a split is tried. Price breaks are tried too: ordering up to the next break
    may be cheaper. Raises ValueError where no offer can carry the need.
    """
    choices = [
        Choice(
            tuple((offer.name, units) for offer, units in parts),
            sum(offer.landed(units) for offer, units in parts),
            waiting_cost(parts, need),
        )
        for parts in _candidates(offers, need.quantity, steps)
    ]
    if not choices:
        raise ValueError(f"no offer and no pair of offers can deliver {need.quantity:g} units")
    return min(choices, key=lambda choice: (round(choice.expected_cost, 9), len(choice.parts)))


def _candidates(
    offers: Sequence[Offer], quantity: float, steps: int
) -> Iterator[list[tuple[Offer, float]]]:
    for offer in offers:
        sizes = {offer.orderable(quantity)} | {
            offer.orderable(units) for units, _ in offer.breaks if units > quantity
        }
        yield from ([(offer, units)] for units in sorted(sizes) if units <= offer.capacity)
    for one, other in combinations(offers, 2):
        for step in range(1, steps):
            first = one.orderable(quantity * step / steps)
            second = other.orderable(max(quantity - first, 0.0))
            if first < quantity and first <= one.capacity and 0 < second <= other.capacity:
                yield [(one, first), (other, second)]
