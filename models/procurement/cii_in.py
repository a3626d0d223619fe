"""What suppliers bill in UN/CEFACT's Cross Industry Invoice (D16B, as EN 16931, Factur-X, ZUGFeRD 2
and XRechnung have it), plain or within a PDF: a line that is odd is named, and the lines beside it
are taken.

Every element that could mean something is read, or named as unread for a person; nothing is
guessed, nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from models.procurement import embedded_invoice, exact_numbers, xml_tree
from models.procurement.codec import Delivery
from models.procurement.invoice_totals import Bill, BilledLine, billed_total, unit_of
from models.procurement.messages import PAYABLES, Message, MessageError, Odd, OddLineError
from models.procurement.xml_tree import Node
from models.procurement.xml_values import amount, is_true, net_price, quantity, signed_amount

ROOM = "urn:un:unece:uncefact:data:standard:"
NAMES = {
    f"{ROOM}CrossIndustryInvoice:100": "rsm",
    f"{ROOM}ReusableAggregateBusinessInformationEntity:100": "ram",
    f"{ROOM}QualifiedDataType:100": "qdt",
    f"{ROOM}UnqualifiedDataType:100": "udt",
}
#: The kinds of a bill (UNCL 1001) that are taken: an invoice, and a credit note.
INVOICE, CREDIT_NOTE = "380", "381"
ROOT = re.compile(rb"<(?:[\w.-]+:)?CrossIndustryInvoice[\s>]")

AGREEMENT, DELIVERY, SETTLEMENT = (
    f"ram:ApplicableHeaderTrade{part}" for part in ("Agreement", "Delivery", "Settlement")
)
DEAL = "rsm:SupplyChainTradeTransaction"
LINE_AGREEMENT, LINE_DELIVERY, LINE_SETTLEMENT = (
    f"ram:SpecifiedLineTrade{part}" for part in ("Agreement", "Delivery", "Settlement")
)
SUMS = "ram:SpecifiedTradeSettlementHeaderMonetarySummation"
ALLOWANCE, ORDER = "ram:SpecifiedTradeAllowanceCharge", "ram:BuyerOrderReferencedDocument"

_REFERENCES = """SellerOrderReferencedDocument BuyerOrderReferencedDocument
QuotationReferencedDocument ContractReferencedDocument AdditionalReferencedDocument
UltimateCustomerOrderReferencedDocument"""
_PLACES = """ShipToTradeParty UltimateShipToTradeParty ShipFromTradeParty
ActualDeliverySupplyChainEvent DespatchAdviceReferencedDocument ReceivingAdviceReferencedDocument
DeliveryNoteReferencedDocument"""
_SETTLED = """ApplicableTradeTax BillingSpecifiedPeriod SpecifiedTradeAllowanceCharge
InvoiceReferencedDocument ReceivableSpecifiedTradeAccountingAccount"""
#: The elements that are read here, or say nothing about goods or money.
READ = {
    "CrossIndustryInvoice": "ExchangedDocumentContext ExchangedDocument "
    "SupplyChainTradeTransaction",
    "ExchangedDocument": "ID Name TypeCode IssueDateTime CopyIndicator LanguageID IncludedNote "
    "EffectiveSpecifiedPeriod",
    "SupplyChainTradeTransaction": "IncludedSupplyChainTradeLineItem ApplicableHeaderTradeAgreement"
    " ApplicableHeaderTradeDelivery ApplicableHeaderTradeSettlement",
    "ApplicableHeaderTradeAgreement": f"{_REFERENCES} BuyerReference SellerTradeParty "
    "BuyerTradeParty SalesAgentTradeParty BuyerAgentTradeParty SpecifiedProcuringProject "
    "BuyerTaxRepresentativeTradeParty SellerTaxRepresentativeTradeParty ProductEndUserTradeParty "
    "RequisitionerReferencedDocument ApplicableTradeDeliveryTerms",
    "ApplicableHeaderTradeDelivery": f"{_PLACES} RelatedSupplyChainConsignment",
    "ApplicableHeaderTradeSettlement": f"{_SETTLED} CreditorReferenceID PaymentReference "
    "TaxCurrencyCode InvoiceCurrencyCode InvoiceIssuerReference InvoicerTradeParty PayerTradeParty "
    "InvoiceeTradeParty PayeeTradeParty TaxApplicableTradeCurrencyExchange "
    "SpecifiedTradeSettlementPaymentMeans SpecifiedLogisticsServiceCharge "
    "SpecifiedTradePaymentTerms SpecifiedTradeSettlementHeaderMonetarySummation",
    "SpecifiedTradeSettlementHeaderMonetarySummation": "LineTotalAmount ChargeTotalAmount "
    "AllowanceTotalAmount TaxBasisTotalAmount TaxTotalAmount RoundingAmount GrandTotalAmount "
    "TotalPrepaidAmount DuePayableAmount",
    "IncludedSupplyChainTradeLineItem": "AssociatedDocumentLineDocument SpecifiedTradeProduct "
    "SpecifiedLineTradeAgreement SpecifiedLineTradeDelivery SpecifiedLineTradeSettlement",
    "AssociatedDocumentLineDocument": "LineID IncludedNote",
    "SpecifiedLineTradeAgreement": f"{_REFERENCES} GrossPriceProductTradePrice "
    "NetPriceProductTradePrice",
    "NetPriceProductTradePrice": "ChargeAmount BasisQuantity",
    "SpecifiedLineTradeDelivery": f"{_PLACES} BilledQuantity PackageQuantity",
    "SpecifiedLineTradeSettlement": f"{_SETTLED} AdditionalReferencedDocument "
    "SpecifiedTradeSettlementLineMonetarySummation",
}
#: Where in a document, and in a line, every element has to be one of these.
HEAD = (
    *((), ("rsm:ExchangedDocument",), (DEAL,), (DEAL, AGREEMENT), (DEAL, DELIVERY)),
    *((DEAL, SETTLEMENT), (DEAL, SETTLEMENT, SUMS)),
)
NET_PRICE = "ram:NetPriceProductTradePrice"
LINE = (
    *((), ("ram:AssociatedDocumentLineDocument",), (LINE_AGREEMENT,), (LINE_DELIVERY,)),
    *((LINE_SETTLEMENT,), (LINE_AGREEMENT, NET_PRICE)),
)


def is_one(body: bytes) -> bool:
    """Whether a file is such a bill, or a PDF that may have one in it."""
    start = body[: embedded_invoice.PEEK].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t")
    return embedded_invoice.is_pdf(body) or (start[:1] == b"<" and ROOT.search(start) is not None)


class Bills:
    """Bills beside a partner's own format, which has no say in how they are written."""

    suffix, media_type, receipt_type = "xml", "application/xml", ""

    def split(self, body: bytes) -> list[bytes]:
        """The whole file: one bill."""
        return [body]

    def read(self, body: bytes) -> Delivery:
        """The one bill in a file, or in a PDF. Raises MessageError where there is none."""
        document = embedded_invoice.within(body, ROOT) if embedded_invoice.is_pdf(body) else body
        return read(document)


