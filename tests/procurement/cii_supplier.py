"""The other end of Cross Industry Invoices: bills as drafthorse writes them, held against the
official schema of their profile, and PDFs as factur-x and drafthorse make them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import facturx
import pypdf
from drafthorse.models.accounting import ApplicableTradeTax, TradeAllowanceCharge
from drafthorse.models.document import Document
from drafthorse.models.party import TaxRegistration
from drafthorse.models.tradelines import LineItem
from drafthorse.pdf import attach_xml

from models.procurement.currencies import minor_unit
from models.procurement.messages import Order, OrderedLine

EN16931 = "urn:cen.eu:en16931:2017"


def document(order: Order, number: str = "RE-7", kind: str = "380") -> Document:
    """A bill of the whole order without its lines and sums."""
    bill = Document()
    bill.context.guideline_parameter.id = EN16931
    bill.header.id, bill.header.type_code = number, kind
    bill.header.issue_date_time = datetime(2026, 1, 22, tzinfo=UTC)
    trade = bill.trade
    trade.agreement.seller.name, trade.agreement.buyer.name = "Acme GmbH", "Us Ltd"
    for party in (trade.agreement.seller, trade.agreement.buyer):
        party.address.country_id = "DE"
    trade.agreement.seller.tax_registrations.add(TaxRegistration(id=("VA", "DE123456789")))
    trade.agreement.buyer_order.issuer_assigned_id = order.order_id
    trade.settlement.currency_code = order.currency
    return bill


def item(said: OrderedLine, currency: str, code: str = "C62") -> LineItem:
    """A line that bills all of an order's line."""
    line = LineItem()
    line.document.line_id = said.line_id
    line.product.name, line.product.buyer_assigned_id = f"A {said.item_id}", said.item_id
    line.agreement.buyer_order.line_id = said.line_id
    line.agreement.net.amount = Decimal(str(said.unit_cost))
    line.delivery.billed_quantity = (Decimal(str(said.quantity)), code)
    line.settlement.trade_tax.type_code, line.settlement.trade_tax.category_code = "VAT", "S"
    line.settlement.trade_tax.rate_applicable_percent = Decimal("19.00")
    line.settlement.monetary_summation.total_amount = amount(said, currency)
    return line


def amount(said: OrderedLine, currency: str) -> Decimal:
    return (Decimal(str(said.quantity)) * Decimal(str(said.unit_cost))).quantize(
        minor_unit(currency), ROUND_HALF_UP
    )


def invoice(
    order: Order,
    *,
    number: str = "RE-7",
    kind: str = "380",
    freight: Decimal = Decimal(0),
    off: Decimal = Decimal(0),
    tax: Decimal = Decimal(0),
    change: Callable[[Any], None] = lambda bill: None,
    lines: Sequence[OrderedLine] | None = None,
) -> bytes:
    """A bill of the order, or of these lines, with charges, an allowance and tax of the whole."""
    bill, said = document(order, number, kind), order.lines if lines is None else lines
    for one in said:
        bill.trade.items.add(item(one, order.currency))
    goods = sum((amount(one, order.currency) for one in said), Decimal(0))
    basis = goods + freight - off
    for is_charge, money in ((True, freight), (False, off)):
        if money:
            bill.trade.settlement.allowance_charge.add(_allowance(is_charge, money))
    taxed = ApplicableTradeTax()
    taxed.calculated_amount, taxed.basis_amount = tax, basis
    taxed.type_code, taxed.category_code, taxed.rate_applicable_percent = "VAT", "S", Decimal(19)
    bill.trade.settlement.trade_tax.add(taxed)
    sums = bill.trade.settlement.monetary_summation
    sums.line_total, sums.charge_total, sums.allowance_total = goods, freight, off
    sums.tax_basis_total, sums.tax_total = basis, (tax, order.currency)
    sums.grand_total = sums.due_amount = basis + tax
    change(bill)
    return bill.serialize(schema="FACTUR-X_EXTENDED")


def _allowance(is_charge: bool, money: Decimal) -> TradeAllowanceCharge:
    said = TradeAllowanceCharge()
    said.indicator, said.actual_amount, said.reason = is_charge, money, "as agreed"
    said.trade_tax.add(_taxed_as())
    return said


def _taxed_as() -> Any:
    from drafthorse.models.accounting import CategoryTradeTax

    tax = CategoryTradeTax()
    tax.type_code, tax.category_code, tax.rate_applicable_percent = "VAT", "S", Decimal(19)
    return tax


def paper(**more: bytes) -> bytes:
    """A PDF for people, with files attached to it."""
    writer, file = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    for name, body in more.items():
        writer.add_attachment(f"{name}.xml", body)
    writer.write(file)
    return file.getvalue()


def by_facturx(xml: bytes) -> bytes:
    """The PDF that factur-x makes of a bill, which it checks against the schema of its profile."""
    return facturx.generate_from_binary(paper(), xml, level="en16931", check_schematron=False)


def by_drafthorse(xml: bytes) -> bytes:
    return attach_xml(paper(), xml, level="EN 16931")


def squeezed(pdf: bytes) -> bytes:
    """The same PDF written anew, with every stream deflated that can be."""
    reader, writer, file = pypdf.PdfReader(io.BytesIO(pdf)), pypdf.PdfWriter(), io.BytesIO()
    writer.clone_document_from_reader(reader)
    for one in writer._objects:
        if isinstance(one, pypdf.generic.DecodedStreamObject):
            one.flate_encode()
    writer.compress_identical_objects()
    writer.write(file)
    return file.getvalue()
