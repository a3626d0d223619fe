"""What the ERP hands over: the books as rows, each with the time at which it was recorded."""

from __future__ import annotations

from pathlib import Path

from generator.calendar import FRIDAY, LAST, at, day, indices
from generator.company import LANES, listed_from
from generator.invoices import Flows, Pair
from generator.stock import Books, Purchase, Transfer
from generator.write import write_csv

Row = dict[str, object]


def erp(out: Path, flows: Flows, books: Books, balances: dict[Pair, list[int]]) -> None:
    """Purchase orders, receipts, transfers, adjustments and weekly counts up to the last day; what
    lies beyond is still open."""
    write_csv(out / "purchase_orders.csv", (_order(line) for line in books.purchases))
    write_csv(
        out / "purchase_orders_closed.csv",
        (_order(line, line.ended_on) for line in books.purchases if line.ended_on is not None),
    )
    receipts = [
        (index, line, units)
        for line in books.purchases
        for index, units in line.receipts
        if 0 <= index <= LAST
    ]
    receipts.sort(key=lambda entry: (entry[0], entry[1].order_id, entry[1].line))
    write_csv(
        out / "receipts.csv",
        (
            {
                "receipt": f"GR-{number:05d}",
                "order": line.order_id,
                "line": line.line,
                "supplier": line.item.supplier.supplier_id,
                "item": line.item.item_id,
                "location": "DC1",
                "quantity": units,
                "received_at": at(index, "06:00"),
            }
            for number, (index, line, units) in enumerate(receipts, 1)
        ),
    )
    write_csv(
        out / "transfers/dispatched.csv", (_transfer(sent, known=False) for sent in books.transfers)
    )
    write_csv(
        out / "transfers/received.csv",
        (_transfer(sent, known=True) for sent in books.transfers if sent.arrived_on <= LAST),
    )
    write_csv(
        out / "adjustments.csv",
        (
            {
                "item": code,
                "location": place,
                "difference": delta,
                "reason": "count difference",
                "booked_at": at(index, "20:45"),
            }
            for (code, place), daily in sorted(books.adjustments.items())
            for index, delta in sorted(daily.items())
        ),
    )
    listed = {pair: listed_from(flows, *pair) for pair in balances}
    for index in [-1, *indices(FRIDAY, 0, LAST - 1)]:
        write_csv(
            out / f"stock_counts/{day(index)}.csv",
            (
                {
                    "item": code,
                    "location": place,
                    "on_hand": levels[index + 1],
                    "counted_at": at(index, "21:00"),
                }
                for (code, place), levels in sorted(balances.items())
                if levels[index + 1] or listed[code, place] <= max(index, 0)
            ),
        )
    write_csv(
        out / "opening_days.csv",
        (
            {
                "day": day(index).isoformat(),
                **{place: int(_is_open(flows, index)) for place in LANES},
                "published_on": ("2010-11-15" if index < 212 else "2011-06-15"),
            }
            for index in range(LAST + 32)
        ),
    )


def _order(line: Purchase, ended_on: int | None = None) -> Row:
    """An order line in the supplier's units and money, as it was placed or as it ended."""
    supplier = line.item.supplier
    cost = 0.0 if line.is_free else line.item.cost_at(line.ordered_on, line.quantity)
    return {
        "order": line.order_id,
        "line": line.line,
        "supplier": supplier.supplier_id,
        "item": line.item.item_id,
        "deliver_to": "DC1",
        "quantity": line.quantity // line.item.sold_by,
        "unit": "case" if supplier.sells_cases else "piece",
        "unit_cost": f"{cost:.2f}",
        "currency": supplier.currency,
        "ordered_at": at(line.ordered_on, supplier.ordered_at),
        "due_on": day(line.due_on).isoformat(),
        "status": "open" if ended_on is None else line.status,
        "changed_at": None if ended_on is None else at(ended_on, "17:00"),
    }


def _transfer(sent: Transfer, known: bool) -> Row:
    return {
        "transfer": sent.transfer_id,
        "item": sent.item_id,
        "from_location": "DC1",
        "to_location": sent.location_id,
        "quantity": sent.quantity,
        "dispatched_at": at(sent.sent_on, "07:00"),
        "due_at": at(sent.due_on, "06:00"),
        "received_at": at(sent.arrived_on, "06:00") if known else None,
    }


def _is_open(flows: Flows, index: int) -> bool:
    """Open on the days that were invoiced; after the last day, not on Saturdays and not from 23
    December to 3 January."""
    if index <= LAST:
        return index in flows.open_days
    return day(index).weekday() != 5 and not 13 < index - LAST < 26
