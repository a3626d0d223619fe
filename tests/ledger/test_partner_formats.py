"""A whole conversation in every document format, through the product's own commands: told once,
heard once, in the ledger exactly once; and whatever poison comes, the next message is heard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from models.domain import OrderLine
from models.procurement.messages import Order, OrderedLine
from models.procurement.supplier_sale_terms import Sale
from orchestration.app import procurement
from orchestration.app.supplier_answers import Reply, answer
from orchestration.cli import app as shell
from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.ledger.partners import FILE
from orchestration.ledger.schema import inbox
from tests.ledger.test_procure_station import NOW, publish
from tests.procurement import edifact_supplier, ubl_supplier

pytestmark = pytest.mark.filterwarnings("ignore:segments.xml not found")


@dataclass(frozen=True)
class Format:
    """The other end of one format: how its supplier reads our order, and what it says to it."""

    form: str
    suffix: str
    order_in: Callable[[bytes], tuple[str, list[str]]]  # order id, items
    answer: Callable[[Order], bytes]
    ship_notice: Callable[[Order], bytes]
    invoice: Callable[[Order], bytes]
    hostile: dict[str, Callable[[Order], bytes]]
    contract: str = ""  # what partners.yml says beside the form


def _edifact() -> Format:
    supplier = edifact_supplier

    def order_in(body: bytes) -> tuple[str, list[str]]:
        said = supplier.read(body)
        return said["BGM"][0][1], [line[2][0] for line in said["LIN"]]

    def bill(order: Order, before: bytes = b"", after: bytes = b"") -> bytes:
        body = supplier.wire("INVOIC", supplier.invoice(order), "7")
        assert before in body
        return body.replace(before, after)

    return Format(
        "edifact",
        "edifact",
        order_in,
        lambda order: supplier.wire("ORDRSP", supplier.answer(order), "5"),
        lambda order: supplier.wire("DESADV", supplier.ship_notice(order), "6"),
        bill,
        {
            "control total": lambda order: bill(order, b"MOA+77:", b"MOA+77:9"),
            "line count": lambda order: bill(order, b"CNT+2:2", b"CNT+2:3"),
            "segment count": lambda order: bill(order, b"UNT+", b"UNT+9"),
            "charset": lambda order: bill(order, b"UNOC:3", b"UNOA:3\xff"),
            "unknown order": lambda order: bill(order, order.order_id.encode(), b"SHP99999999"),
            "other currency": lambda order: bill(order, b":GBP:", b":USD:"),
            "no currency": lambda order: bill(order, b":GBP:", b":ZZZ:"),
            "negative price": lambda order: bill(order, b"PRI+AAA:", b"PRI+AAA:-"),
            "endless number": lambda order: bill(order, b"QTY+47:", b"QTY+47:" + b"9" * 5000),
            "not from them": lambda order: bill(order, b"UNB+UNOC:3+S1", b"UNB+UNOC:3+S2"),
            "cut off": lambda order: bill(order)[:200],
            "binary": lambda order: bytes(range(256)) * 40,
            "oversized": lambda order: bill(order) + b" " * 9_000_000,
            "separators": lambda order: bill(order)[:60] + b"+" * 2_000_000 + b"'",
        },
    )


def _ubl() -> Format:
    supplier = ubl_supplier

    def order_in(body: bytes) -> tuple[str, list[str]]:
        top = supplier.read(body)
        item = "cac:OrderLine/cac:LineItem/cac:Item/cac:BuyersItemIdentification/cbc:ID"
        return supplier.texts(top, "cbc:ID")[0], supplier.texts(top, item)

    def bill(order: Order, before: bytes = b"", after: bytes = b"") -> bytes:
        body = supplier.wire("Invoice", supplier.invoice(order))
        assert before in body
        return body.replace(before, after) if before else body

    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    outside = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    total, price = b'PayableAmount currencyID="GBP">', b'PriceAmount currencyID="GBP">'
    return Format(
        "ubl",
        "xml",
        order_in,
        lambda order: supplier.wire("OrderResponse", supplier.answer(order)),
        lambda order: supplier.wire("DespatchAdvice", supplier.ship_notice(order)),
        bill,
        {
            "entity bomb": lambda order: bill(order, b"?>\n", b"?>\n" + bomb),
            "file entity": lambda order: bill(order, b"?>\n", b"?>\n" + outside),
            "control total": lambda order: bill(order, total, total + b"9"),
            "charset": lambda order: bill(order, b">mug<", b">m\xff<"),
            "unknown charset": lambda order: bill(order, b"UTF-8", b"UTF-7"),
            "unknown order": lambda order: bill(order, order.order_id.encode(), b"SHP99999999"),
            "other currency": lambda order: bill(order, b"GBP", b"USD"),
            "no currency": lambda order: bill(order, b"GBP", b"ZZZ"),
            "mixed currencies": lambda order: bill(order, price, price.replace(b"GBP", b"USD")),
            "negative price": lambda order: bill(order, price, price + b"-"),
            "endless number": lambda order: bill(order, b'"C62">', b'"C62">' + b"9" * 5000),
            "not from them": lambda order: bill(order, b">S1<", b">S2<"),
            "cut off": lambda order: bill(order)[:200],
            "binary": lambda order: bytes(range(256)) * 40,
            "oversized": lambda order: bill(order) + b" " * 9_000_000,
            "deep": lambda order: bill(order, b"</cbc:ID>", b"<cbc:ID>" * 10_000),
        },
    )


SHEET = """
  csv:
    delimiter: ";"
    encoding: cp1252
    decimal: ","
    day: "%d.%m.%Y"
    answers:
      when: {Art: AB}
      order_id: Bestellung
      line_id: Pos
      quantity: Menge
      unit_cost: Preis
      due_on: Termin
      currency: Währung
      code: {column: Status, values: {bestätigt: IA, abgelehnt: IR}}
    shipments:
      when: {Art: LS}
      shipment_id: Beleg
      order_id: Bestellung
      line_id: Pos
      item_id: Artikel
      quantity: Menge
      due_on: Termin
    invoices:
      when: {Art: RE}
      invoice_id: Beleg
      order_id: Bestellung
      line_id: Pos
      quantity: Menge
      unit_cost: Preis
      invoiced_on: Termin
      total: Summe
      currency: Währung
