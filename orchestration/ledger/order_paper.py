"""An order on paper, for a person: what the items are called, where they go, on which terms, and
what it all costs."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path

import typst

from models.procurement import exact_numbers
from models.procurement.currencies import coin, cost
from models.procurement.messages import Order, OrderedLine
from models.procurement.unit_codes import PIECE
from models.safe_names import legible

PAGE = Path(__file__).with_name("order_paper.typ")
LONGEST = 120  # signs of a name or an address


def paper(order: Order, title: str, buyer: str) -> bytes:
    """The order as a PDF, the same bytes for the same order; buyer: who orders, as the supplier
    reads it."""
    said = {
        "title": title,
        "date": order.ordered_on.isoformat(),
        "blocks": [
            {"title": "Supplier", "lines": _named(order.supplier_name, order.supplier_id)},
            {"title": "Deliver to", "lines": _named(order.deliver_to, order.location_id)},
            {"title": "Buyer, bills to", "lines": _lines(buyer)},
        ],
        "columns": _columns(order),
        "rows": [_row(line, order) for line in order.lines],
        "total": f"Total {_total(order)} {order.currency}",
        "notes": [f"Terms: {order.terms}"] if order.terms else [],
    }
    return typst.compile(
        PAGE.read_bytes(), font_paths=_fonts(), sys_inputs={"order": json.dumps(said)}
    )


@cache
def _fonts() -> typst.Fonts:
    """Its own, and for signs that these lack the machine's; found once."""
    return typst.Fonts()


def _named(name: str, thing_id: str) -> list[str]:
    return [*(_lines(name) if name != thing_id else []), legible(thing_id, 40)]


def _lines(said: str) -> list[str]:
    """A name and address as an envelope has it: a part a line."""
    return [part.strip() for part in legible(said, LONGEST).split(",") if part.strip()]


def _columns(order: Order) -> list[dict[str, object]]:
    """What stands over the lines: actions where it changes an order, names where items have any,
    units where the supplier has his own."""
    titles = ["line", *(["action"] if order.revision else []), "item"]
    titles += [*(["description"] if _has_names(order) else []), "quantity"]
    titles += [*(["unit"] if order.has_units else []), "price", order.currency, "due"]
    shares = {"item": 2, "description": 5}
    numbers = ("line", "quantity", "price", order.currency)
    return [
        {"title": title, "share": shares.get(title, 0), "is_number": title in numbers}
        for title in titles
    ]


def _has_names(order: Order) -> bool:
    return any(line.text not in ("", line.item_id) for line in order.lines)


def _row(line: OrderedLine, order: Order) -> list[str]:
    cells = [
        line.line_id,
        *([line.action] if order.revision else []),
        line.item_id,
        *([line.text] if _has_names(order) else []),
        f"{Decimal(exact_numbers.text(line.quantity)):,}",
        *([line.unit or PIECE] if order.has_units else []),
        _price(line.unit_cost, order.currency),
        f"{cost(line.quantity, line.unit_cost, order.currency):,}",
        line.due_on.isoformat(),
    ]
    return [legible(cell, LONGEST) for cell in cells]


def _price(unit_cost: float, currency: str) -> str:
    """A price in whole coins, or with the digits beyond them that it has."""
    exactly = Decimal(exact_numbers.text(unit_cost))
    coins = exactly.quantize(coin(currency))
    return f"{coins if coins == exactly else exactly:,}"


def _total(order: Order) -> str:
    """What the lines here that are still wanted cost together."""
    wanted = (line for line in order.lines if line.action != "cancel")
    costs = (cost(line.quantity, line.unit_cost, order.currency) for line in wanted)
    return f"{sum(costs, Decimal(0)):,}"
