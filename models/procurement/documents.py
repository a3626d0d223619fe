"""An order line from need to payment proposal: append-only events in, its present state out.

One document is one order line (a need under its intent key). Its state is a fold of its events and
nothing else. Facts are kept rather than stages, so acknowledgements, ship notices, receipts and
invoices may arrive late, twice or in any order: the stage is read off the facts. Purchases go
requisition -> approval -> order -> change -> acknowledgement -> ship notice -> receipt -> invoice
-> match -> payment proposal; transfers stop at the receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from models.procurement.currencies import coin, rounded
from models.procurement.supplier_sale_terms import Sale

Payload = Mapping[str, Any]

#: Why a line's life ended before its goods came.
WITHDRAWN, REJECTED, CANCELLED, REFUSED, CLOSED = (
    "withdrawn",
    "rejected",
    "cancelled",
    "refused",
    "closed",
)

#: The need behind these lines is open again, so its intent key is free: the plan took it back, or
#: the supplier said no.
#: A line that a person rejected or cancelled keeps its key: the robot must not order again what the
#: desk refused.
FREED = frozenset({WITHDRAWN, REFUSED})

#: Terms a plan, a person or a supplier may set; a re-plan that changes none of them changes
#: nothing.
TERMS = ("from_id", "quantity", "due_on", "unit_cost")
#: Stages of an agreed line of which no goods have set out.
NOTHING_SHIPPED = ("approved", "sent", "acknowledged")

#: What a supplier's answer says, and when: its interchange's number, and the envelope's own time
#: where it has one.
ANSWER, WHEN = ("code", "quantity", "unit_cost", "due_on"), ("control", "written_at")


class Event(NamedTuple):
    """One thing that happened to one document. known_at is the home's Now, recorded_at wall time;
    both ISO text, UTC."""

    seq: int
    document_id: str
    version: int
    kind: str
    actor: str
    known_at: str
    recorded_at: str
    payload: Payload


#: The parts of a currency that money is counted in, so that its sums are exact: as fine as the
#: finest minor unit of ISO 4217.
PARTS = 10_000


def worth(quantity: float, unit_cost: float, currency: str) -> int:
    """What a quantity costs as it will be billed, in PARTS of the currency.

    Rounded half up to the currency's minor unit, on the decimal numbers as written; to hundredths
    where nobody says which currency it is.
    """
    amount = Decimal(repr(quantity)) * Decimal(repr(unit_cost))
    return int(rounded(amount, coin(currency)) * PARTS)


def in_money(parts: float) -> float:
    """What is counted in PARTS as an amount of the currency, for people and limits."""
    return parts / PARTS


@dataclass(slots=True)
class Document:
    """The state of one order line; quantities in base units, unit_cost in the world's currency,
    days as ISO text."""

    document_id: str
    world: str = ""
    # purchase | transfer; empty for the desk's own documents (switch, limits, unclaimed messages)
    kind: str = ""
    intent_key: str = ""
    item_id: str = ""
    location_id: str = ""
    from_id: str = ""
    review_period: str = ""
    quantity: float = 0.0
    due_on: str = ""  # the day it should come, as last heard
    asked_on: str = ""  # the day we asked for
    unit_cost: float = 0.0
    currency: str = ""  # of unit_cost; empty for a line from before ledgers were told
    reason: str = ""
    run_id: str = ""
    proposer: str = ""
    # recorded_at of the last proposal: where the decision-to-sent latency starts
    proposed_at: str = ""
    is_firm: bool = False
    approver: str = ""
    approved_on: str = ""  # the day of Now at approval: which day's cap it used
    order_id: str = ""
    line_id: str = ""
    revision: int = 0  # 0 is the order itself, n its n-th change
    queued: int = -1  # the last revision handed to the outbox
    sent: int = -1  # the last revision the supplier's door took
    sent_at: str = ""  # recorded_at of the first sending
    sent_known_at: str = ""  # the home's Now at the last one, from which silence is counted
    is_chased: bool = False
    ended: str = ""
    confirmed: float | None = None  # units the supplier promised; None before any acknowledgement
    acknowledgement: dict[str, Any] = field(default_factory=dict)  # the one in force
    shipments: dict[str, float] = field(default_factory=dict)
    # receipt -> [accepted, rejected]
    receipts: dict[str, list[float]] = field(default_factory=dict)
    arrived_at: str = ""  # when the last goods came
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    exceptions: int = 0
    # credit note -> the invoice it takes back of, units and price
    credits: dict[str, dict[str, Any]] = field(default_factory=dict)
    # the supplier's unit and currency, where they are not ours; see Sale
    sale: dict[str, Any] = field(default_factory=dict)

    @property
    def sold(self) -> Sale:
        """In which unit and currency the supplier reads this line."""
        return Sale.of(self.sale)

    @property
    def is_approved(self) -> bool:
        """Whether a person or the approval matrix has released the line."""
        return bool(self.approver)

    @property
    def is_live(self) -> bool:
        """Whether this document holds its intent key, so that no second one can be opened for the
        same need."""
        return bool(self.intent_key) and self.ended not in FREED

    @property
    def ordered(self) -> float:
        """Units that are to come in all: what the supplier confirmed where it answered, else what
        we asked for."""
        return self.quantity if self.confirmed is None else self.confirmed

    @property
    def received(self) -> float:
        """Units accepted over all receipts; what was turned away does not count."""
        return sum(accepted for accepted, _ in self.receipts.values())

    @property
    def open_quantity(self) -> float:
        """Units that still count in the stock position: firmed or approved, not yet received, not
        called off."""
        if self.ended or not (self.is_firm or self.is_approved):
            return 0.0
        return max(self.ordered - self.received, 0.0)

    @property
    def invoiced(self) -> float:
        """Units billed over all invoices, less what credit notes took back."""
        return sum(units for units, _ in self.bills.values())

    @property
    def bills(self) -> dict[str, tuple[float, float]]:
        """What each invoice comes to: units and the price of one, less its credit notes.

        A credit at the invoice's own price takes units back; one at another price takes so much off
        the price of what was billed, as it puts a wrong price right.
        """
        found = {}
        for name, invoice in self.invoices.items():
            units, price = invoice["quantity"], invoice["unit_cost"]
            taken = [one for one in self.credits.values() if one["invoice_id"] == name]
            goods = [one["quantity"] for one in taken if is_of_goods(one, invoice)]
            money = [one for one in taken if not is_of_goods(one, invoice)]
            left = units - sum(goods)
            off = sum(one["quantity"] * one["unit_cost"] for one in money)
            found[name] = (left, price - off / left if off and left > 0 else price)
        return found

    def payable(self, invoice_id: str) -> int:
        """What an invoice comes to less its credit notes, in PARTS."""
        invoice = self.invoices[invoice_id]
        taken = [one for one in self.credits.values() if one["invoice_id"] == invoice_id]
        return max(self.billed(invoice) - sum(map(self.billed, taken)), 0)

    @property
    def encumbered(self) -> int:
        """Budget held for this line in PARTS: approved and neither invoiced nor called off."""
        if not self.is_approved:
            return 0
        # goods already here will be billed even after a cancellation
        expected = self.received if self.ended else self.ordered
        return (
            max(self.worth_of(expected) - self.worth_of(self.invoiced), 0)
            if self.kind == "purchase"
            else 0
        )

    def worth_of(self, quantity: float) -> int:
        """What so many units cost at the line's price, in PARTS."""
        return worth(quantity, self.unit_cost, self.currency)

    def billed(self, invoice: Payload) -> int:
        """What an invoice of the line, or a credit note, asks for, in PARTS."""
        return worth(invoice["quantity"], invoice["unit_cost"], self.currency)

    @property
    def stage(self) -> str:
        """Where the line stands, in the field's words."""
        if self.ended:
            return self.ended
        if not self.is_approved:
            return "requisition" if self.kind else "desk"
        received, ordered = self.received, self.ordered
        if received >= ordered and received > 0:
            proposed = [
                invoice.get("status") == "payment_proposed" for invoice in self.invoices.values()
            ]
            if self.kind == "transfer" or (
                proposed and all(proposed) and self.invoiced >= received
            ):
                return CLOSED
            return "received"
        if received > 0:
            return "partially_received"
        if self.shipments:
            return "shipped"
        if self.confirmed is not None:
            return "acknowledged"
        return "sent" if self.sent >= 0 else "approved"


