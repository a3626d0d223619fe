"""Goods at the door, answers that do not come, and how well the robot does: what keeps the cycle
moving after the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from models.procurement.actors import MATRIX, SENDER
from models.procurement.approval import Evidence
from models.procurement.documents import Document, in_money
from models.procurement.matching import Tolerance
from models.procurement.messages import BUYER
from models.procurement.scorecard import observe, scorecard
from orchestration.ledger.invoice_matching import settle
from orchestration.ledger.schema import documents
from orchestration.ledger.store import LedgerError, Unit

#: How receipts begin that a company's own systems reported: they have landed already, and must not
#: land again as the ledger's.
FROM_ERP = "ERP-"


@dataclass(frozen=True)
class Receipt:
    """Goods counted in: accepted and rejected units of one order line, under the receipt's own
    number; received_at naive UTC."""

    receipt_id: str
    order_id: str
    line_id: str
    quantity: float
    received_at: datetime
    rejected: float = 0.0


def record(unit: Unit, receipts: Sequence[Receipt], by: str, tolerance: Tolerance) -> int:
    """Book goods in and match waiting invoices; how many were news. A receipt known already is not
    booked again."""
    lines = {
        (d.order_id, d.line_id): d
        for d in unit.read_in(documents.c.order_id, list({r.order_id for r in receipts}))
    }
    booked = 0
    for receipt in receipts:
        document = lines.get((receipt.order_id, receipt.line_id))
        if document is None or not document.is_approved:
            raise LedgerError(
                f"receipt {receipt.receipt_id}: the ledger has no order {receipt.order_id} line "
                f"{receipt.line_id}"
            )
        if not (0 <= receipt.quantity < float("inf") and 0 <= receipt.rejected < float("inf")):
            raise LedgerError(
                f"receipt {receipt.receipt_id}: {receipt.quantity} accepted and {receipt.rejected} "
                "rejected are no units"
            )
        if receipt.receipt_id in document.receipts:
            continue
        said = {
            "receipt_id": receipt.receipt_id,
            "quantity": float(receipt.quantity),
            "rejected": float(receipt.rejected),
            "received_at": receipt.received_at.isoformat(),
        }
        unit.add(document, "received", by, said)
        booked += 1
        if document.received > document.quantity:
            reason = f"{document.received:g} units came, {document.quantity:g} were ordered"
            unit.add(document, "excepted", by, {"owner": BUYER, "reason": reason})
        settle(unit, document, tolerance)
    return booked


def lower(unit: Unit, receipts: Sequence[Receipt], by: str, tolerance: Tolerance) -> int:
    """Follow the company's systems where they report that less came than before; how many lines
    were lowered. receipts: the differences, below zero.

    Each is a case for a person, as somebody may have paid for the goods.
    """
    lines = {
        (d.order_id, d.line_id): d
        for d in unit.read_in(documents.c.order_id, list({r.order_id for r in receipts}))
    }
    lowered = 0
    for receipt in receipts:
        document = lines[receipt.order_id, receipt.line_id]
        before = document.received
        if receipt.receipt_id in document.receipts or before + receipt.quantity < 0:
            continue  # another run has followed them meanwhile
        said = {
            "receipt_id": receipt.receipt_id,
            "quantity": float(receipt.quantity),
            "rejected": 0.0,
            "received_at": receipt.received_at.isoformat(),
        }
        unit.add(document, "received", by, said)
        lowered += 1
        reason = (
            f"the company's systems report {document.received:g} units received, where they "
            f"reported {before:g}{_paid_for(document)}"
        )
        unit.add(document, "excepted", by, {"owner": BUYER, "reason": reason})
        settle(unit, document, tolerance)
    return lowered


def _paid_for(document: Document) -> str:
    """The invoices whose payment is proposed already for more than came, in words."""
    proposed = [
        name
        for name, invoice in document.invoices.items()
        if invoice["status"] == "payment_proposed"
    ]
    billed = sum(document.bills[name][0] for name in proposed)
    if billed <= document.received:
        return ""
    return f"; payment of {billed:g} is proposed already (invoice {', '.join(proposed)})"


def evidence(lines: Sequence[Document], on: date) -> dict[str, Evidence]:
    """What the ledger's own history says about every open requisition, by document id.

    usual_quantity: median of the earlier approved orders of the same item and destination.
    supplier_risk: from the supplier's scorecard, where it has one.
    """
    earlier: dict[tuple[str, str, str], list[float]] = {}
    for document in lines:
        if document.is_approved:
            earlier.setdefault((document.kind, document.item_id, document.location_id), []).append(
                document.quantity
            )
    cards = scorecard(observe(lines, on))
    risks = dict(zip(cards["supplier_id"], cards["risk"], strict=True)) if cards.height else {}
    return {
        document.document_id: Evidence(
            usual_quantity=median(usual)
            if (usual := earlier.get((document.kind, document.item_id, document.location_id)))
            else None,
            supplier_risk=risks.get(document.from_id) if document.kind == "purchase" else None,
        )
        for document in lines
        if document.stage == "requisition"
    }


def chase(unit: Unit, after: timedelta) -> list[str]:
    """The lines whose supplier has been silent for longer than this: one exception each, once, by
    the home's Now."""
    quiet = []
    for document in unit.read(documents.c.stage == "sent"):
        if (
            document.kind == "purchase"
            and datetime.fromisoformat(document.sent_known_at) + after <= unit.now
            and not document.is_chased
        ):
            unit.add(
                document,
                "chased",
                SENDER,
                {"owner": BUYER, "reason": f"no answer since {document.sent_known_at[:10]}"},
            )
            quiet.append(document.document_id)
    return quiet


def measures(lines: Sequence[Document]) -> dict[str, Any]:
    """How far the cycle runs by itself: counts by stage, the share of sent lines no person touched,
    seconds from decision to sent."""
    stages: dict[str, int] = {}
    for document in lines:
        stages[document.stage] = stages.get(document.stage, 0) + 1
    sent = [document for document in lines if document.sent_at]
    waits = [
        datetime.fromisoformat(d.sent_at) - datetime.fromisoformat(d.proposed_at) for d in sent
    ]
    straight = sum(document.approver == MATRIX and not document.is_firm for document in sent)
    return {
        "stages": stages,
        "sent_lines": len(sent),
        "straight_through_share": straight / len(sent) if sent else None,
        "median_decision_to_sent_seconds": median(wait.total_seconds() for wait in waits)
        if waits
        else None,
        "lines_with_exceptions": sum(document.exceptions > 0 for document in lines),
        "encumbered_money": in_money(sum(document.encumbered for document in lines)),
    }
