"""Goods that came and bills for them, as the ledger heard of them; and a bill that the company's
own books heard."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from models.procurement.documents import Document, Event
from models.procurement.messages import Invoice, InvoicedLine
from models.procurement.unit_codes import PIECE
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import lines_of
from orchestration.ledger import Reception


@dataclass(frozen=True)
class OnLine:
    """Something that was heard of an order line, and the line as it is now."""

    event: Event
    line: Document


def heard(
    desk: Desk, kind: str, after: int, limit: int, document_ids: Collection[str] = ()
) -> tuple[list[OnLine], bool]:
    """Receipts (`received`) or bills (`invoiced`) after a sequence number, of some lines or of
    all, in the order they were heard; and whether there are more."""
    lines = {line.document_id: line for line in lines_of(desk)}
    events = desk.ledger.between(after, None, (kind,), limit + 1, document_ids)
    found = [OnLine(event, lines[event.document_id]) for event in events[:limit]]
    return found, len(events) > limit


@dataclass(frozen=True)
class BilledLine:
    """Stock units billed for one line of an order, and the cost of one in the company's money."""

    line_id: str
    quantity: float
    unit_cost: float


def bill(
    desk: Desk,
    invoice_id: str,
    order_id: str,
    invoiced_on: date,
    billed: Sequence[BilledLine],
    charges: Decimal,
    by: str,
) -> Reception:
    """Take a bill for one order of one supplier, matched as the supplier's own message would be.

    Raises ValueError for an order or line that is not there, or two bills for one line in it.
    """
    lines = {
        line.line_id: line
        for line in desk.ledger.lines()
        if line.order_id == order_id and line.is_approved and line.kind == "purchase"
    }
    if not lines:
        raise ValueError(f"body.order_id: there is no approved purchase order {order_id}")
    for one in billed:
        if one.line_id not in lines:
            raise ValueError(
                f"body.lines: order {order_id} has no line {one.line_id}; it has "
                f"{', '.join(sorted(lines))}"
            )
    if len({one.line_id for one in billed}) < len(billed):
        raise ValueError("body.lines: one line is billed twice; add its units up")
    invoice = Invoice(
        invoice_id,
        order_id,
        invoiced_on,
        desk.currency,
        tuple(
            InvoicedLine(
                one.line_id, lines[one.line_id].item_id, one.quantity, one.unit_cost, PIECE
            )
            for one in billed
        ),
        charges,
    )
    supplier = next(iter(lines.values())).from_id
    said = {
        "supplier": supplier,
        "invoice": invoice_id,
        "order": order_id,
        "on": invoiced_on.isoformat(),
        "charges": str(charges),
        "lines": [[one.line_id, one.quantity, one.unit_cost] for one in billed],
    }
    body = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return desk.ledger.bill(invoice, body, desk.partners[supplier], by, desk.now)