def _requested(document: Document, event: Event) -> None:
    payload = event.payload
    for name in (
        "world",
        "kind",
        "intent_key",
        "item_id",
        "location_id",
        "review_period",
        "run_id",
        "reason",
        *TERMS,
    ):
        setattr(document, name, payload[name])
    document.currency, document.sale = payload.get("currency", ""), payload.get("sale", {})
    document.proposer, document.proposed_at, document.asked_on = (
        event.actor,
        event.recorded_at,
        document.due_on,
    )


def _revised(document: Document, event: Event) -> None:
    for name in (*TERMS, "reason", "run_id"):
        setattr(document, name, event.payload[name])
    document.currency = event.payload.get("currency", document.currency)
    document.sale = event.payload.get("sale", {})
    document.proposer, document.proposed_at, document.asked_on = (
        event.actor,
        event.recorded_at,
        document.due_on,
    )


def _firmed(document: Document, event: Event) -> None:
    document.is_firm = True
    document.order_id, document.line_id = event.payload["order_id"], event.payload["line_id"]


def _approved(document: Document, event: Event) -> None:
    document.approver, document.approved_on = event.actor, event.known_at[:10]
    document.order_id, document.line_id = event.payload["order_id"], event.payload["line_id"]


def _changed(document: Document, event: Event) -> None:
    for name in ("quantity", "due_on", "unit_cost"):
        setattr(document, name, event.payload[name])
    document.revision, document.asked_on = document.revision + 1, document.due_on
    document.confirmed = None  # the supplier has to answer again