def read(body: bytes) -> Delivery:
    """The one bill in this XML. Raises MessageError where it is none."""
    top = xml_tree.read(body, NAMES)
    if top.name != "rsm:CrossIndustryInvoice":
        raise MessageError(f"'{top.name[:120]}' is no Cross Industry Invoice of D16B")
    messages = _bill(top)
    if reason := _unread(top, HEAD):
        messages.append(
            Odd(top.get(DEAL, AGREEMENT, ORDER, "ram:IssuerAssignedID"), "", reason, PAYABLES)
        )
    test = top.get("rsm:ExchangedDocumentContext", "ram:TestIndicator", "udt:Indicator")
    day = _day(top, "rsm:ExchangedDocument", "ram:IssueDateTime", "udt:DateTimeString")
    # it has no envelope: the seller's names in it are his own, and its order says whose it is
    is_test = None if not test else is_true(test, "ram:TestIndicator")
    return Delivery(tuple(messages), is_test=is_test, written_at=day.isoformat())


def _bill(top: Node) -> list[Message]:
    invoice_id = top.need("rsm:ExchangedDocument", "ram:ID")
    order_id = top.get(DEAL, AGREEMENT, ORDER, "ram:IssuerAssignedID")
    kind = top.need("rsm:ExchangedDocument", "ram:TypeCode")
    if kind not in (INVOICE, CREDIT_NOTE):
        reason = f"invoice {invoice_id} is of kind {kind[:20]}; it was not taken"
        return [Odd(order_id, "", reason, PAYABLES)]
    currency, sums = top.need(DEAL, SETTLEMENT, "ram:InvoiceCurrencyCode"), (DEAL, SETTLEMENT, SUMS)
    unit_of(currency)
    total = _total(top, currency)
    lines = top.all(DEAL, "ram:IncludedSupplyChainTradeLineItem")
    if not lines:
        reason = (
            f"invoice {invoice_id} over {total} {currency} has no lines (a profile below BASIC)"
        )
        return [Odd(order_id, "", f"{reason}; it was not taken", PAYABLES)]
    of = top.get(DEAL, SETTLEMENT, "ram:InvoiceReferencedDocument", "ram:IssuerAssignedID")
    bill = Bill(
        invoice_id,
        order_id,
        _day(top, "rsm:ExchangedDocument", "ram:IssueDateTime", "udt:DateTimeString"),
        currency,
        total,
        _added(top, currency),
        of if kind == CREDIT_NOTE else None,
    )
    read_line = partial(_line, currency=currency)
    messages = bill.messages([(_number(node), partial(_whole, read_line, node)) for node in lines])
    if paid := amount(top, currency, *sums, "ram:TotalPrepaidAmount"):
        reason = f"invoice {invoice_id} says that {paid} of it is paid already"
        messages.append(Odd(order_id, "", reason, PAYABLES))
    return messages


