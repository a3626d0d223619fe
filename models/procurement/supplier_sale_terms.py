"""How a supplier sells what we count in stock units and our own money: his unit, and his currency.

A line is kept, approved, received and matched in stock units and the company's currency; only what
a supplier reads, and what he says, is in his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.procurement import exact_numbers
from models.procurement.unit_codes import PIECE, unit_named

#: Digits of a reckoned price that count: its rate and its stock unit's cost have some more.
PRICE_DIGITS = 10


@dataclass(frozen=True)
class Sale:
    """On what terms a line is sold.

    unit: what the supplier calls what he sells, empty for pieces. holds: stock units in one of it.
    currency: of his price, by ISO 4217; empty for the company's. rate: what one unit of that
    currency is worth in the company's.
    """

    unit: str = ""
    holds: float = 1.0
    currency: str = ""
    rate: float = 1.0

    @property
    def name(self) -> str:
        """The unit by the one name that every spelling and code of it is read as."""
        return unit_named(self.unit) if self.unit else PIECE

    def to_payload(self) -> dict[str, Any]:
        """What an event keeps of it; nothing where the supplier sells as we count and pay."""
        return {} if self == Sale() else asdict(self)

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Sale:
        """The terms that a line was kept with."""
        return cls(**payload)

    def sold(self, quantity: float) -> float:
        """So many stock units in the supplier's unit."""
        return exact_numbers.stated(quantity / self.holds)

    def price(self, unit_cost: float) -> float:
        """The price of one of the supplier's units in his currency, for the cost of a stock unit in
        ours."""
        if self == Sale():
            return exact_numbers.stated(unit_cost)
        return float(f"{unit_cost * self.holds / self.rate:.{PRICE_DIGITS}g}")

    def counted(self, said: float, ordered: float) -> float:
        """So many of the supplier's units in stock units; what was ordered comes back as it was."""
        if said == self.sold(ordered):
            return ordered
        return said if self.holds == 1 else round(said * self.holds, 9)

    def cost(self, said: float, unit_cost: float) -> float:
        """A price of the supplier's as the cost of a stock unit in our currency, at the rate of the
        order; the price that was ordered at comes back as it was."""
        if said == self.price(unit_cost):
            return unit_cost
        return said if self.holds == self.rate == 1 else exact_numbers.stated(said * self.worth)

    @property
    def worth(self) -> float:
        """What a price of 1 for one of his units is for one stock unit, in our currency."""
        return self.rate / self.holds
