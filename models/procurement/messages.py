"""What buyer and supplier say to each other, whatever the format: order, change, acknowledgement,
ship notice, invoice, receipt of mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

Action = Literal["order", "add", "change", "cancel"]

#: Who looks at what no machine can take.
BUYER, PAYABLES, EDI_DESK = "buyer", "accounts payable", "EDI desk"
#: Line codes (see AcknowledgedLine) that promise goods, and those that promise none.
PROMISED, DENIED = ("IA", "IQ", "IP", "IC", "IB", "DR", "IS"), ("IR", "ID")
#: Of several codes on one line, the one a buyer must hear of first.
GRAVEST = ("IR", "ID", "IB", "IS", "IQ", "IP", "IC", "DR", "IA")


@dataclass(frozen=True)
class Party:
    """An address on an envelope: an id under a qualifier (ZZ: mutually agreed)."""

    id: str
    qualifier: str = "ZZ"


class MessageError(ValueError):
    """A message that cannot be written or read as it should: what is wrong, and where in it."""


class OddLineError(MessageError):
    """A line that is understood, and that only a person can answer."""


@dataclass(frozen=True)
class Odd:
    """What of a message cannot be taken by itself: of which order and line (empty where unsaid),
    why, and who looks at it."""

    order_id: str
    line_id: str
    reason: str
    owner: str


@dataclass(frozen=True)
class OrderedLine:
    """One line of an order or change: quantity in the supplier's unit (pieces where it is empty),
    unit_cost of one such unit in the order's currency. text: what people call the item."""

    line_id: str
    item_id: str
    quantity: float
    unit_cost: float
    due_on: date
    action: Action = "order"
    unit: str = ""
    text: str = ""


@dataclass(frozen=True)
class Wording:
    """What people read of an order where machines read ids, by id: items' and suppliers' names, the
    name and address of a location, and within how many days a supplier is paid."""

    items: Mapping[str, str] = field(default_factory=dict)
    suppliers: Mapping[str, str] = field(default_factory=dict)
    locations: Mapping[str, str] = field(default_factory=dict)
    payment_days: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """A purchase order (revision 0) or its n-th change, as the supplier is to read it.

    supplier_name, deliver_to (name and address), terms: for people, empty where nobody says them.
    """

    order_id: str
    supplier_id: str
    location_id: str
    ordered_on: date
    currency: str
    revision: int
    lines: tuple[OrderedLine, ...]
    is_whole: bool = True  # a cancellation of every line is the cancellation of the order
    supplier_name: str = ""
    deliver_to: str = ""
    terms: str = ""

    @property
    def has_units(self) -> bool:
        """Whether a line of it is counted in a unit of the supplier's own."""
        return any(line.unit for line in self.lines)


@dataclass(frozen=True)
class AcknowledgedLine:
    """The supplier's answer to one line.

    code: IA accepted, IQ quantity changed, IP price changed, IC changed, IB backordered, IR
    rejected, ID deleted, DR date changed, IS substituted. quantity: units promised. unit_cost,
    due_on: the promised price and day, None where unsaid. unit: in which it is counted and priced,
    by the name that unit_codes.py has for it; empty where unsaid.
    """

    line_id: str
    item_id: str
    code: str
    quantity: float
    unit_cost: float | None
    due_on: date | None
    reason: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Acknowledgement:
    """The answer to an order (855) or to a change (865), line by line.

    rest: the code that every line not in `named` (the lines the answer speaks of) is answered with;
    empty where nothing is said of them. due_on: the day promised for them.
    """

    order_id: str
    currency: str | None
    lines: tuple[AcknowledgedLine, ...]
    is_change: bool = False
    rest: str = ""
    named: tuple[str, ...] = ()
    due_on: date | None = None


@dataclass(frozen=True)
class ShippedLine:
    """Units of one order's line that are on their way; unit as in AcknowledgedLine."""

    order_id: str
    line_id: str
    item_id: str
    quantity: float
    unit: str = ""


@dataclass(frozen=True)
class ShipNotice:
    """What left the supplier under one shipment id, and when it should be here (None where
    unsaid)."""

    shipment_id: str
    due_on: date | None
    lines: tuple[ShippedLine, ...]


@dataclass(frozen=True)
class InvoicedLine:
    """Units billed for one line, and the price of one in the invoice's currency; unit as in
    AcknowledgedLine."""

    line_id: str
    item_id: str
    quantity: float
    unit_cost: float
    unit: str = ""


@dataclass(frozen=True)
class Invoice:
    """A bill for one order, in its currency.

    charges: what it adds to its lines (freight, tax). rounding: what its total is more than its
    lines, each rounded to the currency's minor unit. credits: of a credit note, the invoice that it
    takes back of, empty where it names none; None where the bill is an invoice.
    """

    invoice_id: str
    order_id: str
    invoiced_on: date
    currency: str | None
    lines: tuple[InvoicedLine, ...]
    charges: Decimal
    rounding: Decimal = Decimal(0)
    credits: str | None = None


@dataclass(frozen=True)
class Received:
    """The partner's translator took (or refused) what we sent: by group control number (997) or
    interchange (TA1)."""

    control: int
    is_accepted: bool
    note: str


Message = Acknowledgement | ShipNotice | Invoice | Received | Odd