def _cancelled(document: Document, event: Event) -> None:
    document.ended = CANCELLED
    if document.queued >= 0:
        document.revision += 1  # the supplier may know it: the cancellation is a change of its own


def _queued(document: Document, event: Event) -> None:
    document.queued = max(document.queued, event.payload["revision"])


def _sent(document: Document, event: Event) -> None:
    document.sent = max(document.sent, event.payload["revision"])
    document.sent_at = document.sent_at or event.recorded_at
    document.sent_known_at, document.is_chased = event.known_at, False


def is_overtaken(before: Payload, answer: Payload) -> bool:
    """Whether an answer is older than the one in force: written earlier or, where time tells
    nothing, under a smaller number."""
    then, now = _written(before, answer)
    if then != now:
        return now < then
    return bool(answer["control"] < before.get("control", -1))


def _written(before: Payload, answer: Payload) -> tuple[str, str]:
    """When two answers were written, as precisely as both of them say: to the minute or the day."""
    then, now = before.get("written_at", ""), answer.get("written_at", "")
    precision = min(len(then), len(now))
    return then[:precision], now[:precision]


def is_order_doubtful(before: Payload, answer: Payload) -> bool:
    """Whether nobody can tell which of two answers is the newer: the smaller number is not the one
    written earlier."""
    if not before or answer["control"] == before["control"]:
        return False
    then, now = _written(before, answer)
    has_smaller_number = answer["control"] < before["control"]
    if then != now:
        return bool(now < then) and not has_smaller_number
    return bool(has_smaller_number)


def _acknowledged(document: Document, event: Event) -> None:
    answer = event.payload
    if is_overtaken(document.acknowledgement, answer):
        return
    document.acknowledgement = {name: answer[name] for name in ANSWER + WHEN if name in answer}
    if document.ended in (CANCELLED, CLOSED):
        return
    document.confirmed = answer["quantity"]
    document.due_on = answer.get("due_on") or document.due_on
    document.ended = (
        REFUSED
        if answer["code"] == "IR" and not document.shipments and not document.receipts
        else ""
    )


def _shipped(document: Document, event: Event) -> None:
    document.shipments.setdefault(event.payload["shipment_id"], event.payload["quantity"])
    document.due_on = event.payload.get("due_on") or document.due_on


def _received(document: Document, event: Event) -> None:
    receipt = event.payload
    document.receipts.setdefault(
        receipt["receipt_id"], [receipt["quantity"], receipt.get("rejected", 0.0)]
    )
    document.arrived_at = max(document.arrived_at, receipt["received_at"])


def _invoiced(document: Document, event: Event) -> None:
    invoice = event.payload
    document.invoices.setdefault(
        invoice["invoice_id"],
        {"quantity": invoice["quantity"], "unit_cost": invoice["unit_cost"], "status": "received"},
    )


def _credited(document: Document, event: Event) -> None:
    credit = event.payload
    names = ("invoice_id", "quantity", "unit_cost")
    document.credits.setdefault(credit["credit_id"], {name: credit[name] for name in names})


def is_of_goods(credit: Payload, invoice: Payload) -> bool:
    """Whether a credit takes goods back: it is at the price at which they were billed."""
    return bool(abs(credit["unit_cost"] - invoice["unit_cost"]) <= 1e-9 * invoice["unit_cost"])


def beyond_its_invoice(document: Document, invoice_id: str, more: Payload | None = None) -> str:
    """Why the credit notes of an invoice, and one more, take back more than it billed; empty where
    they do not, or where it has not come yet."""
    invoice = document.invoices.get(invoice_id)
    if invoice is None:
        return ""
    known: list[Payload] = [*document.credits.values(), *([more] if more is not None else [])]
    taken = [one for one in known if one["invoice_id"] == invoice_id]
    units = sum(one["quantity"] for one in taken if is_of_goods(one, invoice))
    if units > invoice["quantity"] * (1 + 1e-9):
        return f"takes back {units:g} units, billed were {invoice['quantity']:g}"
    value = sum(one["quantity"] * one["unit_cost"] for one in taken)
    billed = invoice["quantity"] * invoice["unit_cost"]
    return f"takes back {value:,.2f}, billed were {billed:,.2f}" if value > billed + 5e-3 else ""