def _total(top: Node, currency: str) -> Decimal:
    """What the bill comes to, payments before it included."""
    sums = partial(amount, top, currency, DEAL, SETTLEMENT, SUMS)
    return billed_total(
        "ram:DuePayableAmount",
        sums("ram:DuePayableAmount"),
        paid=sums("ram:TotalPrepaidAmount"),
        whole=sums("ram:GrandTotalAmount"),
        rounding=_rounding(top, currency),
        currency=currency,
    )


def _rounding(top: Node, currency: str) -> Decimal:
    return signed_amount(top, currency, DEAL, SETTLEMENT, SUMS, "ram:RoundingAmount")


def _added(top: Node, currency: str) -> Decimal:
    """Charges less allowances, of the bill and its lines, with tax in its currency and rounding."""
    head = (DEAL, SETTLEMENT)
    inside = (DEAL, "ram:IncludedSupplyChainTradeLineItem", LINE_SETTLEMENT, ALLOWANCE)
    added = _rounding(top, currency)
    for node in (*top.all(*head, ALLOWANCE), *top.all(*inside)):
        indicator = node.need("ram:ChargeIndicator", "udt:Indicator")
        charged = amount(node, currency, "ram:ActualAmount") or Decimal(0)
        added += charged if is_true(indicator, "ram:ChargeIndicator") else -charged
    for node in top.all(*head, "ram:SpecifiedLogisticsServiceCharge"):
        added += amount(node, currency, "ram:AppliedAmount") or Decimal(0)
    for node in top.all(*head, SUMS, "ram:TaxTotalAmount"):
        if node.attributes.get("currencyID", currency) == currency:
            added += exact_numbers.exact(node.text.strip(), "ram:TaxTotalAmount")
    return added


def _line(node: Node, currency: str) -> BilledLine:
    unit, units = quantity(node, LINE_DELIVERY, "ram:BilledQuantity")
    price = node.first(LINE_AGREEMENT, NET_PRICE)
    if units is None or price is None:
        raise MessageError("ram:BilledQuantity or ram:NetPriceProductTradePrice is missing")
    cost = net_price(price, currency, unit, "ram:ChargeAmount", "ram:BasisQuantity")
    has_charges = node.first(LINE_SETTLEMENT, ALLOWANCE) is not None
    stated = ("ram:SpecifiedTradeSettlementLineMonetarySummation", "ram:LineTotalAmount")
    whole = None if has_charges else amount(node, currency, LINE_SETTLEMENT, *stated)
    order_id = node.get(LINE_AGREEMENT, ORDER, "ram:IssuerAssignedID")
    line_id, item_id = node.get(LINE_AGREEMENT, ORDER, "ram:LineID"), _item(node)
    # whose own number a line has is no number of ours, unless nothing else tells it
    line_id = line_id or ("" if item_id else _number(node))
    return BilledLine(order_id, line_id, item_id, units, cost, whole, unit)


def _number(node: Node) -> str:
    return node.get("ram:AssociatedDocumentLineDocument", "ram:LineID")


def _item(node: Node) -> str:
    """The item under a number of ours; empty where only others name it."""
    owners = ("ram:BuyerAssignedID", "ram:SellerAssignedID")
    return next(filter(None, (node.get("ram:SpecifiedTradeProduct", o) for o in owners)), "")


def _whole(read_one: Callable[[Node], BilledLine], node: Node) -> BilledLine:
    """A line that says nothing beside what is read of it."""
    if reason := _unread(node, LINE):
        raise OddLineError(reason)
    return read_one(node)


def _unread(node: Node, places: tuple[tuple[str, ...], ...]) -> str:
    """What is also said at these places and not read here, in words; empty where that is
    nothing."""
    unread = {
        child.name
        for path in places
        for found in node.all(*path)
        for child in found.children
        if child.name.partition(":")[2] not in READ[found.name.partition(":")[2]].split()
    }
    found = ", ".join(sorted(unread))[:300]
    return f"it also says what is not read here: {found}" if found else ""


def _day(node: Node, *path: str) -> date:
    """A day as YYYYMMDD (format 102)."""
    found = node.first(*path)
    written = node.need(*path)
    is_read = found is not None and found.attributes.get("format", "102") == "102"
    try:
        if not (is_read and re.fullmatch(r"\d{8}", written, re.ASCII)):
            raise ValueError(written)
        return datetime.strptime(written, "%Y%m%d").date()
    except ValueError as error:
        raise MessageError(f"{path[-2]} is '{written[:40]}', no day as YYYYMMDD") from error
