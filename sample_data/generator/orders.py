"""What customers have ordered and not got yet: the web shop's export, each order with its lines,
and the numbers under which the shop knows an item that are not the ERP's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from generator.calendar import LAST, at
from generator.write import write_csv, write_json


@dataclass(frozen=True)
class CustomerOrder:
    """An order of a market; lines are (item, ordered, delivered, status)."""

    order: str
    market: str
    ordered_at: str
    due_on: str | None
    lines: tuple[tuple[str, int, int, str], ...]


ORDERS = (
    CustomerOrder(
        "SO-70098", "ROW", "2011-11-24 09:12:00", "2011-12-08", (("22489", 96, 24, "backordered"),)
    ),
    CustomerOrder(
        "SO-70114",
        "UK",
        "2011-12-05 11:40:00",
        "2011-12-15",
        (("21212", 960, 0, "open"), ("84978", 144, 48, "part delivered")),
    ),
    CustomerOrder(
        "SO-70121",
        "CONT",
        "2011-12-07 14:05:00",
        "2011-12-19",
        (("22326", 240, 0, "open"), ("22551", 120, 0, "open")),
    ),
    CustomerOrder(
        "SO-70125",
        "UK",
        "2011-12-08 10:20:00",
        "2011-12-22",
        (("22634", 36, 0, "open"), ("22912", 12, 0, "open")),
    ),
    CustomerOrder("SO-70126", "IE", "2011-12-08 16:31:00", None, (("WEB-0117", 48, 0, "open"),)),
    CustomerOrder(
        "SO-70130", "UK", "2011-12-09 09:02:00", "2011-12-20", (("22694", 600, 0, "cancelled"),)
    ),
)
#: number in the shop → the item, or an older number of the shop
ALIASES = {"WEB-0117": "WEB-17", "WEB-17": "22469"}


def write(out: Path) -> None:
    """customer_orders.json: one document a line, lines inside their order; and aliases.csv."""
    write_csv(
        out / "aliases.csv",
        ({"kind": "item", "alias": alias, "id": meant} for alias, meant in ALIASES.items()),
    )
    write_json(
        out / "customer_orders.json",
        [
            {
                "exported_at": at(LAST, "20:00"),
                "order": one.order,
                "market": one.market,
                "ordered_at": one.ordered_at,
                "due_on": one.due_on,
                "lines": [
                    {
                        "line": number,
                        "item": item,
                        "quantity": quantity,
                        "delivered": delivered,
                        "status": status,
                    }
                    for number, (item, quantity, delivered, status) in enumerate(one.lines, 1)
                ],
            }
            for one in ORDERS
        ],
    )
