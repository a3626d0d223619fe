"""What suppliers say in UBL 2.1 (OrderResponse, OrderResponseSimple, DespatchAdvice, Invoice), as
messages: a line that is odd is named, and the lines beside it are taken.

Every element that could mean something is read, or named as unread for a person; nothing is
guessed, nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from models.procurement import exact_numbers, xml_tree
from models.procurement.answer_codes import AMENDED, REFUSED, TAKEN
from models.procurement.codec import Delivery, each_line
from models.procurement.invoice_totals import Bill, BilledLine, billed_total
from models.procurement.messages import (
    BUYER,
    PAYABLES,
    AcknowledgedLine,
    Acknowledgement,
    Message,
    MessageError,
    Odd,
    OddLineError,
    Party,
    ShipNotice,
    ShippedLine,
)
from models.procurement.xml_tree import Node
from models.procurement.xml_values import (
    amount,
    is_true,
    net_price,
    quantity,
    signed_amount,
    unit_stated,
)

Line = TypeVar("Line")

ROOM = "urn:oasis:names:specification:ubl:schema:xsd:"
CAC, CBC = f"{ROOM}CommonAggregateComponents-2", f"{ROOM}CommonBasicComponents-2"
EXT = f"{ROOM}CommonExtensionComponents-2"
DOCUMENTS = ("OrderResponse", "OrderResponseSimple", "DespatchAdvice", "Invoice", "CreditNote")
NAMES = {CAC: "cac", CBC: "cbc", EXT: "ext"} | {f"{ROOM}{name}-2": "ubl" for name in DOCUMENTS}

#: What an answer says of an order as a whole (UNCL 4343): all of it, none of it, or line by line.
TAKEN_WHOLE, REFUSED_WHOLE, BY_LINE = ("AP", "29"), ("RE", "27"), ("CA", "30", "")
#: The document type (UNCL 1001) of a change that an answer refers to.
CHANGE = "230"
DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:Z|[+-]\d\d:\d\d)?", re.ASCII)

_HEAD = """UBLVersionID CustomizationID ProfileID ProfileExecutionID ID UUID CopyIndicator IssueDate
IssueTime Note DocumentCurrencyCode PricingCurrencyCode TaxCurrencyCode AccountingCost
AccountingCostCode BuyerReference CustomerReference SalesOrderID LineCountNumeric
OrderReference OrderDocumentReference OriginatorDocumentReference AdditionalDocumentReference
ContractDocumentReference Contract Signature ProjectReference DespatchDocumentReference
ReceiptDocumentReference StatementDocumentReference SellerSupplierParty BuyerCustomerParty
OriginatorCustomerParty FreightForwarderParty AccountingSupplierParty AccountingCustomerParty
DespatchSupplierParty DeliveryCustomerParty PayeeParty TaxRepresentativeParty Delivery DeliveryTerms
PaymentMeans PaymentTerms DestinationCountry ValidityPeriod InvoicePeriod UBLExtensions TaxTotal"""
#: The elements of each document that are read here, or say nothing about goods, days or money.
READ = {
    "OrderResponse": f"{_HEAD} OrderResponseCode OrderLine LegalMonetaryTotal",
    "OrderResponseSimple": f"{_HEAD} AcceptedIndicator RejectionNote",
    "DespatchAdvice": f"{_HEAD} DespatchAdviceTypeCode DocumentStatusCode Shipment DespatchLine",
    "Invoice": f"{_HEAD} InvoiceTypeCode DueDate TaxPointDate AllowanceCharge LegalMonetaryTotal "
    "InvoiceLine",
    "CreditNote": f"{_HEAD} CreditNoteTypeCode TaxPointDate AllowanceCharge LegalMonetaryTotal "
    "CreditNoteLine BillingReference DiscrepancyResponse",
}
_LINE = "ID UUID Note LineStatusCode LineExtensionAmount OrderLineReference DocumentReference Item"
READ |= {
    "OrderLine": f"{_LINE} LineItem",
    "LineItem": f"{_LINE} SalesOrderID Quantity MaximumBackorderQuantity MinimumBackorderQuantity "
    "TotalTaxAmount PartialDeliveryIndicator BackOrderAllowedIndicator Delivery DeliveryTerms "
    "Price TaxTotal AccountingCost",
    "DespatchLine": f"{_LINE} DeliveredQuantity BackorderQuantity BackorderReason Shipment "
    "OutstandingQuantity OutstandingReason",
    "InvoiceLine": f"{_LINE} InvoicedQuantity TaxPointDate AccountingCost AccountingCostCode "
    "Delivery InvoicePeriod DespatchLineReference ReceiptLineReference PricingReference "
    "AllowanceCharge TaxTotal Price",
}
READ["CreditNoteLine"] = READ["InvoiceLine"].replace("Invoiced", "Credited")
OWNERS = {"Invoice": PAYABLES, "CreditNote": PAYABLES}
#: Who may stand on either end of a document.
SELLERS = tuple(f"cac:{role}SupplierParty" for role in ("Seller", "Despatch", "Accounting"))
BUYERS = tuple(f"cac:{role}CustomerParty" for role in ("Buyer", "Delivery", "Accounting"))


def read(body: bytes) -> Delivery:
    """The one document in these bytes. Raises MessageError where it is none that is read here."""
    top = xml_tree.read(body, NAMES)
    kind = top.name.removeprefix("ubl:")
    if kind not in READERS or not top.name.startswith("ubl:"):
        raise MessageError(f"'{top.name[:120]}' is none of {', '.join(READERS)} of UBL 2")
    messages = READERS[kind](top)
    if reason := _unread(top):
        order_id = top.get("cac:OrderReference", "cbc:ID")
        messages.append(Odd(order_id, "", reason, OWNERS.get(kind, BUYER)))
    return Delivery(
        tuple(messages), _parties(top, SELLERS), _parties(top, BUYERS), written_at=_written_at(top)
    )


def _answer(top: Node) -> list[Message]:
    order_id, code = top.need("cac:OrderReference", "cbc:ID"), top.get("cbc:OrderResponseCode")
    lines = top.all("cac:OrderLine")
    _count(top, lines)
    if code not in (*TAKEN_WHOLE, *REFUSED_WHOLE, *BY_LINE) or (code in BY_LINE and not lines):
        reason = f"the answer as a whole is {code[:20] or 'unsaid'}, and it names no line"
        return [Odd(order_id, "", reason, BUYER)]
    currency = top.get("cbc:DocumentCurrencyCode") or None
    day = _promised(top)
    read_line = partial(_answered, currency=currency, day=day)
    answers, odd = each_line(_numbered(lines, read_line), order_id, BUYER)
    rest = "" if lines else "IA" if code in TAKEN_WHOLE else "IR"
    named = tuple(map(_line_answered, lines))
    is_change = any(
        node.get("cbc:DocumentTypeCode") == CHANGE
        for node in (
            *top.all("cac:OrderDocumentReference"),
            *top.all("cac:AdditionalDocumentReference"),
            *top.all("cac:OrderReference", "cac:DocumentReference"),
        )
    )
    return [Acknowledgement(order_id, currency, tuple(answers), is_change, rest, named, day), *odd]


def _answered(node: Node, currency: str | None, day: date | None) -> AcknowledgedLine:
    """A line's answer: what will come, and what comes later."""
    line = node.first("cac:LineItem")
    if line is None:
        raise MessageError("cac:OrderLine/cac:LineItem is missing")
    action, item_id, line_id = line.get("cbc:LineStatusCode"), _item(line), _line_answered(node)
    due = _promised(line) or day
    reason = "; ".join(n.text.strip() for n in (*line.all("cbc:Note"), *node.all("cbc:Note")))
    unit = unit_stated(line, "cbc:Quantity")  # how many is not read of a line that is refused
    price = _price(line, currency, unit)
    cost = None if price is None else float(price)
    if action in REFUSED:
        return AcknowledgedLine(line_id, item_id, REFUSED[action], 0.0, cost, due, reason)
    if action not in (*TAKEN, *AMENDED):
        raise OddLineError(f"its status is {action[:20]}, no answer that is read here")
    _, units = quantity(line, "cbc:Quantity")
    if units is None:
        raise MessageError("cbc:Quantity is missing")
    later_unit, later = quantity(line, "cbc:MaximumBackorderQuantity")
    if later:
        if later_unit not in (unit, ""):
            raise OddLineError("what comes later is in another unit than what comes now")
        whole = float(units + later)
        return AcknowledgedLine(line_id, item_id, "IB", whole, cost, due, reason, unit)
    code = "IA" if action in TAKEN else "IC"
    return AcknowledgedLine(line_id, item_id, code, float(units), cost, due, reason, unit)


