"""Invoices of a line against what was ordered and received: the three-way match, whose agreement
proposes a payment."""

from __future__ import annotations

from models.procurement.actors import MATCH
from models.procurement.documents import Document
from models.procurement.matching import Tolerance, match
from orchestration.ledger import approvals_and_limits
from orchestration.ledger.store import Unit


def settle(unit: Unit, document: Document, tolerance: Tolerance) -> None:
    """Match a line's invoices against its receipts and order, and propose the payment of those that
    agree."""
    open_invoices = [
        name
        for name, invoice in document.invoices.items()
        if invoice["status"] != "payment_proposed"
    ]
    if not open_invoices:
        return
    received = [accepted for accepted, _ in document.receipts.values()]
    invoiced = list(document.bills.values())
    verdict = match(document.quantity, document.unit_cost, received, invoiced, tolerance)
    for name in open_invoices:
        invoice = document.invoices[name]
        if (invoice["status"], invoice.get("reason")) != (verdict.status, verdict.reason):
            said = {
                "invoice_id": name,
                "status": verdict.status,
                "reason": verdict.reason,
                "value_variance": float(verdict.value_variance),
            }
            unit.add(document, "judged", MATCH, said)
        if verdict.status == "matched":
            approvals_and_limits.propose_payment(unit, document, name, MATCH)
