"""What an odd line, a cent or a bar code does to X12 it does to no other format: the line is asked
about, the others are taken, and nothing that was said is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from models.domain import OrderLine
from models.procurement.messages import Order
from tests.ledger.test_partner_formats import FORMATS, Company
from tests.procurement import edifact_supplier, ubl_supplier

pytestmark = pytest.mark.filterwarnings("ignore:segments.xml not found")
Change = Callable[[bytes, str], bytes]


def swapped(before: str, after: str, *, of: int = -1) -> Change:
    """A message with one thing said otherwise; `{id}` is the number of the second line."""

    def change(body: bytes, line_id: str) -> bytes:
        old, new = (said.format(id=line_id).encode() for said in (before, after))
        assert old in body, (old, body)
        return body.replace(old, new, of)

    return change


#: format → what is odd in the answer to the line of four cups, and a word of the question
ODD_ANSWERS = {
    ("edifact", "in cases"): (swapped("QTY+113:4:PCE", "QTY+113:4:CT"), "CT"),
    ("edifact", "no code of this house"): (swapped("LIN+{id}+5+", "LIN+{id}+99+"), "99"),
    ("edifact", "no number"): (swapped("QTY+113:4:", "QTY+113:four:"), "four"),
    ("edifact", "no day"): (
        lambda body, line_id: body.replace(b"DTM+69:20260125", b"DTM+69:20261325", 2).replace(
            b"DTM+69:20261325", b"DTM+69:20260125", 1
        ),
        "20261325",
    ),
    ("ubl", "in cases"): (swapped('unitCode="C62">4<', 'unitCode="CS">4<'), "'case'"),
    ("ubl", "no number"): (swapped('unitCode="C62">4<', 'unitCode="C62">four<'), "four"),
    ("ubl", "no code of this house"): (
        swapped(
            "<cbc:ID>{id}</cbc:ID><cbc:LineStatusCode>5<",
            "<cbc:ID>{id}</cbc:ID><cbc:LineStatusCode>99<",
        ),
        "99",
    ),
}


@pytest.fixture
def ordered(
    request: pytest.FixtureRequest, tmp_path: Path, line: Callable[..., OrderLine]
) -> tuple[Company, Order]:
    company = Company(FORMATS[request.param], tmp_path)
    plan = (line("mug", 10), line("cup", 4, unit_cost=0.125), line("jug", 7, unit_cost=3.0))
    return company, company.order(*plan)


def stages(company: Company) -> dict[str, str]:
    ledger = company.ledger()
    said = {document.item_id: document.stage for document in ledger.lines()}
    assert ledger.audit() == []
    ledger.close()
    return said


def cup(order: Order) -> str:
    return next(said.line_id for said in order.lines if said.item_id == "cup")


@pytest.mark.parametrize(
    ("ordered", "change", "word"),
    [(form, *said) for (form, _), said in ODD_ANSWERS.items()],
    ids=["-".join(name).replace(" ", "_") for name in ODD_ANSWERS],
    indirect=["ordered"],
)
def test_an_odd_line_is_asked_about_and_the_others_are_taken(
    ordered: tuple[Company, Order], change: Change, word: str
) -> None:
    company, order = ordered
    company.hear(change(company.form.answer(order), cup(order)), "1.dat")
    assert [said["status"] for said in company.run("supplier", "receive")["messages"]] == ["taken"]
    assert stages(company) == {"mug": "acknowledged", "cup": "sent", "jug": "acknowledged"}
    ((owner, reason),) = company.exceptions()
    assert owner == "buyer" and word in reason


@pytest.mark.parametrize(
    ("ordered", "change"),
    [
        ("edifact", swapped("MOA+77:46.5", "MOA+77:46.51")),
        (
            "ubl",
            swapped('PayableAmount currencyID="GBP">46.50', 'PayableAmount currencyID="GBP">46.51'),
        ),
    ],
    ids=["edifact", "ubl"],
    indirect=["ordered"],
)
def test_a_total_off_by_a_cent_is_for_the_tolerance(
    ordered: tuple[Company, Order], change: Change
) -> None:
    company, order = ordered
    company.hear(company.form.answer(order), "1.dat")
    company.hear(company.form.ship_notice(order), "2.dat")
    company.hear(change(company.form.invoice(order), cup(order)), "3.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert [said["status"] for said in heard] == ["taken"] * 3
    assert company.events().count("invoiced") == 3


@pytest.mark.parametrize(
    ("ordered", "change"),
    [
        ("edifact", swapped("cup:SA", "5012345678900:EN")),
        (
            "ubl",
            swapped(
                "<cac:BuyersItemIdentification><cbc:ID>cup</cbc:ID></cac:BuyersItemIdentification>",
                "<cac:StandardItemIdentification><cbc:ID>5012345678900</cbc:ID>"
                "</cac:StandardItemIdentification>",
            ),
        ),
    ],
    ids=["edifact", "ubl"],
    indirect=["ordered"],
)
def test_a_ship_notice_by_bar_code_holds_no_other_line_back(
    ordered: tuple[Company, Order], change: Change
) -> None:
    company, order = ordered
    company.hear(company.form.answer(order), "1.dat")
    company.hear(change(company.form.ship_notice(order), cup(order)), "2.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert [said["status"] for said in heard] == ["taken", "taken"]
    said = stages(company)
    assert said["mug"] == said["jug"] == "shipped"
    assert said["cup"] == "shipped" or company.exceptions()


def refusal(form: str, order: Order, number: str, at: datetime) -> bytes:
    """An answer that refuses the cups, under a number and of a time of its own."""
    no = {f"line_{cup(order)}": ("7", 0.0)}
    if form == "edifact":
        return edifact_supplier.wire("ORDRSP", edifact_supplier.answer(order, **no), number, at=at)
    body = ubl_supplier.wire("OrderResponse", ubl_supplier.answer(order, **no))
    body = body.replace(b"2026-01-05", f"{at:%Y-%m-%d}".encode())
    return body.replace(b"09:30:00", f"{at:%H:%M:%S}".encode()).replace(b"A-1", number.encode())


def restarted(form: str, order: Order) -> bytes:
    """The first answer, under a number far beyond that of the next."""
    if form == "edifact":
        return edifact_supplier.wire("ORDRSP", edifact_supplier.answer(order), "900")
    body = ubl_supplier.wire("OrderResponse", ubl_supplier.answer(order))
    return body.replace(b"A-1", b"900")


@pytest.mark.parametrize(
    ("ordered", "at", "stage", "asked"),
    [
        ("edifact", datetime(2026, 1, 6, 9, 30), "refused", "answered before"),
        ("edifact", datetime(2026, 1, 5, 9, 31), "refused", "answered before"),
        # of one time and an older number: nobody can tell, a person does
        ("edifact", datetime(2026, 1, 5, 9, 30), "acknowledged", "newer cannot be told"),
        # overtaken on the way
        ("edifact", datetime(2026, 1, 4, 9, 30), "acknowledged", ""),
        ("ubl", datetime(2026, 1, 6, 9, 30), "refused", "answered before"),
        # its numbers are names: what came last is the newer, and the buyer is told
        ("ubl", datetime(2026, 1, 5, 9, 30), "refused", "answered before"),
        ("ubl", datetime(2026, 1, 4, 9, 30), "acknowledged", ""),
    ],
    indirect=["ordered"],
)
def test_a_refusal_under_a_number_that_began_again_is_heard(
    ordered: tuple[Company, Order], at: datetime, stage: str, asked: str
) -> None:
    company, order = ordered
    form = company.form.form
    company.hear(restarted(form, order), "1.dat")
    company.hear(refusal(form, order, "3", at), "2.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert [said["status"] for said in heard] == ["taken", "taken"]
    said = stages(company)
    assert said == {"mug": "acknowledged", "cup": stage, "jug": "acknowledged"}
    reasons = [reason for _, reason in company.exceptions()]
    assert any(asked in reason for reason in reasons) if asked else reasons == []


@pytest.mark.parametrize("ordered", ["edifact", "ubl"], indirect=True)
def test_an_answer_that_was_misfiled_is_taken_once_it_is_moved(
    ordered: tuple[Company, Order],
) -> None:
    company, order = ordered
    text = (company.partners / "partners.yml").read_text()
    (company.partners / "partners.yml").write_text(text + f"S2:\n  form: {company.form.form}\n")
    body = company.form.answer(order)
    company.hear(body, "1.dat", "S2")
    assert [said["status"] for said in company.run("supplier", "receive")["messages"]] == [
        "rejected"
    ]
    assert set(stages(company).values()) == {"sent"}
    company.hear(body, "1.dat", "S1")
    assert [said["status"] for said in company.run("supplier", "receive")["messages"]] == ["taken"]
    assert set(stages(company).values()) == {"acknowledged"}


@pytest.mark.parametrize("ordered", ["edifact", "ubl"], indirect=True)
def test_one_bill_for_two_orders_is_a_bill_for_each(
    ordered: tuple[Company, Order], line: Callable[..., OrderLine]
) -> None:
    company, order = ordered
    company.hear(company.form.answer(order), "1.dat")
    ledger = company.ledger()
    ledger.propose([line("pot", 6, location_id="UK")], "run 2", datetime(2026, 1, 5))
    ledger.approve_within_limits(datetime(2026, 1, 5))
    ledger.close()
    company.run("send", "--send")
    ledger = company.ledger()
    (pot,) = [document for document in ledger.lines() if document.item_id == "pot"]
    ledger.close()
    assert pot.order_id != order.order_id
    added = replace(order.lines[0], line_id=pot.line_id, item_id="pot", quantity=6.0)
    both = replace(order, lines=(*order.lines, replace(added, unit_cost=pot.unit_cost)))
    if company.form.form == "edifact":
        said = edifact_supplier.invoice(both)
        bill = list(said)
        place = next(k for k, (tag, _) in enumerate(bill) if tag == "UNS")
        bill.insert(place, ("RFF", [["ON", pot.order_id, pot.line_id]]))
        body = edifact_supplier.wire("INVOIC", bill, "7")
    else:
        body = ubl_supplier.wire("Invoice", ubl_supplier.invoice(both))
        head, _, last = body.rpartition(b"<cac:OrderLineReference>")
        named = f"<cac:OrderReference><cbc:ID>{pot.order_id}</cbc:ID></cac:OrderReference>"
        end = b"</cac:OrderLineReference>"
        body = head + b"<cac:OrderLineReference>" + last.replace(end, named.encode() + end, 1)
    company.hear(body, "2.dat")
    heard = company.run("supplier", "receive")["messages"]
    assert [one["status"] for one in heard] == ["taken", "taken"], company.exceptions()
    ledger = company.ledger()
    billed = {d.item_id: d.invoices["INV-1"]["quantity"] for d in ledger.lines() if d.invoices}
    ledger.close()
    assert billed == {"mug": 10, "cup": 4, "jug": 7, "pot": 6}
