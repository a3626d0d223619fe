"""Money and numbers as partners write them: what is rounded, what is refused, what is allowed, each
at its very edge."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.approval import (
    AUTOMATIC,
    BUYER,
    DIRECTOR,
    MANAGER,
    PLAN_LIMITS,
    Evidence,
    Limits,
    judge,
)
from models.procurement.currencies import DIGITS, coin, minor_unit, money, rounded
from models.procurement.documents import PARTS, in_money, worth
from models.procurement.exact_numbers import exact, expect, stated, text, whole
from models.procurement.invoice_totals import Bill, BilledLine, rounding_of
from models.procurement.matching import Tolerance
from models.procurement.messages import Invoice, MessageError, Odd, OddLineError
from models.procurement.supplier_sale_terms import Sale
from models.procurement.unit_codes import code_of, is_same, unit_named, unit_read

AMOUNTS = st.decimals(-(10**9), 10**9, places=6)
CURRENCY = st.sampled_from(sorted(DIGITS))
DAY = date(2026, 1, 5)


@given(AMOUNTS, CURRENCY)
def test_an_amount_is_rounded_half_up_to_what_its_currency_can_be_paid_in(
    amount: Decimal, currency: str
) -> None:
    unit = Fraction(1, 10 ** DIGITS[currency])
    half_up = floor(abs(Fraction(amount)) / unit + Fraction(1, 2)) * unit
    assert abs(Fraction(money(amount, currency))) == half_up
    assert money(amount, currency) * amount >= 0
    assert minor_unit(currency) == coin(currency) == Decimal(unit.numerator) / unit.denominator


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.none() | CURRENCY)
def test_what_a_quantity_costs_is_counted_in_parts_fine_enough_for_every_currency(
    thousandths: int, hundredths: int, currency: str | None
) -> None:
    digits = 2 if currency is None else DIGITS[currency]
    product = Fraction(thousandths, 1000) * Fraction(hundredths, 100)
    billed = Fraction(floor(product * 10**digits + Fraction(1, 2)), 10**digits)
    parts = worth(thousandths / 1000, hundredths / 100, currency or "")
    assert Fraction(parts, PARTS) == billed
    assert in_money(parts) == pytest.approx(float(billed))


def test_what_is_no_currency_is_refused_by_its_first_signs_and_counts_in_hundredths() -> None:
    with pytest.raises(MessageError, match=r"^'EURO' is no currency of ISO 4217$"):
        minor_unit("EURO")
    with pytest.raises(MessageError, match=r"^'x{20}' is no currency"):
        money(Decimal(1), "x" * 30)
    assert coin("EURO") == coin("") == Decimal("0.01")
    large = Decimal(10) ** 40 + Decimal("0.005")
    assert rounded(large, Decimal("0.01")) == Decimal(10) ** 40 + Decimal("0.01")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0),
        ("+7.50", Decimal("7.5")),
        (".5", Decimal("0.5")),
        ("3.", 3),
        ("1e3", 1000),
        ("1000000000000", 10**12),
        ("0." + "0" * 37 + "1", Decimal("1e-38")),
        ("1E-40", Decimal("1e-40")),
        ("-0", 0),
    ],
)
def test_a_number_is_read_as_it_was_written(written: str, number: Any) -> None:
    assert exact(written, "here") == number


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "here is '', no number"),
        ("1,5", "here is '1,5', no number"),
        ("1e1234", "here is '1e1234', no number"),
        ("NaN", "here is 'NaN', no number"),
        ("-0.01", "here is -0.01, below zero"),
        ("1000000000000.01", "here is 1000000000000.01, beyond any quantity or price"),
        ("1e-41", "here is 1e-41, beyond any quantity or price"),
        ("1" * 41, f"here is {'1' * 40}…, 41 signs long"),
    ],
)
def test_what_is_no_number_or_beyond_any_is_refused_with_its_place(written: str, why: str) -> None:
    with pytest.raises(MessageError) as refused:
        exact(written, "here")
    assert str(refused.value) == why


def test_a_whole_number_has_digits_alone_and_no_more_than_its_place_holds() -> None:
    assert (whole("007", "here", 1), whole("12345", "here", 5), whole("9" * 15, "here")) == (
        7,
        12345,
        10**15 - 1,
    )
    for written in ("", "-1", "1.0", "²", "٣"):
        with pytest.raises(MessageError, match="no whole number"):
            whole(written, "here")
    with pytest.raises(MessageError, match="here has 6 digits, more than 5"):
        whole("123456", "here", 5)
    with pytest.raises(MessageError, match="here has 16 digits, more than 15"):
        whole("1" * 16, "here")
    with pytest.raises(MessageError, match=f"here is '{'x' * 40}', no"):
        whole("x" * 50, "here")


@given(st.floats(0, 1e12, allow_nan=False))
def test_what_is_reckoned_is_stated_to_fifteen_digits_and_read_back(value: float) -> None:
    said = text(stated(value))
    assert len(said.replace(".", "").lstrip("-")) <= 15 and "e" not in said.lower()
    assert float(exact(said, "here")) == stated(value)
    whole_digits = max(1, len(str(floor(value))))
    assert abs(Decimal(stated(value)) - Decimal(value)) <= Decimal(10) ** -(15 - whole_digits)


def test_a_number_is_written_without_an_exponent_or_a_zero_too_many() -> None:
    assert [text(one) for one in (100.0, 2.50, 1e-7, Decimal("3.10"), Decimal("40"), -1.5)] == [
        "100",
        "2.5",
        "0.0000001",
        "3.1",
        "40",
        "-1.5",
    ]
    assert text(123456789012345.0) == "123456789012345"
    assert text(-0.12345678901234) == "-0.12345678901234"
    with pytest.raises(MessageError, match="more than the 15 digits"):
        text(0.1234567890123456)
    expect("the count", 3, 3)
    with pytest.raises(MessageError, match="the count says 3, it should be 4"):
        expect("the count", 3, 4)


@pytest.mark.parametrize(
    ("lines", "currency", "step", "most"),
    [
        (1, "EUR", "0", "0.01"),
        (2, "EUR", "0", "0.01"),
        (3, "EUR", "0", "0.02"),
        (5, "EUR", "0", "0.03"),
        (6, "EUR", "0", "0.03"),
        (3, "JPY", "0", "2"),
        (3, "KWD", "0", "0.002"),
        (3, None, "0", "0.02"),
        (3, "KWD", "0.01", "0.01"),
        (0, "EUR", "0", "0.01"),
    ],
)
def test_a_total_may_be_off_by_half_a_minor_unit_a_line_and_by_no_more(
    lines: int, currency: str | None, step: str, most: str
) -> None:
    amounts, added = [Decimal("10.004")] * lines, Decimal("1.5")
    unit = minor_unit(currency) if currency else Decimal("0.01")
    reckoned = added + sum((rounded(one, unit) for one in amounts), Decimal(0))
    for off in (Decimal(most), -Decimal(most), Decimal(0)):
        total = reckoned + off
        assert rounding_of("it", total, added, amounts, currency, Decimal(step)) == off
    for off in (Decimal(most), -Decimal(most)):
        with pytest.raises(MessageError, match="wrong control total: it says"):
            rounding_of("it", reckoned + off * 2, added, amounts, currency, Decimal(step))


def bill(*lines: BilledLine | Exception, total: str, added: str = "0", **more: Any) -> list[Any]:
    def reader(line: BilledLine | Exception) -> Any:
        def read() -> BilledLine:
            if isinstance(line, Exception):
                raise line
            return line

        return read

    head = {"order_id": "PO1", "currency": "EUR", "credits": None} | more
    made = Bill(
        "I1",
        head["order_id"],
        DAY,
        head["currency"],
        Decimal(total),
        Decimal(added),
        head["credits"],
    )
    return made.messages([(str(n), reader(line)) for n, line in enumerate(lines, start=1)])


def billed(
    line: str, units: str, price: str, amount: str | None = None, order: str = ""
) -> BilledLine:
    return BilledLine(
        order,
        line,
        f"item {line}",
        Decimal(units),
        Decimal(price),
        amount and Decimal(amount),
        "case",
    )


def test_an_invoice_is_one_for_each_of_its_orders_and_what_is_added_is_told_once() -> None:
    found = bill(
        billed("1", "2", "1.25"),
        billed("2", "3", "1", "3.01", order="PO2"),
        billed("3", "1", "4"),
        total="10.02",
        added="0.50",
        credits="I0",
    )
    assert [type(one) for one in found] == [Invoice, Invoice]
    first, second = found
    assert (first.invoice_id, first.order_id, first.invoiced_on, first.currency) == (
        "I1",
        "PO1",
        DAY,
        "EUR",
    )
    assert [
        (one.line_id, one.item_id, one.quantity, one.unit_cost, one.unit) for one in first.lines
    ] == [
        ("1", "item 1", 2.0, 1.25, "case"),
        ("3", "item 3", 1.0, 4.0, "case"),
    ]
    assert (second.order_id, [one.line_id for one in second.lines]) == ("PO2", ["2"])
    assert (first.charges, first.rounding, first.credits) == (Decimal("0.5"), Decimal("0.01"), "I0")
    assert (second.charges, second.rounding, second.credits) == (0, 0, "I0")


def test_a_line_s_amount_is_its_units_at_its_price_to_the_minor_unit() -> None:
    assert len(bill(billed("1", "3", "1", "3.01"), total="3.01")) == 1
    with pytest.raises(MessageError, match=r"the amount of line 1 says 3\.02, it should be 3"):
        bill(billed("1", "3", "1", "3.02"), total="3.02")
    with pytest.raises(MessageError, match=r"the amount of line 1 says 2\.98, it should be 3"):
        bill(billed("1", "3", "1", "2.98"), total="2.98")
    with pytest.raises(MessageError, match=r"the total says 9, it should be 3\.00"):
        bill(billed("1", "3", "1"), total="9")


def test_what_cannot_be_read_is_named_and_the_rest_is_taken_without_its_total() -> None:
    odd, unread = OddLineError("ask somebody"), MessageError("no price")
    found = bill(billed("1", "3", "1"), odd, unread, total="99")
    assert [type(one) for one in found] == [Invoice, Odd, Odd, Odd]
    assert [(one.order_id, one.line_id, one.reason) for one in found[1:]] == [
        ("PO1", "2", "invoice I1: line 2: ask somebody"),
        ("PO1", "3", "invoice I1: line 3 cannot be read: no price"),
        ("PO1", "", "invoice I1: its total cannot be checked, a line has no figures"),
    ]
    assert {one.owner for one in found[1:]} == {"accounts payable"}
    assert found[0].rounding == 0
    with pytest.raises(MessageError, match="ask somebody"):
        bill(odd, unread, total="99")
    lost = bill(billed("1", "3", "1"), billed("2", "1", "1", order="PO2"), total="4", order_id="")
    assert [one.order_id for one in lost] == ["", "PO2"]
    assert lost[0].reason == "invoice I1: it names no order for 1 of its lines"
    assert bill(billed("1", "3", "1"), total="3", currency=None)[0].currency is None


def test_a_supplier_s_unit_holds_ours_and_his_price_is_of_his_unit_in_his_currency() -> None:
    cases = Sale("Cases", 12.0, "USD", 0.8)
    assert (cases.name, Sale().name) == ("case", "piece")
    assert (cases.sold(30.0), cases.price(2.0), cases.worth) == (2.5, 30.0, pytest.approx(0.8 / 12))
    assert (cases.counted(2.0, 30.0), cases.cost(15.0, 2.0)) == (24.0, 1.0)
    assert (cases.counted(2.5, 30.0), cases.cost(30.0, 2.0)) == (30.0, 2.0)
    assert (Sale().counted(7.123456789012, 3.0), Sale().cost(7.1, 3.0)) == (7.123456789012, 7.1)
    assert Sale().cost(1 / 3, 3.0) == 1 / 3
    third = Sale("case", 3.0)
    assert (third.sold(1.0), third.price(1 / 3), third.counted(0.1, 1.0)) == (
        0.33333333333333,
        1.0,
        0.3,
    )
    assert Sale("case").price(0.1234567890123) == 0.123456789
    assert Sale("case", 1.0, "USD", 2.0).cost(3.0, 1.0) == 6.0
    assert Sale().to_payload() == {} and Sale.of(cases.to_payload()) == cases
    assert Sale.of(Sale("case").to_payload()) == Sale("case")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Boxes", "box"),
        ("PALLETS", "pallet"),
        ("pcs.", "piece"),
        (" Ctn. ", "carton"),
        ("classes", "class"),
        ("glass", "glass"),
        ("bushes", "bush"),
        ("us", "us"),
        ("Stück", "piece"),
        ("kgs", "kg"),
    ],
)
def test_a_unit_is_known_by_one_name_however_it_is_written(said: str, name: str) -> None:
    assert unit_named(said) == name


def test_a_code_is_read_by_its_own_lists_and_is_itself_where_none_has_it() -> None:
    assert [unit_read("EA", family) for family in ("x12", "edifact", "ubl")] == ["piece"] * 3
    assert [unit_read("PCE", family) for family in ("x12", "edifact", "ubl")] == [
        "PCE",
        "piece",
        "piece",
    ]
    assert (unit_read("XYZ", "x12"), unit_read("", "ubl")) == ("XYZ", "")
    assert (code_of("", "x12"), code_of("Cases", "ubl"), code_of("ml", "x12")) == (
        "EA",
        "XCS",
        "ZZ",
    )
    assert is_same("", "case") and is_same("case", "case") and not is_same("box", "case")


def test_a_tolerance_in_units_is_the_lesser_of_units_and_percent() -> None:
    strict = Tolerance(quantity=5.0, quantity_percent=2.0)
    assert [strict.units(Decimal(n)) for n in (100, 250, 1000)] == [2, 5, 5]


AT = {"auto_amount": 100.0, "buyer_amount": 200.0, "manager_amount": 300.0}


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (100, AUTOMATIC),
        (100.01, BUYER),
        (200, BUYER),
        (200.01, MANAGER),
        (300, MANAGER),
        (300.01, DIRECTOR),
    ],
)
def test_each_level_approves_up_to_its_amount_and_that_amount_too(value: float, level: int) -> None:
    verdict = judge("purchase", value / 2, 2.0, Evidence(), Limits(**AT))
    assert (verdict.level, verdict.is_automatic, len(verdict.reasons)) == (level, level == 0, level)


@pytest.mark.parametrize(
    ("evidence", "level"),
    [
        (Evidence(usual_quantity=10.0), AUTOMATIC),
        (Evidence(usual_quantity=9.99), BUYER),
        (Evidence(usual_quantity=0.0), AUTOMATIC),
        (Evidence(completeness=0.6), AUTOMATIC),
        (Evidence(completeness=0.59), BUYER),
        (Evidence(completeness=0.0), BUYER),
        (Evidence(supplier_risk=0.5), AUTOMATIC),
        (Evidence(supplier_risk=0.51), MANAGER),
        (Evidence(override="a promise"), BUYER),
    ],
)
def test_what_is_known_of_a_line_counts_from_beyond_its_edge(
    evidence: Evidence, level: int
) -> None:
    assert judge("purchase", 30.0, 1.0, evidence, Limits()).level == level


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"budgett": 1}, "there is no limit 'budgett'; did you mean budget?"),
    ({"xyz": 1}, "there is no limit 'xyz'; there are maturity, auto_amount"),
    ({"maturity": "bold"}, "maturity is one of shadow, suggest, auto, not 'bold'"),
    ({"asking_categories": "batteries"}, "asking_categories is a list of categories"),
    ({"asking_categories": [1]}, "asking_categories is a list of categories"),
    ({"approvers": {"ann": 4}}, "approvers gives each name a level of 1, 2, 3"),
    ({"approvers": {"ann": 0}}, "approvers gives each name a level"),
    ({"approvers": ["ann"]}, "approvers gives each name a level"),
    ({"class_maturity": {"AX": "bold"}}, "class_maturity gives each class one of shadow, suggest"),
    ({"class_maturity": ["AX"]}, "class_maturity gives each class one of"),
    ({"auto_amount": -0.01}, "auto_amount is a number, 0 or more, not -0.01"),
    ({"auto_amount": True}, "auto_amount is a number"),
    ({"auto_amount": "5"}, "auto_amount is a number"),
    ({"auto_amount": None}, "auto_amount is a number"),
    ({"budget": float("inf")}, "budget is a number"),
    ({"daily_cap": float("nan")}, "daily_cap is a number"),
    ({"worst_risk": 1.01}, "worst_risk is a share between 0 and 1"),
    ({"least_complete": 1.01}, "least_complete is a share between 0 and 1"),
    ({"plan": ["budget all"]}, "plan gives limits such as 'budget all' a number each"),
    ({"plan": {"budget": 1}}, "'budget' is no limit of a plan and what it holds for"),
    ({"plan": {"budget  ": 1}}, "is no limit of a plan and what it holds for"),
    ({"plan": {"cash all": 1}}, "'cash all' is no limit of a plan"),
    ({"plan": {"budget all": -1}}, "budget all is a number, 0 or more, not -1"),
    ({"plan": {"budget all": True}}, "budget all is a number"),
    ({"plan": {"budget all": "5"}}, "budget all is a number"),
    ({"plan": {"budget all": float("inf")}}, "budget all is a number"),
    ({"plan": {"service_level all": 1}}, "service_level all is a share between 0 and 1, both"),
    ({"plan": {"service_level all": 0}}, "service_level all is a share between 0 and 1, both"),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED)
def test_a_limit_that_cannot_be_meant_is_refused_by_name(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError) as refused:
        Limits().changed(changes)
    assert str(refused.value).startswith(why) or why in str(refused.value)


def test_limits_are_set_at_their_edges_and_those_of_the_plan_beside_what_was_set() -> None:
    usual = Limits(plan={"budget all": 5.0})
    edges: dict[str, Any] = {
        "maturity": "shadow",
        "auto_amount": 0,
        "worst_risk": 1,
        "least_complete": 0,
        "budget": None,
        "daily_cap": 0,
        "asking_categories": ("a",),
        "approvers": {"ann": BUYER, "ben": DIRECTOR},
        "class_maturity": {"AX": "suggest"},
        "plan": {"capacity DC1": 0, "service_level Toys": 0.5},
    }
    then = usual.changed(edges)
    assert then.to_payload() == Limits().to_payload() | edges | {
        "asking_categories": ["a"],
        "plan": {"budget all": 5.0, "capacity DC1": 0, "service_level Toys": 0.5},
    }
    assert usual.changed({}) == usual and usual.changed({"auto_amount": 9_000}).plan == usual.plan
    for name in PLAN_LIMITS:
        assert Limits().changed({"plan": {f"{name} X": 0.5}}).plan == {f"{name} X": 0.5}
    assert usual.differences(usual.changed({"budget": 7.0, "auto_amount": 1})) == {
        "auto_amount": (5_000.0, 1),
        "budget": (None, 7.0),
    }
    assert (then.mode("AX"), then.mode("BX"), then.mode(None)) == ("suggest", "shadow", "shadow")