def _judged(document: Document, event: Event) -> None:
    invoice = document.invoices[event.payload["invoice_id"]]
    invoice["status"], invoice["reason"] = event.payload["status"], event.payload["reason"]


def _payment_proposed(document: Document, event: Event) -> None:
    said = event.payload
    # as events were written before currencies were told: in hundredths
    paid = said["amount"] if "amount" in said else said["amount_cents"] * (PARTS // 100)
    document.invoices[said["invoice_id"]] |= {"status": "payment_proposed", "amount": paid}


def _chased(document: Document, event: Event) -> None:
    document.is_chased = True
    document.exceptions += 1


def _excepted(document: Document, event: Event) -> None:
    document.exceptions += 1


def _ends(word: str) -> Callable[[Document, Event], None]:
    def end(document: Document, event: Event) -> None:
        document.ended = word

    return end


def _noted(document: Document, event: Event) -> None:
    """The desk's own documents keep no state but their chain."""


APPLY: dict[str, Callable[[Document, Event], None]] = {
    "requested": _requested,
    "revised": _revised,
    "withdrawn": _ends(WITHDRAWN),
    "firmed": _firmed,
    "approved": _approved,
    "rejected": _ends(REJECTED),
    "queued": _queued,
    "sent": _sent,
    "changed": _changed,
    "cancelled": _cancelled,
    "acknowledged": _acknowledged,
    "shipped": _shipped,
    "received": _received,
    "invoiced": _invoiced,
    "credited": _credited,
    "judged": _judged,
    "payment_proposed": _payment_proposed,
    "excepted": _excepted,
    "closed": _ends(CLOSED),
    "stopped": _noted,
    "resumed": _noted,
    "limits_proposed": _noted,
    "limits_set": _noted,
    "worked": _noted,
    "undelivered": _excepted,
    "chased": _chased,
    "taken": _noted,
    "heard": _noted,
    "revived": _noted,
    "reacted": _noted,
    "replied": _queued,
}


def apply(document: Document, event: Event) -> Document:
    """Let one event happen to the document that the fold is building, and return it."""
    APPLY[event.kind](document, event)
    return document


def fold(events: Iterable[Event]) -> dict[str, Document]:
    """The present state of every document: its events in order of seq, applied one by one.

    events: any mix of documents, each document's own in ascending version. Returns {document_id:
    Document}. Raises KeyError for an event kind this house does not know.
    """
    documents: dict[str, Document] = {}
    for event in events:
        document = documents.get(event.document_id)
        if document is None:
            document = documents[event.document_id] = Document(event.document_id)
        APPLY[event.kind](document, event)
    return documents


def refusal(document: Document, kind: str) -> str | None:
    """Why a planner, person or sender may not do this to the document now; None where they may.
    Facts from outside are never refused."""
    stage, fresh = document.stage, not document.kind
    before_order = stage == "requisition"
    under_way = document.is_approved and not document.ended
    may = {
        "requested": fresh,
        "revised": before_order and not document.is_firm,
        "withdrawn": before_order and not document.is_firm,
        "firmed": before_order and not document.is_firm,
        "approved": before_order,
        "rejected": before_order,
        "changed": under_way and stage in NOTHING_SHIPPED,
        "cancelled": under_way and stage in (*NOTHING_SHIPPED, "shipped", "partially_received"),
        "closed": under_way,
        "queued": document.is_approved and document.queued < document.revision,
        "sent": document.sent < document.queued,
    }.get(kind, True)
    if may:
        return None
    firm = " and firm" if document.is_firm else ""
    return f"{document.document_id} is {stage}{firm}: it cannot be {kind.replace('_', ' ')} now"


def is_repeat(document: Document, kind: str, payload: Payload) -> bool:
    """Whether the document has already heard exactly this fact: the same ship notice, receipt,
    invoice or acknowledgement again."""
    if kind == "shipped":
        return payload["shipment_id"] in document.shipments
    if kind == "received":
        return payload["receipt_id"] in document.receipts
    if kind == "invoiced":
        return payload["invoice_id"] in document.invoices
    if kind == "credited":
        return payload["credit_id"] in document.credits
    if kind == "acknowledged":
        before = document.acknowledgement if document.confirmed is not None else {}
        return bool(before) and all(before[name] == payload[name] for name in ANSWER)
    return False
