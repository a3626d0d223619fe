"""CSV on the wire: polars reads what we write, a sheet filled in comes back as an answer, and a
supplier's own columns are read by its contract."""

from __future__ import annotations

import dataclasses
import io
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement.codec import LARGEST, Delivery
from models.procurement.csv_format import COLUMNS, Contract, Table, written_lines
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
).filter(lambda text: not text.startswith("'"))

GERMAN = Contract.of(
    {
        "delimiter": ";",
        "encoding": "cp1252",
        "decimal": ",",
        "day": "%d.%m.%Y",
        "answers": {
            "when": {"Art": "AB"},
            "order_id": "Bestellung",
            "line_id": "Pos",
            "quantity": "Menge",
            "unit_cost": "Preis",
            "due_on": "Termin",
            "code": {"column": "Status", "values": {"bestätigt": "IA", "abgelehnt": "IR"}},
        },
        "shipments": {
            "when": {"Art": "LS"},
            "shipment_id": "Beleg",
            "order_id": "Bestellung",
            "line_id": "Pos",
            "item_id": "Artikel",
            "quantity": "Menge",
            "due_on": "Termin",
        },
        "invoices": {
            "when": {"Art": "RE"},
            "invoice_id": "Beleg",
            "order_id": "Bestellung",
            "line_id": "Pos",
            "quantity": "Menge",
            "unit_cost": "Preis",
            "invoiced_on": "Termin",
            "total": "Summe",
            "credits": "Status",
        },
    }
)
HEADER = "Art;Beleg;Bestellung;Pos;Artikel;Menge;Preis;Termin;Status;Summe"
SHEET = (
    HEADER,
    "AB;;SHP00000007;1;MUG;100;2,5;25.01.2026;bestätigt;",
    "AB;;SHP00000007;2;CUP;40,5;0,125;22.01.2026;abgelehnt;",
    "LS;L-1;SHP00000007;1;MUG;100;;21.01.2026;;",
    "RE;R-1;SHP00000007;1;MUG;100;2,5;22.01.2026;;255,06",
    "RE;R-1;SHP00000007;2;CUP;40,5;0,125;22.01.2026;;255,06",
)


def read(*rows: str, contract: Contract = GERMAN) -> Delivery:
    return Table(contract).read("\r\n".join(rows).encode("cp1252"))


def reasons(*rows: str) -> list[str]:
    try:
        return [said.reason for said in read(*rows).messages if isinstance(said, Odd)]
    except MessageError as error:
        return [str(error)]


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(ITEMS, min_size=1, max_size=3),
    quantity=st.floats(0.001, 1e6).map(lambda x: round(x, 3)),
    cost=st.integers(0, 10**6).map(lambda x: x / 1000),
    revision=st.integers(0, 2),
)
def test_an_order_read_by_others_filled_in_and_sent_back_is_its_own_answer(
    items, quantity, cost, revision
):
    lines = tuple(
        OrderedLine(str(place), item, quantity, cost, date(2026, 1, 20))
        for place, item in enumerate(items, start=1)
    )
    order = dataclasses.replace(ORDER, lines=lines, revision=revision)
    body = Table().write(order, US, THEM, 7, AT, "P")
    sheet = pl.read_csv(body, infer_schema=False).fill_null("")
    assert tuple(sheet.columns) == COLUMNS
    for line, written in zip(lines, written_lines(body), strict=True):  # as an ERP is told of it
        assert (written["line"], written["item"]) == (line.line_id, line.item_id)
        assert (float(written["quantity"]), float(written["unit cost"])) == (quantity, cost)
    assert [float(units) for units in sheet["quantity"]] == [quantity] * len(items)
    filled = sheet.with_columns(
        pl.col("quantity").alias("confirmed"), pl.lit("2026-02-01").alias("promised on")
    )
    back = io.BytesIO()
    filled.write_csv(back)
    (said,) = Table().read(back.getvalue()).messages
    assert isinstance(said, Acknowledgement)
    assert (said.order_id, said.currency, said.is_change) == (order.order_id, "GBP", bool(revision))
    assert [line.item_id for line in said.lines] == items
    assert {(line.code, line.quantity, line.unit_cost, line.due_on) for line in said.lines} == {
        ("IA", quantity, cost, date(2026, 2, 1))
    }


