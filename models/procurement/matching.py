"""The three-way match: what was ordered, what came and what was billed, many receipts and invoices
to one order line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Status = Literal["not_started", "matched", "check", "exception"]

NOTHING_YET = "no receipt and no invoice yet"
NOTHING_RECEIVED = "invoiced but nothing received"
BILLED_TOO_MUCH = "billed for more than was received"
OVER_DELIVERED = "received more than was ordered"
BILLED_UNORDERED = "billed for more than was ordered"
SHORT = "short delivery against the order"
PRICE_DIFFERS = "invoice price differs from the order price"
VALUE_GAP = "value gap with matching quantities"
ORPHAN = "receipt or invoice with no matching order line"


@dataclass(frozen=True)
class Tolerance:
    """What may differ without a person looking: units, money in the order's currency, and the price
    in percent.

    quantity counts only up to quantity_percent of the order, so that one unit more of a hundred may
    pass and one more of one may not; a price may differ by price_percent however little money that
    is. A difference within twice the units, twice the percentage and three times the money is worth
    a check; beyond it is an exception.
    """

    quantity: float = 0.0
    value: float = 1.0
    price_percent: float = 0.5
    quantity_percent: float = 2.0

    def units(self, ordered: Decimal) -> Decimal:
        """The units that may differ of an order of so many."""
        return min(_exact(self.quantity), ordered * _exact(self.quantity_percent) / 100)


@dataclass(frozen=True)
class Match:
    """The verdict on one order line; variances are billed less received, in units and money."""

    status: Status
    reason: str
    quantity_variance: Decimal
    value_variance: Decimal


def match(
    ordered: float | None,
    unit_cost: float,
    received: Sequence[float],
    invoiced: Sequence[tuple[float, float]],
    tolerance: Tolerance,
) -> Match:
    """Match the receipts and invoices of one order line.

    ordered: units, None where no order is known. unit_cost: the ordered price. received: accepted
    units by receipt. invoiced: (units, price) by invoice. Only what was ordered, came and was
    billed alike, each bill at the ordered price, is matched: a bill is compared with the order as
    well as with the receipts, and its price whatever the sum. The first reason that applies is
    given: nothing received, billed over received, received over ordered, billed over ordered,
    short, price, value; an orphan before all of them. Money and units are compared as exact
    decimals.
    """
    price = _exact(unit_cost)
    accepted = sum((_exact(units) for units in received), Decimal(0))
    billed = sum((_exact(units) for units, _ in invoiced), Decimal(0))
    value = sum((_exact(units) * _exact(cost) for units, cost in invoiced), Decimal(0))
    units_off = billed - accepted
    if ordered is None:
        return Match("exception", ORPHAN, units_off, value)
    money_off = value - accepted * price
    if not accepted and not billed:
        return Match("not_started", NOTHING_YET, units_off, money_off)
    agreed = _exact(ordered)
    price_off = max(
        (abs(_exact(cost) - price) for units, cost in invoiced if units), default=Decimal(0)
    )
    gaps = (
        (max(abs(units_off), accepted - agreed, billed - agreed), tolerance.units(agreed), 2),
        (price_off, price * _exact(tolerance.price_percent) / 100, 2),
        (abs(money_off), _exact(tolerance.value), 3),
    )
    if all(gap <= allowed for gap, allowed, _ in gaps):
        return Match("matched", "", units_off, money_off)
    status: Status = (
        "check" if all(gap <= times * allowed for gap, allowed, times in gaps) else "exception"
    )
    reasons = (
        (not accepted, NOTHING_RECEIVED),
        (billed > accepted, BILLED_TOO_MUCH),
        (accepted > agreed, OVER_DELIVERED),
        (billed > agreed, BILLED_UNORDERED),
        (accepted < agreed, SHORT),
        (price_off > price * _exact(tolerance.price_percent) / 100, PRICE_DIFFERS),
    )
    return Match(
        status, next((why for applies, why in reasons if applies), VALUE_GAP), units_off, money_off
    )


def _exact(value: float) -> Decimal:
    """The decimal number that was written, not its nearest binary neighbour."""
    return Decimal(repr(float(value)))