def _line_answered(node: Node) -> str:
    """The order's own number of a line: the one referred to, else the line's."""
    return node.get("cac:OrderLineReference", "cbc:LineID") or node.get("cac:LineItem", "cbc:ID")


def _simple_answer(top: Node) -> list[Message]:
    order_id, accepted = top.need("cac:OrderReference", "cbc:ID"), top.need("cbc:AcceptedIndicator")
    rest = "IA" if is_true(accepted, "cbc:AcceptedIndicator") else "IR"
    return [Acknowledgement(order_id, None, (), rest=rest)]


def _ship_notice(top: Node) -> list[Message]:
    shipment_id, order_id = top.need("cbc:ID"), top.get("cac:OrderReference", "cbc:ID")
    loops = top.all("cac:DespatchLine")
    _count(top, loops)
    if (status := top.get("cbc:DocumentStatusCode")) not in ("", "9"):
        reason = f"its status is {status[:20]}: it takes back or replaces another"
        return [Odd(order_id, "", f"shipment {shipment_id}: {reason}", BUYER)]
    places = top.all("cac:Shipment", "cac:Delivery")
    days = [day for node in places if (day := _promised(node, is_own=True)) is not None]
    by_order: dict[str, list[Node]] = {}
    for loop in loops:
        named = loop.get("cac:OrderLineReference", "cac:OrderReference", "cbc:ID")
        by_order.setdefault(named or order_id, []).append(loop)
    messages: list[Message] = []
    lines: list[ShippedLine] = []
    for name, mine in by_order.items():
        shipped, odd = each_line(_numbered(mine, partial(_shipped, order_id=name)), name, BUYER)
        lines += shipped
        messages += odd
    return [ShipNotice(shipment_id, max(days, default=None), tuple(lines)), *messages]


