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
def test_the_match_agrees_with_an_independent_matcher(ordered, price, received, billed, off, tolerance):
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
    assert (ours.status, ours.quantity_variance, ours.value_variance) == (theirs.status, theirs.qty_variance, theirs.value_variance)
    assert ours.reason == REASONS[theirs.reason]


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
        ([100], [(100, 2.505)], "matched", ""),
    ],
)
def test_each_verdict_has_its_reason(received, invoiced, status, reason):
    verdict = match(100, 2.5, received, invoiced, Tolerance(quantity=0, value=1.0, price_percent=0.5))
    assert (verdict.status, verdict.reason) == (status, reason)


def test_an_orphan_is_an_exception_before_anything_else():
    assert match(None, 0.0, [5], [(5, 1.0)], Tolerance()).reason == matching.ORPHAN
