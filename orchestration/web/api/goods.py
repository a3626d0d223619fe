"""Receipts and invoices: what came, what was billed for it, and bills that a person lets pass."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from models.procurement.documents import in_money
from orchestration.app.goods_and_bills import BilledLine, OnLine, bill, heard
from orchestration.app.procurement import Desk
from orchestration.ledger import Receipt
from orchestration.web.api.answers import Cursor, Limit, after, cursor_of, listed
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import (
    Age,
    Body,
    Day,
    Done,
    Filter,
    Id,
    Instant,
    Money,
    Name,
    Units,
    Utc,
    cash,
    money,
)
from orchestration.web.api.writing import Key, Match, decide, meant, once

router = APIRouter(tags=["goods and bills"], responses=RESPONSES)
Receiver = Annotated[Caller, Depends(may("receipts:write"))]
Payables = Annotated[Caller, Depends(may("invoices:write"))]
Releaser = Annotated[Caller, Depends(may("invoices:write", "approver"))]
#: How far another machine's clock may be ahead of ours.
SKEW = timedelta(minutes=5)


class ReceiptRow(BaseModel):
    """Goods counted in for one order line."""

    seq: int
    receipt_id: str
    document_id: str
    order_id: str
    line_id: str
    item_id: str
    quantity: float
    rejected: float
    received_at: Utc
    recorded_by: str

    @classmethod
    def of(cls, found: OnLine) -> ReceiptRow:
        """A receipt out of its event."""
        event, line, said = found.event, found.line, found.event.payload
        return cls(
            seq=event.seq,
            receipt_id=said["receipt_id"],
            document_id=line.document_id,
            order_id=line.order_id,
            line_id=line.line_id,
            item_id=line.item_id,
            quantity=said["quantity"],
            rejected=said.get("rejected", 0.0),
            received_at=said["received_at"],
            recorded_by=event.actor,
        )


class InvoiceRow(BaseModel):
    """A bill for one order line, and what the three-way match made of it: received, matched, check,
    exception, payment_proposed."""

    seq: int
    invoice_id: str
    document_id: str
    order_id: str
    line_id: str
    from_id: str
    quantity: float
    unit_cost: str
    amount: str
    invoiced_on: str
    status: str
    reason: str

    @classmethod
    def of(cls, found: OnLine) -> InvoiceRow:
        """A bill out of its event, and what became of it out of its line."""
        event, line, said = found.event, found.line, found.event.payload
        now = line.invoices.get(said["invoice_id"], {})
        return cls(
            seq=event.seq,
            invoice_id=said["invoice_id"],
            document_id=line.document_id,
            order_id=line.order_id,
            line_id=line.line_id,
            from_id=line.from_id,
            quantity=said["quantity"],
            unit_cost=money(said["unit_cost"]),
            amount=cash(in_money(line.billed(said)), line.currency),
            invoiced_on=said.get("invoiced_on", ""),
            status=now.get("status", "received"),
            reason=now.get("reason", ""),
        )


class Receipts(BaseModel):
    """One page of receipts, in the order they were recorded."""

    age: Age
    next: str
    rows: list[ReceiptRow]


class Invoices(BaseModel):
    """One page of bills, in the order they were heard."""

    age: Age
    next: str
    rows: list[InvoiceRow]


class NewReceipt(Body):
    """Goods counted in. quantity: accepted units; rejected: turned away."""

    receipt_id: Name
    order_id: Name
    line_id: Name
    quantity: Units
    rejected: Units = 0.0
    received_at: Instant


class NewLine(Body):
    """Units billed for one order line, and the price of one."""

    line_id: Name
    quantity: Units
    unit_cost: Money


class NewInvoice(Body):
    """A bill for one order, in the world's currency. charges: what it adds to its lines."""

    invoice_id: Name
    order_id: Name
    invoiced_on: Day
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=500)]
    charges: Money = "0"


@router.get("/receipts", response_model=Receipts)
def receipts(
    one: Reading, document_id: Filter = "", limit: Limit = 50, cursor: Cursor = ""
) -> Response:
    """What came, in the order it was recorded: keep `next`'s place and ask again for what is
    new."""

    def make(desk: Desk) -> BaseModel:
        found, behind = _page(desk, "received", document_id, limit, cursor)
        return Receipts(age=Age.of(desk), next=behind, rows=[ReceiptRow.of(one) for one in found])

    return listed(one, "receipts", make)


@router.get("/invoices", response_model=Invoices)
def invoices(
    one: Reading, document_id: Filter = "", limit: Limit = 50, cursor: Cursor = ""
) -> Response:
    """What was billed, in the order it was heard, and how it was matched."""

    def make(desk: Desk) -> BaseModel:
        found, behind = _page(desk, "invoiced", document_id, limit, cursor)
        return Invoices(age=Age.of(desk), next=behind, rows=[InvoiceRow.of(one) for one in found])

    return listed(one, "invoices", make)


def _page(
    desk: Desk, kind: str, document_id: str, limit: int, cursor: str
) -> tuple[list[OnLine], str]:
    """What was heard behind a cursor, of one line or of all, and the cursor of the next page."""
    start = after(cursor, int)
    of = [document_id] if document_id else []
    found, more = heard(desk, kind, start[0] if start else 0, limit, of)
    return found, cursor_of(found[-1].event.seq) if more else ""


@router.post("/receipts", response_model=Done, responses=WRITING)
def receive(one: Receiver, body: NewReceipt, key: Key) -> Response:
    """Book goods in; a receipt that is known already is not booked again."""
    if body.received_at > datetime.now(UTC).replace(tzinfo=None) + SKEW:
        raise ValueError("body.received_at: it has not come yet; is that machine's clock right?")
    receipt = Receipt(
        body.receipt_id,
        body.order_id,
        body.line_id,
        body.quantity,
        body.received_at,
        body.rejected,
    )
    asked = meant(one, key, body)
    return once(asked, lambda desk: desk.ledger.record_receipts([receipt], one.name, desk.now))


@router.post("/invoices", response_model=Done, responses=WRITING)
def invoice(one: Payables, body: NewInvoice, key: Key) -> Response:
    """Hand in a bill that the company's books heard; it is matched with order and receipt."""
    billed = [BilledLine(ln.line_id, ln.quantity, float(ln.unit_cost)) for ln in body.lines]
    day, asked = date.fromisoformat(body.invoiced_on), meant(one, key, body)
    return once(
        asked,
        lambda desk: bill(
            desk, body.invoice_id, body.order_id, day, billed, Decimal(body.charges), one.name
        ),
    )


class Released(Body):
    """Which bill of the line is let pass."""

    invoice_id: Name


@router.post("/orders/{document_id}/release", response_model=Done, responses=WRITING)
def release(one: Releaser, document_id: Id, body: Released, key: Key, match: Match) -> Response:
    """Propose the payment of a bill that the match left to people, within the person's level."""
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: desk.ledger.release_payment(
            line.document_id, body.invoice_id, one.name, desk.now, seen
        ),
    )