def _shipped(node: Node, order_id: str) -> ShippedLine:
    unit, units = quantity(node, "cbc:DeliveredQuantity")
    item_id = _item(node)
    if units is None:
        raise MessageError("cbc:DeliveredQuantity is missing")
    if not order_id:
        raise MessageError("no cac:OrderReference says of which order it is")
    if not item_id:
        raise OddLineError(f"{units:g} units of an item that has no number of ours are coming")
    line_id = node.get("cac:OrderLineReference", "cbc:LineID") or node.get("cbc:ID")
    return ShippedLine(order_id, line_id, item_id, float(units), unit)


def _invoice(top: Node) -> list[Message]:
    return _bill(top, "Invoice", "380", None)


def _credit_note(top: Node) -> list[Message]:
    of = top.get("cac:BillingReference", "cac:InvoiceDocumentReference", "cbc:ID")
    return _bill(top, "CreditNote", "381", of)


def _bill(top: Node, word: str, usual: str, credits: str | None) -> list[Message]:
    """What an invoice or a credit note says; word: what its elements begin with."""
    invoice_id, order_id = top.need("cbc:ID"), top.get("cac:OrderReference", "cbc:ID")
    kind, loops = top.get(f"cbc:{word}TypeCode"), top.all(f"cac:{word}Line")
    _count(top, loops)
    if kind not in ("", usual):
        reason = f"invoice {invoice_id} is of kind {kind[:20]}; it was not taken"
        return [Odd(order_id, "", reason, PAYABLES)]
    currency = top.need("cbc:DocumentCurrencyCode")
    bill = Bill(
        invoice_id,
        order_id,
        _on(top.need("cbc:IssueDate"), "cbc:IssueDate"),
        currency,
        _total(top, currency),
        _added(top, currency, word),
        credits,
    )
    units = "cbc:InvoicedQuantity" if credits is None else "cbc:CreditedQuantity"
    bill_line = partial(_billed, currency=currency, counted=units)
    messages = bill.messages(
        [(node.get("cbc:ID"), partial(_whole, bill_line, node)) for node in loops]
    )
    if paid := amount(top, currency, "cac:LegalMonetaryTotal", "cbc:PrepaidAmount"):
        reason = f"invoice {invoice_id} says that {paid} of it is paid already"
        messages.append(Odd(order_id, "", reason, PAYABLES))
    return messages


def _billed(node: Node, currency: str, counted: str) -> BilledLine:
    unit, units = quantity(node, counted)
    price = _price(node, currency, unit)
    if units is None or price is None:
        raise MessageError(f"{counted} or cac:Price is missing")
    has_charges = node.first("cac:AllowanceCharge") is not None
    whole = None if has_charges else amount(node, currency, "cbc:LineExtensionAmount")
    order_id = node.get("cac:OrderLineReference", "cac:OrderReference", "cbc:ID")
    line_id = node.get("cac:OrderLineReference", "cbc:LineID") or node.get("cbc:ID")
    return BilledLine(order_id, line_id, _item(node), units, price, whole, unit)


def _total(top: Node, currency: str) -> Decimal:
    """What the invoice comes to, payments before it included."""
    sums = partial(amount, top, currency, "cac:LegalMonetaryTotal")
    return billed_total(
        "cac:LegalMonetaryTotal/cbc:PayableAmount",
        sums("cbc:PayableAmount"),
        paid=sums("cbc:PrepaidAmount"),
        whole=sums("cbc:TaxInclusiveAmount"),
        rounding=_rounding(top, currency),
        currency=currency,
    )


def _rounding(top: Node, currency: str) -> Decimal:
    return signed_amount(top, currency, "cac:LegalMonetaryTotal", "cbc:PayableRoundingAmount")


