"""The three-way match, against an independent matcher on generated cases."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from threeway.core import RawLine, reconcile

from models.procurement import matching
from models.procurement.matching import Tolerance, match

UNITS = st.integers(0, 60).map(float)
PRICE = st.integers(1, 4000).map(lambda hundredths: hundredths / 100)
TOLERANCES = st.builds(
    Tolerance,
    quantity=st.sampled_from([0.0, 1.0, 2.0]),
    value=st.sampled_from([0.0, 1.0, 25.0]),
    price_percent=st.sampled_from([0.0, 0.5, 5.0]),
)
REASONS = {
    "Invoiced but nothing received": matching.NOTHING_RECEIVED,
    "No receipt and no invoice yet": matching.NOTHING_YET,
    "Billed for more than was received": matching.BILLED_TOO_MUCH,
    "Received more than was ordered": matching.OVER_DELIVERED,
    "Short delivery against the order": matching.SHORT,
    "Invoice price differs from the PO price": matching.PRICE_DIFFERS,
    "Value gap with matching quantities": matching.VALUE_GAP,
    "Receipt or invoice with no matching purchase order line": matching.ORPHAN,
    "": "",
}


def exact(value: float) -> Decimal:
    return Decimal(repr(value))


@settings(max_examples=600, deadline=None)
@given(
    ordered=st.none() | st.integers(1, 60).map(float),
    price=PRICE,
    received=st.lists(UNITS, max_size=3),
    billed=st.lists(UNITS, max_size=3),
    off=st.sampled_from([0.0, 0.0, 0.01, 0.5, -0.01]),
    tolerance=TOLERANCES,
)
def test_the_match_is_that_of_an_independent_matcher_or_stricter_where_the_order_is_exceeded(
    ordered, price, received, billed, off, tolerance
):
    bill_price = max(round(price + off, 2), 0.01)
    orders = [] if ordered is None else [RawLine("PO", "MUG", exact(ordered), exact(price))]
    assume(orders or received or billed)
    assume(sum(billed) or not billed)  # a bill for nothing has a price to them and none to us
    (theirs,) = reconcile(
        orders,
        [RawLine("PO", "MUG", exact(units)) for units in received],
        [RawLine("PO", "MUG", exact(units), exact(bill_price)) for units in billed],
        exact(tolerance.quantity),
        exact(tolerance.value),
        exact(tolerance.price_percent),
    ).lines
    ours = match(ordered, price, received, [(units, bill_price) for units in billed], tolerance)
    assert (ours.quantity_variance, ours.value_variance) == (
        theirs.qty_variance,
        theirs.value_variance,
    )
    order = ["not_started", "matched", "check", "exception"]
    assert order.index(ours.status) >= order.index(theirs.status)
    if ordered is None or _is_within_the_order(
        ordered, price, received, billed, bill_price, tolerance
    ):
        assert (ours.status, ours.reason) == (theirs.status, REASONS[theirs.reason])
    elif ours.reason != matching.BILLED_UNORDERED and theirs.reason and sum(billed):
        assert ours.reason == REASONS[theirs.reason]


def _is_within_the_order(ordered, price, received, billed, bill_price, tolerance) -> bool:
    """Whether units and price are near enough the order that the independent matcher, which has one
    absolute tolerance, is right."""
    units = max(abs(sum(billed) - sum(received)), sum(received) - ordered, sum(billed) - ordered)
    price_off = abs(exact(bill_price) - exact(price)) if sum(billed) else 0
    is_priced = price_off <= exact(price) * exact(tolerance.price_percent) / 100
    return is_priced and units <= min(
        tolerance.quantity, ordered * tolerance.quantity_percent / 100
    )


@settings(max_examples=400, deadline=None)
@given(
    ordered=st.integers(1, 2_000).map(float),
    price=PRICE,
    received=st.lists(st.integers(0, 3_000).map(float), max_size=3),
    billed=st.lists(st.tuples(st.integers(0, 3_000).map(float), PRICE), max_size=3),
    tolerance=TOLERANCES,
)
def test_what_is_paid_by_itself_is_never_far_from_what_was_ordered(
    ordered, price, received, billed, tolerance
):
    """Whatever came and was billed: what is matched costs the order's worth at most, plus what the
    percentages allow."""
    if match(ordered, price, received, billed, tolerance).status != "matched":
        return
    paid = sum(exact(units) * exact(cost) for units, cost in billed)
    allowed = exact(ordered) * exact(price) * (1 + exact(tolerance.price_percent) / 100)
    assert paid <= allowed * (1 + exact(tolerance.quantity_percent) / 100)
    assert (
        sum(units for units, _ in billed)
        <= sum(received) + ordered * tolerance.quantity_percent / 100
    )


@pytest.mark.parametrize(
    "tolerance", [Tolerance(), Tolerance(quantity=5, value=1e6)], ids=["usual", "generous"]
)
@pytest.mark.parametrize(
    ("ordered", "price", "received", "invoiced", "reason"),
    [
        (10, 2.5, [1_000], [(1_000, 2.5)], matching.OVER_DELIVERED),
        (1, 0.5, [1], [(1, 1.5)], matching.PRICE_DIFFERS),
        (1, 0.01, [1], [(1, 0.02)], matching.PRICE_DIFFERS),
        (1, 0.0, [1], [(1, 0.01)], matching.PRICE_DIFFERS),
        (1, 0.1, [2], [(2, 0.1)], matching.OVER_DELIVERED),
        (10, 2.5, [10], [(5, 1.0), (5, 4.0)], matching.PRICE_DIFFERS),
        (10, 2.5, [10], [(10, 2.5), (10, 2.5)], matching.BILLED_TOO_MUCH),
        (10, 2.5, [10], [(20, 2.5)], matching.BILLED_TOO_MUCH),
    ],
)
def test_no_absolute_tolerance_lets_a_large_relative_deviation_through(
    ordered, price, received, invoiced, reason, tolerance
):
    verdict = match(ordered, price, received, invoiced, tolerance)
    assert (verdict.status, verdict.reason) == ("exception", reason)


def test_a_unit_more_of_a_hundred_may_pass_where_that_was_agreed():
    assert (
        match(100, 2.5, [101], [(101, 2.5)], Tolerance(quantity=1, value=3.0)).status == "matched"
    )


@pytest.mark.parametrize(
    ("received", "invoiced", "status", "reason"),
    [
        ([], [], "not_started", matching.NOTHING_YET),
        ([100], [(100, 2.5)], "matched", ""),
        ([60, 40], [(70, 2.5), (30, 2.5)], "matched", ""),
        ([90], [(90, 2.5)], "matched", ""),
        ([], [(100, 2.5)], "exception", matching.NOTHING_RECEIVED),
        ([90], [(100, 2.5)], "exception", matching.BILLED_TOO_MUCH),
        ([110], [(100, 2.5)], "exception", matching.OVER_DELIVERED),
        ([90], [(90, 2.6)], "exception", matching.SHORT),
        ([100], [(100, 2.6)], "exception", matching.PRICE_DIFFERS),
        ([100], [(100, 2.52)], "check", matching.PRICE_DIFFERS),
        # more than twice the percentage, though the money is within three times what may differ
        ([100], [(100, 2.53)], "exception", matching.PRICE_DIFFERS),
        ([100], [(100, 2.505)], "matched", ""),
    ],
)
def test_each_verdict_has_its_reason(received, invoiced, status, reason):
    verdict = match(
        100, 2.5, received, invoiced, Tolerance(quantity=0, value=1.0, price_percent=0.5)
    )
    assert (verdict.status, verdict.reason) == (status, reason)


def test_an_orphan_is_an_exception_before_anything_else():
    assert match(None, 0.0, [5], [(5, 1.0)], Tolerance()).reason == matching.ORPHAN