def test_a_supplier_s_own_columns_are_read_row_by_row():
    answer, notice, bill = read(*SHEET).messages
    assert isinstance(answer, Acknowledgement)
    assert [(line.line_id, line.code, line.quantity) for line in answer.lines] == [
        ("1", "IA", 100),
        ("2", "IR", 0),
    ]
    assert answer.lines[0].due_on == date(2026, 1, 25)
    assert isinstance(notice, ShipNotice)
    assert (notice.shipment_id, notice.lines[0].item_id) == ("L-1", "MUG")
    assert isinstance(bill, Invoice)
    assert (bill.invoice_id, bill.charges, bill.rounding) == ("R-1", Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("row", "before", "after", "why"),
    [
        (0, "Menge", "Anzahl", "does not have the agreed columns"),
        (0, "Preis", "Menge", "does not have the agreed columns, each once"),
        (1, "AB", "XX", "row 2 is of no agreed kind"),
        (1, "100", "9" * 5000, "5,000 signs long"),
        (1, "100", "-100", "row 2, Menge is -100, below zero"),
        (1, "100", "1.000", "agreed is a decimal comma"),
        (1, "100", "NaN", "no number"),
        (1, "25.01.2026", "2026-01-25", "no day as %d.%m.%Y"),
        (1, "bestätigt", "vielleicht", "which stands for nothing"),
        (1, ";bestätigt;", ";bestätigt", "another number of cells"),
        (1, "MUG", '"MUG', "no CSV"),
        (1, "SHP00000007", "", "row 2, Bestellung is empty"),
        (4, "255,06", "300,00", "its rows differ in total"),
        (4, "2,5", "2,6", "wrong control total: the total"),
        (4, "2,5", "-2,5", "below zero"),
    ],
)
def test_what_is_odd_is_named_with_its_row_and_column(row, before, after, why):
    rows = [
        line.replace(before, after, 1) if place == row else line for place, line in enumerate(SHEET)
    ]
    assert any(why in reason for reason in reasons(*rows)), reasons(*rows)


def test_what_is_no_csv_of_theirs_is_refused():
    for body in (b"", b"rubbish", b"\xff\xfe\x00", b"a" * (LARGEST + 1), bytes(range(256)) * 40):
        with pytest.raises(MessageError):
            Table().read(body)
    with pytest.raises(MessageError, match="is no utf-8 text"):
        Table().read("order,bestätigt".encode("cp1252"))
    with pytest.raises(MessageError, match="no row of it says anything"):
        Table().read(Table().write(ORDER, US, THEM, 7, AT, "P"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("no", "is no contract"),
        ({"separator": ";"}, "separator is not understood"),
        ({"delimiter": ";;"}, "delimiter is one sign"),
        ({"decimal": "x"}, "decimal is"),
        ({"encoding": "no-such"}, "encoding or day"),
        ({"answers": ["a"]}, "does not map words"),
        ({"answers": {"order_id": "a"}}, "quantity is missing"),
        ({"answers": {"order_id": "a", "quantity": "b"}}, "line_id or item_id is missing"),
        ({"answers": {"order_id": "a", "quantity": "b", "line_id": "c", "price": "d"}}, "price"),
        ({"answers": {"order_id": "a", "quantity": {"col": "b"}, "line_id": "c"}}, "is a column"),
    ],
)
def test_a_contract_nobody_can_read_is_refused(said, why):
    with pytest.raises(MessageError, match=why):
        Contract.of(said)


@settings(max_examples=300, deadline=None)
@given(
    place=st.integers(0, 400), noise=st.binary(min_size=1, max_size=6), is_inserted=st.booleans()
)
def test_a_mutilated_file_is_read_or_refused_and_nothing_else(place, noise, is_inserted):
    body = "\r\n".join(SHEET).encode("cp1252")
    place %= len(body)
    rest = body[place if is_inserted else place + len(noise) :]
    try:
        assert isinstance(Table(GERMAN).read(body[:place] + noise + rest), Delivery)
    except MessageError as error:
        assert len(str(error)) < 1000


@pytest.mark.parametrize(("units", "total"), [("10", "25,00"), ("-10", "-25,00"), ("10", "-25,00")])
def test_a_credit_note_s_rows_name_the_invoice_that_they_take_back_of(units: str, total: str):
    """With or without a sign: both say what is given back."""
    rows = [HEADER, f"RE;G-1;SHP00000007;1;MUG;{units};2,5;30.01.2026;R-1;{total}"]
    (bill,) = read(*rows).messages
    assert (bill.invoice_id, bill.credits, bill.lines[0].quantity) == ("G-1", "R-1", 10)


def test_a_sign_in_an_invoice_is_no_credit():
    row = "RE;R-9;SHP00000007;1;MUG;-10;2,5;30.01.2026;;-25,00"
    assert any("below zero" in reason for reason in reasons(HEADER, row))
