"""What an odd line, a cent or a bar code does to X12 it does to no other format: the line is asked
about, the others are taken, and nothing that was said is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.domain import OrderLine
from models.procurement.messages import Order
from tests.ledger.test_partner_formats import FORMATS, Company

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
