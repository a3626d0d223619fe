"""UBL on the wire: the official schemas take what we write, we read what lxml writes, and nothing
hostile is taken for a good document."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement import xml_tree
from models.procurement.codec import LARGEST, Delivery
from models.procurement.documents import is_order_doubtful, is_overtaken
from models.procurement.messages import (
    Acknowledgement,
    Invoice,
    MessageError,
    Odd,
    Order,
    OrderedLine,
    Party,
    ShipNotice,
)
from models.procurement.ubl_out import Ubl
from models.procurement.xml_tree import DEEPEST
from tests.procurement import ubl_supplier as supplier

US, THEM, AT = Party("STOCKHOUSE"), Party("S1"), datetime(2026, 1, 5, 8, 30)
LINES = (
    OrderedLine("1", "MUG", 100, 2.5, date(2026, 1, 20)),
    OrderedLine("2", "CUP", 40.5, 0.125, date(2026, 1, 22)),
)
ORDER = Order("SHP00000007", "S1", "DC", date(2026, 1, 5), "GBP", 0, LINES)
ITEMS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zs", "Zl", "Zp"]),
    min_size=1,
    max_size=20,
)
ID = "cac:OrderLine/cac:LineItem/cac:Item/cac:BuyersItemIdentification/cbc:ID"
PRICE = "cac:OrderLine/cac:LineItem/cac:Price/cbc:PriceAmount"


def written(order: Order, usage: str = "P") -> bytes:
    return Ubl().write(order, US, THEM, 7, AT, usage)


def read(kind: str, said: list[supplier.Said]) -> Delivery:
    return Ubl().read(supplier.wire(kind, said))


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(ITEMS, min_size=1, max_size=3),
    quantity=st.floats(0.001, 1e6).map(lambda x: round(x, 3)),
    cost=st.integers(0, 10**6).map(lambda x: x / 1000),
    revision=st.integers(0, 2),
)
def test_an_order_is_valid_ubl_and_says_to_another_reader_what_it_said_to_us(
    items, quantity, cost, revision
):
    lines = tuple(
        OrderedLine(str(place), item, quantity, cost, date(2026, 1, 20), "change")
        for place, item in enumerate(items, start=1)
    )
    body = written(dataclasses.replace(ORDER, lines=lines, revision=revision))
    top = supplier.read(body)
    assert supplier.texts(top, ID) == items
    assert {float(text) for text in supplier.texts(top, PRICE)} == {cost}
    units = supplier.texts(top, "cac:OrderLine/cac:LineItem/cbc:Quantity")
    assert {float(text) for text in units} == {quantity}
    assert supplier.texts(top, "cbc:LineCountNumeric") == [str(len(items))]


def test_a_whole_cancellation_is_a_document_of_its_own_and_a_test_says_so():
    dropped = tuple(dataclasses.replace(line, action="cancel") for line in LINES)
    whole = dataclasses.replace(ORDER, revision=3, lines=dropped)
    top = supplier.read(written(whole))
    assert (top.tag.rpartition("}")[2], Ubl().document_type(whole)) == (
        "OrderCancellation",
        "cancel",
    )
    assert supplier.texts(top, "cac:OrderReference/cbc:ID") == ["SHP00000007"]
    part = supplier.read(written(dataclasses.replace(whole, is_whole=False)))
    assert supplier.texts(part, "cac:OrderLine/cac:LineItem/cbc:LineStatusCode") == ["2", "2"]
    assert supplier.texts(supplier.read(written(ORDER, "T")), "cbc:Note")[0].startswith("TEST")


def test_money_is_in_the_minor_units_of_its_currency():
    path = "cac:OrderLine/cac:LineItem/cbc:LineExtensionAmount"
    for currency, amount in (("GBP", "5.06"), ("JPY", "5"), ("KWD", "5.063")):
        top = supplier.read(written(dataclasses.replace(ORDER, currency=currency)))
        assert supplier.texts(top, path)[1] == amount
    for order in (
        dataclasses.replace(ORDER, currency="ZZZ"),
        dataclasses.replace(ORDER, lines=(dataclasses.replace(LINES[0], item_id="a\x1bb"),)),
    ):
        with pytest.raises(MessageError):
            written(order)


@settings(max_examples=40, deadline=None)
@given(
    units=st.integers(1, 10**6).map(lambda x: x / 1000),
    cost=st.integers(1, 10**6).map(lambda x: x / 1000),
    freight=st.integers(0, 10**5).map(lambda x: x / 100),
    item=ITEMS,
)
def test_what_a_supplier_says_in_ubl_is_heard_as_it_was_meant(units, cost, freight, item):
    line = OrderedLine("1", item, units, cost, date(2026, 1, 20))
    order = dataclasses.replace(ORDER, lines=(line,))
    heard = read("OrderResponse", supplier.answer(order))
    assert (heard.sender, heard.receiver, heard.written_at) == (
        (THEM,),
        (US,),
        "2026-01-05T09:30",
    )
    (said,) = heard.messages
    assert isinstance(said, Acknowledgement)
    (answer,) = said.lines
    assert (answer.line_id, answer.item_id, answer.code) == ("1", item, "IA")
    assert (answer.quantity, answer.unit_cost, answer.due_on) == (units, cost, date(2026, 1, 25))
    (notice,) = read("DespatchAdvice", supplier.ship_notice(order)).messages
    assert isinstance(notice, ShipNotice)
    assert (notice.lines[0].item_id, notice.lines[0].quantity) == (item, units)
    assert (notice.due_on, notice.lines[0].line_id) == (date(2026, 1, 21), "1")
    (bill,) = read("Invoice", supplier.invoice(order, freight=freight)).messages
    assert isinstance(bill, Invoice)
    assert (bill.charges, bill.lines[0].unit_cost) == (Decimal(str(freight)), cost)


@pytest.mark.parametrize(
    ("status", "units", "code", "promised"),
    [("5", 100, "IA", 100), ("3", 60, "IC", 60), ("7", 0, "IR", 0), ("2", 0, "ID", 0)],
)
def test_an_answer_is_heard_line_by_line(status, units, code, promised):
    (said,) = read("OrderResponse", supplier.answer(ORDER, line_1=(status, units))).messages
    assert (said.lines[0].code, said.lines[0].quantity) == (code, promised)
    assert (said.lines[1].code, said.lines[1].quantity) == ("IA", 40.5)
    assert not said.is_change
    (later,) = read(
        "OrderResponse", supplier.answer(dataclasses.replace(ORDER, revision=1))
    ).messages
    assert later.is_change


@pytest.mark.parametrize(("taken", "rest"), [("true", "IA"), ("false", "IR")])
def test_a_simple_answer_is_of_all_lines(taken, rest):
    reference = ("OrderReference", [("ID", "SHP00000007")])
    said = [("ID", "A-1"), ("IssueDate", "2026-01-05"), ("AcceptedIndicator", taken), reference]
    (heard,) = read("OrderResponseSimple", said).messages
    assert (heard.rest, heard.order_id, heard.lines) == (rest, "SHP00000007", ())


@pytest.mark.parametrize(
    ("before", "said", "is_older"),
    [
        ("2026-01-05T09:30", "2026-01-05T09:29", True),
        ("2026-01-05T09:30", "2026-01-04", True),
        ("2026-01-05T09:30", "2026-01-05", False),  # the same day, as far as both of them say
        ("2026-01-05", "2026-01-05T08:00", False),
        ("2026-01-05T09:30", "", False),
        ("", "2026-01-05", False),
    ],
)
def test_the_older_of_two_answers_is_told_as_precisely_as_both_say(before, said, is_older):
    then, now = ({"written_at": at, "control": 0} for at in (before, said))
    assert is_overtaken(then, now) is is_older
    assert not is_order_doubtful(then, now)


KINDS = ("OrderResponse", "DespatchAdvice", "Invoice")
GOOD = dict(
    zip(
        KINDS,
        (
            supplier.wire("OrderResponse", supplier.answer(ORDER)),
            supplier.wire("DespatchAdvice", supplier.ship_notice(ORDER)),
            supplier.wire("Invoice", supplier.invoice(ORDER, freight=4, tax=10)),
        ),
        strict=True,
    )
)
BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
    b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
)


@pytest.mark.parametrize("doctype", BOMB)
def test_a_document_type_is_refused_with_every_entity_of_its_own(doctype):
    body = GOOD["Invoice"].replace(b"?>\n", b"?>\n" + doctype, 1).replace(b">MUG<", b">&b;<")
    with pytest.raises(MessageError, match="declares a document type"):
        Ubl().read(body)


@pytest.mark.parametrize(
    ("kind", "before", "after", "why"),
    [
        ("Invoice", b">269.06<", b">999.06<", "wrong control total: the total"),
        (
            "Invoice",
            b'PayableAmount currencyID="GBP">269.06',
            b'PayableAmount currencyID="GBP">1',
            "what is paid",
        ),
        ("Invoice", b">250.00<", b">259.00<", "wrong control total: the amount of line 1"),
        ("Invoice", b">2.5<", b">-2.5<", "cbc:PriceAmount is -2.5, below zero"),
        ("Invoice", b">100<", b">" + b"9" * 5000 + b"<", "5,000 signs long"),
        ("Invoice", b">100<", b">NaN<", "no number"),
        (
            "Invoice",
            b"</cbc:PriceAmount>",
            b'</cbc:PriceAmount><cbc:BaseQuantity unitCode="KGM">1</cbc:BaseQuantity>',
            "cbc:BaseQuantity is in kg",
        ),
        ("Invoice", b"Code>GBP<", b"Code>ZZZ<", "ZZZ"),
        (
            "Invoice",
            b'currencyID="GBP">2.5',
            b'currencyID="USD">2.5',
            "is in USD, the document in GBP",
        ),
        ("Invoice", b">380<", b">383<", "is of kind 383"),
        ("Invoice", b">2026-01-22<", b">2026-02-30<", "no day as YYYY-MM-DD"),
        (
            "Invoice",
            b"<cac:TaxTotal>",
            b"<cac:WithholdingTaxTotal/><cac:TaxTotal>",
            "cac:WithholdingTaxTotal",
        ),
        ("Invoice", b"InvoiceLine>", b"InvoiceLin>", "wrong control total: the total"),
        ("OrderResponse", b">AP<", b">QQ<", "the answer as a whole is QQ"),
        ("OrderResponse", b"LineStatusCode>5<", b"LineStatusCode>42<", "its status is 42"),
        ("OrderResponse", b"LineCountNumeric>2<", b"LineCountNumeric>3<", "wrong control total"),
        ("OrderResponse", b"<cac:OrderReference>", b"<cac:X>", "no XML"),
        (
            "OrderResponse",
            b"</cac:LineItem>",
            b"</cac:LineItem><cac:SellerSubstitutedLineItem/>",
            "SellerSubstituted",
        ),
        ("DespatchAdvice", b"BuyersItem", b"StandardItem", "that has no number of ours"),
        ("DespatchAdvice", b"DespatchAdvice", b"Waybill", "is none of OrderResponse"),
        ("DespatchAdvice", b"encoding='UTF-8'", b'encoding="no-such"', "character set"),
        ("DespatchAdvice", b">MUG<", b">M\xffG<", "no XML"),
    ],
)
def test_what_is_odd_is_named_with_its_place_and_nothing_is_guessed(kind, before, after, why):
    assert before in GOOD[kind]
    try:
        said = Ubl().read(GOOD[kind].replace(before, after)).messages
        reasons = [message.reason for message in said if isinstance(message, Odd)]
    except MessageError as error:
        reasons = [str(error)]
    assert any(why in reason for reason in reasons), reasons


def test_size_depth_and_number_of_elements_are_bounded(monkeypatch):
    monkeypatch.setattr(xml_tree, "MOST_ELEMENTS", 1_000)
    head = GOOD["Invoice"].partition(b"<cbc:ID>")[0]
    for inside in (
        b"<cbc:Note>" * (DEEPEST + 1),
        b"<cbc:Note/>" * 1_000,
        b"x" * LARGEST,
    ):
        with pytest.raises(MessageError, match="more than"):
            Ubl().read(head + inside)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    place=st.integers(0, 4000),
    noise=st.binary(min_size=1, max_size=6),
    is_inserted=st.booleans(),
)
def test_a_mutilated_document_is_read_or_refused_and_nothing_else(kind, place, noise, is_inserted):
    body = GOOD[kind]
    place %= len(body)
    rest = body[place if is_inserted else place + len(noise) :]
    try:
        assert isinstance(Ubl().read(body[:place] + noise + rest), Delivery)
    except MessageError as error:
        assert len(str(error)) < 1000


def test_a_credit_note_names_the_invoice_that_it_takes_back_of():
    of = "<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>INV-1</cbc:ID>"
    of += "</cac:InvoiceDocumentReference></cac:BillingReference>"
    text = GOOD["Invoice"].decode().replace("Invoiced", "Credited").replace(">INV-1<", ">CN-1<")
    text = text.replace(">380<", ">381<").replace("InvoiceTypeCode", "CreditNoteTypeCode")
    text = text.replace("InvoiceLine>", "CreditNoteLine>").replace("Invoice-2", "CreditNote-2")
    for end in ("<", "</"):
        text = text.replace(f"{end}Invoice", f"{end}CreditNote").replace(
            f"{end}ubl:Invoice", f"{end}ubl:CreditNote"
        )
    text = text.replace("<cac:OrderReference>", f"{of}<cac:OrderReference>", 1)
    (bill,) = Ubl().read(text.encode()).messages
    assert isinstance(bill, Invoice)
    assert (bill.invoice_id, bill.credits, bill.lines[0].quantity) == ("CN-1", "INV-1", 100)
