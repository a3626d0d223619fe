"""Choosing and splitting suppliers, and weighing an expedite or a transfer, in money."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.sourcing_cost import Need, Offer, source, waiting_cost

SURE = (np.array([10.0]), np.array([1.0]))
NEED = Need(quantity=100, first_day=10, daily=10, shortage_cost=2.0, holding_cost=0.05)


def offer(name="S1", days=SURE[0], probability=SURE[1], price=5.0, **more):
    return Offer(
        name,
        np.asarray(days, float),
        np.asarray(probability, float),
        more.pop("breaks", ((0.0, price),)),
        **more,
    )


@pytest.mark.parametrize(
    ("quantity", "moq", "multiple", "expected"),
    [(12, 12, 5, 15), (1, 0, 6, 6), (12, 0, 6, 12), (0.3, 0, 0.1, 0.3), (7, 10, 1, 10)],
)
def test_what_can_be_ordered_is_the_next_multiple_at_or_above_the_moq(
    quantity, moq, multiple, expected
):
    assert offer(moq=moq, multiple=multiple).orderable(quantity) == pytest.approx(expected)


def test_the_cheaper_of_two_equal_suppliers_gets_it_all():
    assert source([offer("dear", price=6.0), offer("cheap", price=5.0)], NEED).parts == (
        ("cheap", 100.0),
    )


def test_a_price_break_is_worth_ordering_more_where_holding_is_cheap():
    breaks = ((0.0, 5.0), (120.0, 4.0))
    assert source([offer(breaks=breaks)], NEED).parts == (("S1", 120.0),)
    dear = Need(100, 10, 10, 2.0, holding_cost=3.0)
    assert source([offer(breaks=breaks)], dear).parts == (("S1", 100.0),)


def test_an_unreliable_cheap_supplier_shares_with_a_sure_dear_one():
    """The first days are covered by the sure one, the rest waits for the cheap one: cheaper than
    either alone."""
    cheap = offer("cheap", [10.0, 20.0], [0.5, 0.5], price=5.0)
    sure = offer("sure", [10.0], [1.0], price=7.0)
    choice = source([cheap, sure], NEED)
    alone = min(source([cheap], NEED).expected_cost, source([sure], NEED).expected_cost)
    assert {name for name, _ in choice.parts} == {"cheap", "sure"}
    assert choice.expected_cost < alone


def test_an_expedite_is_bought_only_when_the_shelf_is_about_to_be_empty():
    normal, fast = offer("normal", [10.0]), offer("expedite", [2.0], freight_per_unit=3.0)
    soon, late = Need(100, 2, 10, 2.0, 0.05), Need(100, 12, 10, 2.0, 0.05)
    assert "expedite" in dict(source([normal, fast], soon).parts)
    assert source([normal, fast], late).parts == (("normal", 100.0),)


def test_what_one_cannot_carry_two_share_and_what_nobody_can_is_an_error():
    small = [offer("a", capacity=60), offer("b", capacity=60)]
    assert sum(units for _, units in source(small, NEED).parts) == 100
    with pytest.raises(ValueError, match="can deliver"):
        source(small[:1], NEED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"breaks": ()},
        {"breaks": ((10.0, 5.0),)},
        {"breaks": ((0.0, 5.0), (-1.0, 4.0))},
        {"probability": [0.5]},
    ],
)
def test_a_broken_offer_is_refused(wrong):
    with pytest.raises(ValueError, match="S1"):
        offer(**wrong)


@settings(max_examples=60, deadline=None)
@given(
    first=st.floats(1, 80),
    second=st.floats(1, 80),
    need_from=st.floats(0, 15),
    daily=st.floats(0.5, 20),
    days=st.lists(st.integers(0, 30), min_size=2, max_size=4),
)
def test_the_closed_form_is_the_sum_over_units(first, second, need_from, daily, days):
    """Against a fine sum over units and outcomes: late and early days of every unit in order of
    arrival."""
    chance = np.full(len(days), 1 / len(days))
    one, other = offer("one", days, chance), offer("other", [5.0], [1.0])
    need = Need(first + second, need_from, daily, 2.0, 0.3)
    expected = 0.0
    for day in days:
        blocks = sorted([(float(day), 0, first), (5.0, 1, second)])
        wanted = 0.0
        for arrival, _, units in blocks:
            at = need_from + (wanted + (np.arange(20_000) + 0.5) / 20_000 * units) / daily
            expected += (
                units
                * np.mean(2.0 * np.maximum(arrival - at, 0) + 0.3 * np.maximum(at - arrival, 0))
                / len(days)
            )
            wanted += units
    assert math.isclose(
        waiting_cost([(one, first), (other, second)], need), expected, rel_tol=1e-4, abs_tol=1e-4
    )