def _added(top: Node, currency: str, word: str) -> Decimal:
    """Charges less allowances, of the invoice and its lines, with tax in its currency and
    rounding."""
    added = _rounding(top, currency)
    inside = top.all(f"cac:{word}Line", "cac:AllowanceCharge")
    for node in (*top.all("cac:AllowanceCharge"), *inside):
        indicator = node.need("cbc:ChargeIndicator")
        charged = amount(node, currency, "cbc:Amount") or Decimal(0)
        added += charged if is_true(indicator, "cbc:ChargeIndicator") else -charged
    for node in top.all("cac:TaxTotal", "cbc:TaxAmount"):
        if node.attributes.get("currencyID", currency) == currency:
            added += exact_numbers.exact(node.text.strip(), "cbc:TaxAmount")
    return added


READERS: dict[str, Callable[[Node], list[Message]]] = {
    "OrderResponse": _answer,
    "OrderResponseSimple": _simple_answer,
    "DespatchAdvice": _ship_notice,
    "Invoice": _invoice,
    "CreditNote": _credit_note,
}


def _numbered(
    nodes: Sequence[Node], read_one: Callable[[Node], Line]
) -> list[tuple[str, Callable[[], Line]]]:
    return [
        (_line_answered(node) or node.get("cbc:ID"), partial(_whole, read_one, node))
        for node in nodes
    ]


def _whole(read_one: Callable[[Node], Line], node: Node) -> Line:
    """A line that says nothing beside what is read of it."""
    for part in (node, *node.all("cac:LineItem")):
        if reason := _unread(part):
            raise OddLineError(reason)
    return read_one(node)


def _unread(node: Node) -> str:
    """What an element also says that is not read here, in words; empty where that is nothing."""
    allowed = READ.get(node.name.partition(":")[2], "").split()
    unread = sorted({n.name for n in node.children if n.name.partition(":")[2] not in allowed})
    found = ", ".join(unread)[:300] if allowed else ""
    return f"it also says what is not read here: {found}" if found else ""


def _count(top: Node, lines: Sequence[Node]) -> None:
    if top.get("cbc:LineCountNumeric"):
        exact_numbers.expect("cbc:LineCountNumeric", top.whole("cbc:LineCountNumeric"), len(lines))


def _item(node: Node) -> str:
    """The item under a number of ours; empty where only others name it."""
    for owner in ("Buyers", "Sellers"):
        if found := node.get("cac:Item", f"cac:{owner}ItemIdentification", "cbc:ID"):
            return found
    return ""


def _price(node: Node, currency: str | None, unit: str) -> Decimal | None:
    """The net price of one of the line's units; None where no price is named."""
    price = node.first("cac:Price")
    if price is None:
        return None
    return net_price(price, currency, unit, "cbc:PriceAmount", "cbc:BaseQuantity")


def _promised(node: Node, is_own: bool = False) -> date | None:
    """The last day on which a delivery is promised or expected; None where nobody says.

    is_own: the node is the delivery itself.
    """
    days = []
    for delivery in [node] if is_own else node.all("cac:Delivery"):
        for name in ("cbc:ActualDeliveryDate", "cbc:LatestDeliveryDate"):
            days += [delivery.get(name)]
        for name in ("cac:PromisedDeliveryPeriod", "cac:EstimatedDeliveryPeriod"):
            for period in delivery.all(name):
                days += [period.get("cbc:EndDate") or period.get("cbc:StartDate")]
    return max((_on(day, "the delivery's day") for day in days if day), default=None)


def _on(text: str, where: str) -> date:
    match = DAY.fullmatch(text)
    try:
        return date.fromisoformat(match[1] if match else text[:40] + "!")
    except ValueError as error:
        raise MessageError(f"{where} is '{text[:40]}', no day as YYYY-MM-DD") from error


def _written_at(top: Node) -> str:
    """When the document was issued, to the minute in UTC where it names its zone, else to the
    day."""
    day, time = top.get("cbc:IssueDate")[:10], top.get("cbc:IssueTime")
    try:
        at = datetime.fromisoformat(f"{day}T{time}") if time else None
        if at is None:
            return date.fromisoformat(day).isoformat()
    except ValueError:
        return ""
    at = at.astimezone(UTC) if at.tzinfo else at
    return at.replace(tzinfo=None).isoformat(timespec="minutes")


def _parties(top: Node, roles: Iterable[str]) -> tuple[Party, ...]:
    """Every number under which the document names one of its ends."""
    return tuple(
        Party(node.text.strip(), node.attributes.get("schemeID") or "ZZ")
        for role in roles
        for path in (("cbc:EndpointID",), ("cac:PartyIdentification", "cbc:ID"))
        for node in top.all(role, "cac:Party", *path)
    )
