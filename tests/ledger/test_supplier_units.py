"""A supplier reads and says his own unit and currency; the ledger counts in stock units and the
company's money, and compares like with like."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from models.domain import OrderLine
from models.procurement import x12
from models.procurement.messages import Party
from models.procurement.supplier_sale_terms import Sale
from orchestration.app import goods_and_bills, procurement
from orchestration.app.goods_and_bills import BilledLine
from orchestration.app.supplier_answers import Reply, answer
from orchestration.ledger import Ledger, Partner, Receipt
from tests.ledger.test_partner_formats import FORMATS, Company
from tests.ledger.test_procure_station import NOW, publish

CASES = Sale("case", 12, "EUR", 0.85)
#: How the supplier sells, how many stock units are ordered, and his price for one of his units.
SALES = {
    "cases in euro": (CASES, 60, 30),
    "dozens": (Sale("dozen", 12), 36, 30),
    "a unit no list has": (Sale("ve", 6, "USD", 0.79), 24, 18),
    "kilograms of a stock unit of 25": (Sale("kg", 0.04, "CHF", 0.87), 3, 0.1),
    "another currency alone": (Sale(currency="USD", rate=0.79), 7, 3.24),
}
#: How the order says the quantity and price of five cases at 30 euros.
WRITTEN = {
    "edifact": ("QTY+21:5:CS", "PRI+AAA:30:::1:CS", "CUX+2:EUR:9"),
    "ubl": (
        'unitCode="XCS">5<',
        'PriceAmount currencyID="EUR">30<',
        'BaseQuantity unitCode="XCS">1<',
    ),
    "csv": ("mug,5,case,30,EUR",),
}


@pytest.mark.parametrize("named", SALES)
@pytest.mark.parametrize("form", FORMATS)
def test_what_a_supplier_says_in_his_unit_and_money_is_what_was_ordered_in_ours(
    form: str, named: str, tmp_path: Path, line: Callable[..., OrderLine]
) -> None:
    sale, quantity, price = SALES[named]
    company = Company(FORMATS[form], tmp_path)
    cost = price * sale.rate / sale.holds
    order = company.order(line("mug", quantity, unit_cost=cost), sale=sale)
    (sent,) = (company.partners / "S1" / "out").iterdir()
    if sale == CASES:
        assert [said for said in WRITTEN[form] if said not in sent.read_text()] == []
    for form_of in (company.form.answer, company.form.ship_notice):
        company.hear(form_of(order), f"{len(company.events()):03d}.dat")
        assert [m["status"] for m in company.run("supplier", "receive")["messages"]] == ["taken"]
    (said,) = order.lines
    goods = (order.order_id, said.line_id, "mug", quantity, datetime(2026, 1, 4))
    publish(company.home, (goods,))
    company.run("supplier", "receive")
    company.hear(company.form.invoice(order), "900.dat")
    company.run("supplier", "receive")
    ledger = company.ledger()
    (kept,) = ledger.lines()
    assert company.exceptions() == []
    assert (kept.quantity, kept.confirmed, kept.received, kept.invoiced) == (quantity,) * 4
    assert kept.stage == "closed"
    assert kept.invoices["INV-1"]["unit_cost"] == kept.unit_cost
    assert ledger.audit() == []
    ledger.close()


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner("S1", str(tmp_path / "S1"), "GBP", costs_in="GBP")


@pytest.fixture
def sent(ledger: Ledger, partner: Partner, line: Callable[..., OrderLine]) -> Ledger:
    """Five cases of a mug are ordered at 30 euros, which is 2.125 pounds a mug."""
    lines = [line("mug", 60, unit_cost=2.125)]
    ledger.propose(lines, "run 1", NOW, currency="GBP", sales={("mug", "S1"): CASES})
    ledger.approve_within_limits(NOW)
    ledger.send({"S1": partner}, NOW)
    return ledger


def wire(code: str, group: str, body: list[str], control: int) -> bytes:
    parties = Party("S1"), Party("STOCKHOUSE")
    said = x12.write(code, group, [row.split("*") for row in body], *parties, control, NOW)
    return said.encode()


def test_an_850_says_cases_and_euros(sent: Ledger, tmp_path: Path) -> None:
    (message,) = (tmp_path / "S1" / "out").iterdir()
    assert "PO1*1*5*CA*30**VP*mug" in message.read_text()
    assert "CUR*BY*EUR" in message.read_text()


@pytest.mark.parametrize(
    ("goods", "promised", "asked"),
    [
        ("5*CA*30", 60, ()),
        ("4*CA*30", 48, ("IA 48 of 60",)),
        ("60*EA*2.5", 60, ()),
        ("5*CA*31", 60, ("the supplier's price is 2.19583, ordered at 2.125",)),
        ("5*KG*30", None, ("is in 'kg', it was ordered in 'case'",)),
    ],
)
def test_an_855_in_cases_or_in_pieces_is_read_in_stock_units(
    goods: str, promised: float | None, asked: tuple[str, ...], sent: Ledger, partner: Partner
) -> None:
    (kept,) = sent.lines()
    units, unit, _ = goods.split("*")
    body = [f"BAK*00*AC*{kept.order_id}*20260105", "CUR*BY*EUR", f"PO1*1*{goods}**VP*mug"]
    body += [f"ACK*IA*{units}*{unit}", "CTT*1"]
    sent.receive(wire("855", "PR", body, 1), partner, NOW)
    (kept,) = sent.lines()
    assert kept.confirmed == promised
    reasons = [e.payload["reason"] for e in sent.events() if e.kind == "excepted"]
    assert len(reasons) == len(asked)
    assert all(words in reason for words, reason in zip(asked, reasons, strict=True))


def test_a_bill_is_matched_in_our_money_and_one_in_another_currency_is_not_taken(
    sent: Ledger, partner: Partner
) -> None:
    (kept,) = sent.lines()
    sent.record_receipts([Receipt("G1", kept.order_id, "1", 60, NOW)], "ERP", NOW)
    for control, currency in ((1, "GBP"), (2, "EUR")):
        body = [f"BIG*20260110*INV{control}*20260105*{kept.order_id}", f"CUR*SE*{currency}"]
        body += ["IT1*1*5*CA*30**VP*mug", "TDS*15000", "CTT*1"]
        sent.receive(wire("810", "IN", body, control), partner, NOW)
    (kept,) = sent.lines()
    assert list(kept.invoices) == ["INV2"]
    assert (kept.stage, kept.payable("INV2")) == ("closed", 127_5000)
    reasons = [e.payload["reason"] for e in sent.events() if e.kind == "excepted"]
    assert reasons == [f"order {kept.order_id} is in EUR, the message in GBP; it was not taken"]


def test_lines_sold_in_two_currencies_are_two_orders(
    ledger: Ledger, line: Callable[..., OrderLine]
) -> None:
    lines = [line("mug", 60), line("cup", 6), line("jug", 6)]
    ledger.propose(lines, "run 1", NOW, currency="GBP", sales={("mug", "S1"): CASES})
    ledger.approve_within_limits(NOW)
    orders = {d.item_id: d.order_id for d in ledger.lines()}
    assert orders["cup"] == orders["jug"] != orders["mug"]


def test_another_unit_of_the_same_need_revises_its_requisition(
    ledger: Ledger, line: Callable[..., OrderLine]
) -> None:
    for sales, revised in (({}, 0), ({("mug", "S1"): CASES}, 1), ({("mug", "S1"): CASES}, 0)):
        assert ledger.propose([line("mug", 60)], "run", NOW, sales=sales).revised == revised


def test_a_supplier_answers_on_its_page_in_cases_and_our_books_bill_in_pieces(
    tmp_path: Path, line: Callable[..., OrderLine]
) -> None:
    company = Company(FORMATS["edifact"], tmp_path)
    order = company.order(line("mug", 60, unit_cost=2.125), sale=CASES)
    with procurement.open_desk(company.home) as desk:
        with pytest.raises(ValueError, match="not between 0 and the 5 that were ordered"):
            answer(desk, "S1", order.order_id, [Reply("1", 60, date(2026, 1, 20))])
        answer(desk, "S1", order.order_id, [Reply("1", 4, date(2026, 1, 20))])
        (kept,) = desk.ledger.lines()
        assert kept.confirmed == 48
        said = [BilledLine("1", 48, 2.125)]
        on = date(2026, 1, 22)
        goods_and_bills.bill(desk, "INV-9", order.order_id, on, said, Decimal(0), "ann")
        (kept,) = desk.ledger.lines()
        assert kept.invoices["INV-9"]["unit_cost"] == 2.125
