"""Whatever format a supplier answers in, it may bill with a PDF that carries its invoice for
machines, or with that invoice alone: paid once, or a person's with its reason."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.domain import OrderLine
from models.procurement.messages import Order
from orchestration.ledger.schema import inbox
from tests.ledger.test_partner_formats import FORMATS, SHEET, Company
from tests.ledger.test_procure_station import publish
from tests.procurement.cii_supplier import by_facturx, invoice, paper

WAYS: dict[str, Callable[[bytes], bytes]] = {"xml": lambda xml: xml, "pdf": by_facturx}


@pytest.mark.parametrize(("form", "way"), [("edifact", "pdf"), ("ubl", "xml"), ("csv", "pdf")])
def test_a_bill_beside_the_partner_s_format_closes_the_order_once(
    form: str, way: str, line: Callable[..., OrderLine], tmp_path: Path
) -> None:
    company = Company(replace(FORMATS[form], contract=FORMATS[form].contract), tmp_path)
    order = company.order(line("mug", 10), line("cup", 4, unit_cost=0.125))
    arrived = [
        (order.order_id, d.line_id, d.item_id, d.quantity, datetime(2026, 1, 4))
        for d in order.lines
    ]
    company.hear(company.form.answer(order), "1.dat")
    publish(company.home, tuple(arrived))
    company.run("supplier", "receive")
    bill = WAYS[way](invoice(order))
    for name in ("2.dat", "3.dat"):
        company.hear(bill, name)
        company.run("supplier", "receive")
    ledger = company.ledger()
    assert {d.stage for d in ledger.lines()} == {"closed"}, company.exceptions()
    assert ledger.audit() == []
    ledger.close()
    assert company.exceptions() == []
    said = company.events()
    assert [said.count(kind) for kind in ("invoiced", "payment_proposed")] == [2, 2]


def test_freight_tax_and_a_higher_price_are_seen_and_a_credit_note_lessens(
    line: Callable[..., OrderLine], tmp_path: Path
) -> None:
    company = Company(FORMATS["ubl"], tmp_path)
    order = company.order(line("mug", 10))
    dearer = [replace(order.lines[0], unit_cost=3.5)]
    company.hear(by_facturx(invoice(order, lines=dearer, tax=Decimal("6.65"))), "1.pdf")

    def of(bill) -> None:
        bill.trade.settlement.invoice_referenced_document.issuer_assigned_id = "RE-7"

    back = [replace(order.lines[0], quantity=2, unit_cost=3.5)]
    company.hear(invoice(order, number="GS-1", kind="381", lines=back, change=of), "2.xml")
    heard = company.run("supplier", "receive")["messages"]
    assert [(m["status"], m["facts"]) for m in heard] == [("taken", 1)] * 2
    assert any("6.65 in charges" in reason for _, reason in company.exceptions())
    ledger = company.ledger()
    (document,) = [d for d in ledger.lines() if d.from_id == "S1"]
    assert document.invoices["RE-7"]["unit_cost"] == 3.5
    assert document.credits["GS-1"]["quantity"] == 2
    ledger.close()


def changed(order: Order, before: str, after: str) -> bytes:
    body = invoice(order)
    assert before.encode() in body
    return body.replace(before.encode(), after.encode(), 1)


TEST_RUN = "<ram:TestIndicator><udt:Indicator>true</udt:Indicator></ram:TestIndicator>"
POISON: dict[str, Callable[[Order], bytes]] = {
    "entity bomb": lambda o: changed(o, "<rsm:Cross", "<!DOCTYPE a [<!ENTITY a 'b'>]><rsm:Cross"),
    "control total": lambda o: changed(o, "PayableAmount>", "PayableAmount>9"),
    "endless number": lambda o: changed(o, '"C62">', '"C62">' + "9" * 5000),
    "negative price": lambda o: changed(o, "<ram:ChargeAmount>", "<ram:ChargeAmount>-"),
    "other currency": lambda o: changed(o, "Code>GBP", "Code>USD"),
    "unknown order": lambda o: invoice(replace(o, order_id="SHP99999999")),
    "no order": lambda o: invoice(replace(o, order_id="")),
    "other unit": lambda o: changed(o, '"C62"', '"KGM"'),
    "only a test": lambda o: changed(o, "<ram:Guideline", TEST_RUN + "<ram:Guideline"),
    "only a paper": lambda o: paper(),
    "two bills": lambda o: paper(a=invoice(o), b=invoice(o, number="RE-8")),
    "pdf bomb": lambda o: (
        b"%PDF-1.7\n1 0 obj\n<</Filter /FlateDecode>>\nstream\n"
        + zlib.compress(invoice(o)[:300] + b"\0" * 60_000_000)
    ),
    "oversized": lambda o: by_facturx(invoice(o)) + b" " * 9_000_000,
}


@pytest.fixture(scope="module")
def poisoned() -> list[tuple[Company, Order]]:
    """A company with an order out, made when the first poison asks for it."""
    return []


@pytest.mark.parametrize("name", list(POISON))
def test_no_hostile_bill_is_taken_or_keeps_the_next_message_waiting(
    name: str,
    poisoned: list[tuple[Company, Order]],
    line: Callable[..., OrderLine],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if not poisoned:
        made = Company(FORMATS["csv"], tmp_path_factory.mktemp("bills"))
        poisoned.append((made, made.order(line("mug", 10))))
    company, order = poisoned[0]
    body, before = POISON[name](order), len(company.exceptions())
    company.hear(body, "1.dat")
    company.hear(company.form.answer(order), "2.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert heard[0]["facts"] == 0 and company.events().count("invoiced") == 0
    assert heard[1]["status"] in ("taken", "repeated")
    said = company.exceptions()[before:]
    assert said and all(owner and reason for owner, reason in said), heard
    ledger = company.ledger()
    kept = [bytes(row.body) for row in ledger.store.read(sa.select(inbox))]
    ledger.close()
    assert any(body.startswith(one) and len(one) > min(len(body), 100) - 1 for one in kept)


BY_ITEM = SHEET.replace("      line_id: Pos\n", "").replace(
    "      order_id: Bestellung\n      quantity",
    "      order_id: Bestellung\n      item_id: Artikel\n      quantity",
)


@pytest.mark.parametrize("form", ["cii", "csv"])
def test_lines_without_our_numbers_are_told_by_their_items(
    form: str, line: Callable[..., OrderLine], tmp_path: Path
) -> None:
    company = Company(replace(FORMATS["csv"], contract=BY_ITEM), tmp_path)
    order = company.order(line("mug", 10), line("cup", 4, unit_cost=0.125))

    def unnumbered(bill) -> None:
        for one in bill.trade.items.children:
            one.agreement.buyer_order.line_id = ""

    ways = {
        "cii": lambda: invoice(order, change=unnumbered),
        "csv": lambda: company.form.invoice(order),
    }
    company.hear(company.form.ship_notice(order), "1.dat")
    company.hear(ways[form](), "2.dat")
    company.run("supplier", "receive")
    ledger = company.ledger()
    billed = {
        d.item_id: (one["quantity"], one["unit_cost"], sum(d.shipments.values()))
        for d in ledger.lines()
        for one in d.invoices.values()
    }
    ledger.close()
    assert billed == {"mug": (10, 2.5, 10), "cup": (4, 0.125, 4)}, company.exceptions()
    assert company.exceptions() == []
