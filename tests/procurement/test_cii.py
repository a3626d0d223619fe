"""Cross Industry Invoices, plain and in PDFs, as drafthorse and factur-x write them: what they say
is what is read, and what is hostile is refused in bounded time."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import facturx
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement import cii_in, embedded_invoice
from models.procurement.currencies import minor_unit
from models.procurement.formats import BILLS, CODECS, reader_of
from models.procurement.messages import (
    PAYABLES,
    Invoice,
    InvoicedLine,
    MessageError,
    Odd,
    Order,
    OrderedLine,
)
from tests.procurement import cii_supplier
from tests.procurement.cii_supplier import by_drafthorse, by_facturx, paper, squeezed

ON, DUE = date(2026, 1, 4), date(2026, 1, 20)
ORDER = Order(
    "SHP7",
    "S1",
    "DC",
    ON,
    "EUR",
    0,
    (
        OrderedLine("1", "mug", 10, 2.5, DUE),
        OrderedLine("2", "cup", 4, 0.125, DUE),
    ),
)
BILL = cii_supplier.invoice(ORDER)
PDFS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda xml: xml,
    "factur-x": by_facturx,
    "drafthorse": by_drafthorse,
    "written anew": lambda xml: squeezed(by_facturx(xml)),
}
texts = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)


@st.composite
def orders(draw: Any) -> Order:
    currency = draw(st.sampled_from(["EUR", "JPY", "GBP"]))
    lines = tuple(
        OrderedLine(str(place), draw(texts), quantity, cost, DUE)
        for place, (quantity, cost) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        st.integers(1, 10**6).map(lambda n: n / 8),
                        st.integers(1, 10**7).map(lambda n: n / 1000),
                    ),
                    min_size=1,
                    max_size=5,
                )
            ),
            start=1,
        )
    )
    return Order(draw(texts), "S1", "DC", ON, currency, 0, lines)


@settings(max_examples=60)
@given(orders(), st.integers(0, 99_999), st.integers(0, 99_999))
def test_a_bill_says_what_its_supplier_meant(order: Order, freight: int, tax: int) -> None:
    coin = minor_unit(order.currency)
    money = {"freight": freight * coin, "tax": tax * coin}
    (said,) = cii_in.read(cii_supplier.invoice(order, **money)).messages
    lines = tuple(
        InvoicedLine(d.line_id, d.item_id, d.quantity, d.unit_cost, "piece") for d in order.lines
    )
    on = date(2026, 1, 22)
    head = ("RE-7", order.order_id, on, order.currency, lines, (freight + tax) * coin)
    assert said == Invoice(*head, Decimal(0))


@pytest.mark.parametrize("way", list(PDFS))
def test_the_same_bill_is_read_out_of_whatever_pdf_carries_it(way: str) -> None:
    body = PDFS[way](BILL)
    assert reader_of(body, CODECS["x12"]) is BILLS
    assert BILLS.split(body) == [body]
    assert BILLS.read(body) == cii_in.read(BILL)
    if way != "plain":  # another reader finds the same in it
        assert facturx.get_xml_from_pdf(body, check_xsd=False)[1] == BILL


def test_what_is_no_such_bill_is_left_to_the_partner_s_own_format() -> None:
    for body in (b"", b"ISA*00*", b"UNB+UNOC:3", b"<Invoice xmlns='urn:x'/>", b"a;b\n%PDF-;1\n"):
        assert reader_of(body, CODECS["ubl"]) is CODECS["ubl"]
    for charset in ("utf-8", "utf-8-sig", "utf-16"):
        said = BILL.decode().replace("encoding='utf-8'", f"encoding='{charset[:6].rstrip('-')}'")
        assert reader_of(said.encode(charset), CODECS["x12"]) is BILLS


def test_a_price_for_several_charges_of_lines_units_and_rounding_are_read() -> None:
    from drafthorse.models.accounting import TradeAllowanceCharge

    def change(bill: Any) -> None:
        first, second = bill.trade.items.children
        first.agreement.net.amount = Decimal("250")
        first.agreement.net.basis_quantity = (Decimal(100), "C62")
        off = TradeAllowanceCharge()
        off.indicator, off.actual_amount, off.reason = False, Decimal("1.00"), "late"
        second.settlement.allowance_charge.add(off)
        second.delivery.billed_quantity = (Decimal(4), "XBX")
        sums = bill.trade.settlement.monetary_summation
        sums.rounding_amount = Decimal("-0.01")
        sums.prepaid_total = Decimal("4.00")
        sums.grand_total, sums.due_amount = Decimal("24.50"), Decimal("20.49")

    bill, paid = cii_in.read(cii_supplier.invoice(ORDER, change=change)).messages
    assert isinstance(bill, Invoice)
    assert [(d.quantity, d.unit_cost, d.unit) for d in bill.lines] == [
        (10, 2.5, "piece"),
        (4, 0.125, "box"),
    ]
    assert bill.charges == Decimal("-1.01") and bill.rounding == 0
    assert isinstance(paid, Odd) and "4.00 of it is paid already" in paid.reason


def test_a_credit_note_names_the_invoice_that_it_takes_back_of() -> None:
    def change(bill: Any) -> None:
        bill.trade.settlement.invoice_referenced_document.issuer_assigned_id = "RE-6"

    for said, credits in ((change, "RE-6"), (lambda bill: None, "")):
        (note,) = cii_in.read(cii_supplier.invoice(ORDER, kind="381", change=said)).messages
        assert isinstance(note, Invoice) and note.credits == credits


def test_a_line_without_the_order_s_number_is_told_by_its_item() -> None:
    def change(bill: Any) -> None:
        for line in bill.trade.items.children:
            line.agreement.buyer_order.line_id = ""

    (said,) = cii_in.read(cii_supplier.invoice(ORDER, change=change)).messages
    assert isinstance(said, Invoice)
    assert [(line.line_id, line.item_id) for line in said.lines] == [("", "mug"), ("", "cup")]


def swap(before: str, after: str, body: bytes = BILL) -> bytes:
    assert before.encode() in body
    return body.replace(before.encode(), after.encode(), 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (swap("<ram:TypeCode>380", "<ram:TypeCode>384"), "of kind 384; it was not taken"),
        (swap(">1<", ">1</ram:LineID><ram:ParentLineID>9</ram:ParentLineID><ram:LineID>2<"), ""),
        (swap("<ram:BilledQuantity", "<ram:ChargeFreeQuantity/><ram:BilledQuantity"), "Free"),
        (swap("<ram:LineTotalAmount>0.50", "<ram:LineTotalAmount>0.50"), None),
    ],
)
def test_what_only_people_can_answer_is_theirs(body: bytes, why: str | None) -> None:
    odd = [one for one in cii_in.read(body).messages if isinstance(one, Odd)]
    assert bool(odd) is (why is not None)
    assert all((one.owner, one.order_id) == (PAYABLES, "SHP7") for one in odd)
    assert not odd or (why or "Parent") in " ".join(one.reason for one in odd)


def test_a_bill_without_lines_is_a_person_s() -> None:
    from lxml import etree

    top = etree.fromstring(BILL)
    deal = top[2]
    for line in deal.findall("{*}IncludedSupplyChainTradeLineItem"):
        deal.remove(line)
    (odd,) = cii_in.read(etree.tostring(top)).messages
    assert isinstance(odd, Odd) and "over 25.50 EUR has no lines" in odd.reason


BOMB = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>\n<rsm:Cross"
OUTSIDE = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>\n<rsm:Cross"
DEEP = "<ram:X>" * 10_000
HOSTILE = {
    "entity bomb": (swap("<rsm:Cross", BOMB), "document type"),
    "file entity": (swap("<rsm:Cross", OUTSIDE), "document type"),
    "control total": (swap("<ram:DuePayableAmount>25", "<ram:DuePayableAmount>95"), "DuePayable"),
    "all totals": (
        swap(
            "<ram:GrandTotalAmount>25",
            "<ram:GrandTotalAmount>95",
            swap("<ram:DuePayableAmount>25", "<ram:DuePayableAmount>95"),
        ),
        "control total",
    ),
    "line total": (swap("<ram:LineTotalAmount>25", "<ram:LineTotalAmount>85"), "amount of line 1"),
    "no currency": (swap("Code>EUR", "Code>ZZZ"), "no currency"),
    "mixed currencies": (swap("<ram:ChargeAmount>", "<ram:ChargeAmount currencyID='USD'>"), "USD"),
    "negative price": (swap("<ram:ChargeAmount>", "<ram:ChargeAmount>-"), "below zero"),
    "negative sum": (swap("<ram:DuePayableAmount>", "<ram:DuePayableAmount>-"), "below zero"),
    "endless number": (swap('"C62">', '"C62">' + "9" * 5000), "signs long"),
    "price for none": (
        swap("</ram:ChargeAmount>", "</ram:ChargeAmount><ram:BasisQuantity>0</ram:BasisQuantity>"),
        "for no piece",
    ),
    "no day": (swap(">20260122<", ">20261322<"), "no day"),
    "other day": (swap('format="102"', 'format="610"'), "no day"),
    "charset": (BILL.replace(b">mug<", b">m\xff<"), "no XML"),
    "unknown charset": (swap("utf-8", "utf-7"), "character set"),
    "cut off": (BILL[:900], "no XML"),
    "oversized": (BILL + b" " * 9_000_000, "bytes are more"),
    "deep": (swap("<ram:LineID>", DEEP + "<ram:LineID>"), "deep"),
    "older ZUGFeRD": (b"<x:CrossIndustryInvoice xmlns:x='urn:ferd:1p0'/>", "no Cross Industry"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_bill_is_refused_with_its_reason(name: str) -> None:
    body, why = HOSTILE[name]
    said, odd = "", []
    try:
        odd = [one for one in cii_in.read(body).messages if isinstance(one, Odd)]
        assert len(cii_in.read(body).messages) == len(odd) + 1  # the lines beside it are taken
    except MessageError as error:
        said = str(error)
    assert why in " ".join([said, *(one.reason for one in odd)])


def stream(content: bytes, about: bytes = b"/Filter /FlateDecode") -> bytes:
    return b"1 0 obj\n<< " + about + b" >>\nstream\n" + content + b"\nendstream\nendobj\n"


def test_a_hostile_pdf_is_refused_in_bounded_time_and_memory() -> None:
    bomb = zlib.compress(BILL[:300] + b"\0" * 60_000_000, 9)
    nested = zlib.compress(bomb)
    for body, why in (
        (b"%PDF-1.7\n" + stream(bomb), "bytes are more"),
        (b"%PDF-1.7\n" + stream(bomb) * 24, "more than"),
        (b"%PDF-1.7\n" + stream(nested, b"/Filter [/FlateDecode /FlateDecode]"), "no invoice"),
        (b"%PDF-1.7\n" + b">>stream\n" * 800_000, "streams"),
        (b"%PDF-1.7\n" + stream(BILL[:300], b""), "no XML"),
        (b"%PDF-1.7\n" + stream(b"\x00broken"), "no invoice"),
        (b"%PDF-1.7\n" + b"<<" * 3_000_000, "no invoice"),
        (b"%PDF-1.7\n" + b" " * 9_000_000, "bytes are more"),
        (paper(), "no invoice for machines in it: a person reads it"),
        (by_facturx(BILL) + by_facturx(cii_supplier.invoice(ORDER, number="RE-8")), "2 different"),
        (paper(a=BILL, b=swap("RE-7", "RE-8")), "2 different"),
    ):
        began = time.process_time()
        with pytest.raises(MessageError, match=why):
            BILLS.read(body)
        assert time.process_time() - began < 10
    assert BILLS.read(paper(a=BILL, b=BILL)) == cii_in.read(BILL)


def test_an_encrypted_pdf_is_said_to_be_one() -> None:
    writer, file = pypdf.PdfWriter(clone_from=io.BytesIO(by_facturx(BILL))), io.BytesIO()
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(file)
    with pytest.raises(MessageError, match="it is encrypted"):
        BILLS.read(file.getvalue())


PIECES = [BILL[:400], BILL[400:900], BILL[900:], b"<ram:ID>", b"</ram:ID>", b"-1", b"9" * 50]
PIECES += [b"%PDF-1.4\n", b"<</Filter/FlateDecode>>stream\n", zlib.compress(BILL), b"endstream"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), max_size=12).map(b"".join))
def test_whatever_the_bytes_are_they_are_read_or_refused(body: bytes) -> None:
    for reader in (BILLS, embedded_invoice):
        try:
            reader.read(body) if reader is BILLS else reader.within(body, cii_in.ROOT)
        except MessageError as error:
            assert str(error)


@settings(max_examples=300)
@given(st.data())
def test_one_changed_place_is_read_or_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BILL) - 1))
    size = data.draw(st.integers(0, 30))
    put = data.draw(st.binary(max_size=6) | st.sampled_from([b"-", b"9" * 60, b"1e99", b"NaN"]))
    try:
        messages = cii_in.read(BILL[:place] + put + BILL[place + size :]).messages
    except MessageError as error:
        assert str(error)
    else:
        assert messages