"""


def _csv() -> Format:
    def order_in(body: bytes) -> tuple[str, list[str]]:
        rows = list(csv.DictReader(io.StringIO(body.decode())))
        return rows[0]["order"], [row["item"] for row in rows]

    def sheet(order: Order, kind: str, number: str, state: str, day: str) -> bytes:
        rows = ["Art;Beleg;Bestellung;Pos;Artikel;Menge;Preis;Währung;Termin;Status;Summe"]
        total = f"{sum(round(d.quantity * d.unit_cost, 2) for d in order.lines):.2f}"
        for d in order.lines:
            price = f"{d.unit_cost:g}".replace(".", ",")
            said = (kind, number, order.order_id, d.line_id, d.item_id, f"{d.quantity:g}", price)
            rows.append(";".join((*said, order.currency, day, state, total.replace(".", ","))))
        return "\n".join(rows).encode("cp1252")

    def bill(order: Order, before: str = "", after: str = "") -> bytes:
        body = sheet(order, "RE", "INV-1", "", "22.01.2026")
        assert before.encode("cp1252") in body
        return body.replace(before.encode("cp1252"), after.encode("cp1252")) if before else body

    return Format(
        "csv",
        "csv",
        order_in,
        lambda order: sheet(order, "AB", "", "bestätigt", "25.01.2026"),
        lambda order: sheet(order, "LS", "SHIP-1", "", "21.01.2026"),
        bill,
        {
            "control total": lambda order: bill(order, ";25,5", ";99,5"),
            "totals differ": lambda order: bill(
                order, "mug;10;2,5;GBP;22.01.2026;;2", "mug;10;2,5;GBP;22.01.2026;;9"
            ),
            "charset": lambda order: bill(order).replace(b"W\xe4hrung", b"W\x81hrung"),
            "other charset": lambda order: bill(order).decode("cp1252").encode("utf-16"),
            "unknown order": lambda order: bill(order, order.order_id, "SHP99999999"),
            "other currency": lambda order: bill(order, ";GBP;", ";USD;"),
            "no currency": lambda order: bill(order, ";GBP;", ";ZZZ;"),
            "negative price": lambda order: bill(order, ";2,5;", ";-2,5;").replace(b";0,", b";-0,"),
            "endless number": lambda order: bill(order, ";GBP", "9" * 5000 + ";GBP"),
            "other columns": lambda order: bill(order, "Menge", "Anzahl"),
            "no kind": lambda order: bill(order, "RE;", "XX;"),
            "open quote": lambda order: bill(order, ";mug", ';"mug'),
            "binary": lambda order: bytes(range(256)) * 40,
            "oversized": lambda order: bill(order) + b" " * 9_000_000,
        },
        SHEET,
    )


FORMATS = {found.form: found for found in (_edifact(), _ubl(), _csv())}
POISON = [(form, name) for form, found in FORMATS.items() for name in found.hostile]


@pytest.fixture(scope="module", params=list(FORMATS))
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(FORMATS[request.param], tmp_path_factory.mktemp(request.param))


class Company:
    """A home with two suppliers: S1, which speaks the format, and S2, which speaks X12."""

    def __init__(self, form: Format, folder: Path) -> None:
        self.form, self.home = form, Home.found(folder / "home", "w")
        publish(self.home)
        self.partners = self.home.state / "partners"
        self.partners.mkdir(parents=True, exist_ok=True)
        (self.partners / FILE).write_text(f"S1:\n  form: {form.form}\n{form.contract}")

    def ledger(self) -> Ledger:
        return Ledger.open(self.home.ledger_url)

    def order(self, *lines: OrderLine, sale: Sale | None = None) -> Order:
        """Propose, approve and send lines to S1, which sells mugs as `sale` says; the order as its
        supplier is to understand it."""
        ledger, sold = self.ledger(), sale or Sale()
        ledger.propose(list(lines), "run 1", NOW, sales={("mug", "S1"): sold})
        ledger.approve_within_limits(NOW)
        self.run("send", "--send")
        found = [d for d in ledger.lines() if d.from_id == "S1"]
        ledger.close()
        said = tuple(
            OrderedLine(
                d.line_id,
                d.item_id,
                d.quantity / sold.holds,
                round(d.unit_cost * sold.holds / sold.rate, 6),
                date(2026, 1, 20),
                unit=sold.unit,
            )
            for d in sorted(found, key=lambda d: d.line_id)
        )
        currency = sold.currency or "GBP"
        return Order(found[0].order_id, "S1", "DC", NOW.date(), currency, 0, said)

    def run(self, *words: str) -> dict[str, Any]:
        done = CliRunner().invoke(shell, [*words, "--home", str(self.home.root), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    def hear(self, body: bytes, name: str, supplier: str = "S1") -> None:
        folder = self.partners / supplier / "in"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)

    def events(self) -> list[str]:
        ledger = self.ledger()
        said = [event.kind for event in ledger.events()]
        ledger.close()
        return said

    def exceptions(self) -> list[tuple[str, str]]:
        ledger = self.ledger()
        said = [
            (e.payload["owner"], e.payload["reason"])
            for e in ledger.events()
            if e.kind == "excepted"
        ]
        ledger.close()
        return said


def test_an_order_its_answer_its_goods_and_its_bill_are_in_the_ledger_once(
    company: Company, line: Callable[..., OrderLine]
) -> None:
    order = company.order(line("mug", 10), line("cup", 4, unit_cost=0.125))
    (sent,) = (company.partners / "S1" / "out").iterdir()
    assert sent.suffix == f".{company.form.suffix}"
    assert company.form.order_in(sent.read_bytes()) == (
        order.order_id,
        [said.item_id for said in order.lines],
    )
    for form in (company.form.answer, company.form.ship_notice):
        company.hear(form(order), f"{len(company.events()):03d}.dat")
        assert [m["status"] for m in company.run("supplier", "receive")["messages"]] == ["taken"]
    arrived = [
        (order.order_id, said.line_id, said.item_id, said.quantity, datetime(2026, 1, 4))
        for said in order.lines
    ]
    publish(company.home, tuple(arrived))
    assert company.run("supplier", "receive")["receipts"] == 2
    company.hear(company.form.invoice(order), "900.dat")
    company.run("supplier", "receive")
    ledger = company.ledger()
    assert {d.stage for d in ledger.lines()} == {"closed"}, company.exceptions()
    assert ledger.audit() == []
    ledger.close()
    assert company.exceptions() == []
    before = company.events()
    for kind in ("sent", "acknowledged", "shipped", "received", "invoiced", "payment_proposed"):
        assert before.count(kind) == 2, kind
    for place, form in enumerate(
        (company.form.answer, company.form.ship_notice, company.form.invoice)
    ):
        company.hear(form(order), f"99{place}.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert [one["status"] for one in heard] == ["repeated"] * 3
    assert company.events() == before
    assert (
        "every chain is intact"
        in CliRunner().invoke(shell, ["audit", "--home", str(company.home.root)]).output
    )


@pytest.fixture(scope="module")
def poisoned() -> dict[str, tuple[Company, Order]]:
    """A company for each format with an order out, made when the first poison asks for it."""
    return {}


@pytest.mark.parametrize(("form", "name"), POISON)
def test_no_poison_in_any_format_keeps_the_next_message_waiting(
    form: str,
    name: str,
    poisoned: dict[str, tuple[Company, Order]],
    line: Callable[..., OrderLine],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if form not in poisoned:
        made = Company(FORMATS[form], tmp_path_factory.mktemp(f"poisoned_{form}"))
        plan = [line("mug", 10), line("cup", 4, unit_cost=0.125), line("pot", from_id="S2")]
        poisoned[form] = (made, made.order(*plan))
    company, order = poisoned[form]
    body = FORMATS[form].hostile[name](order)
    before = len(company.exceptions())
    company.hear(body, "1.dat")
    company.hear(FORMATS[form].answer(order), "2.dat")
    company.hear(b"rubbish " + name.encode(), "3.dat", "S2")
    heard = company.run("supplier", "receive")["messages"]
    assert [one["file"] for one in heard] == ["1.dat", "2.dat", "3.dat"]
    assert heard[0]["facts"] == 0
    assert heard[1]["status"] in ("taken", "repeated")
    said = company.exceptions()[before:]
    assert said and all(owner and reason for owner, reason in said), heard
    ledger = company.ledger()
    kept = [bytes(row.body) for row in ledger.store.read(sa.select(inbox))]
    ledger.close()
    assert any(body.startswith(one) and len(one) > min(len(body), 100) - 1 for one in kept)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_supplier_of_any_format_may_answer_on_its_page(
    form: str, line: Callable[..., OrderLine], tmp_path: Path
) -> None:
    terms = "  party: {id: ACME, qualifier: '31B'}\n  usage: T\n  receipts: true\n"
    company = Company(replace(FORMATS[form], contract=FORMATS[form].contract + terms), tmp_path)
    order = company.order(line("mug", 10), line("cup", 4, unit_cost=0.125))
    replies = [Reply(said.line_id, said.quantity, None) for said in order.lines]
    with procurement.open_desk(company.home) as desk:
        heard = answer(desk, "S1", order.order_id, replies)
        assert [(one.status, one.facts) for one in heard] == [("taken", 2)], heard
        assert desk.ledger.mail() == {"sent": 1}
    assert company.exceptions() == []
