"""What a line says of running out: every day it names lies within the horizon its probability
speaks of."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.explain import in_words, risk

STARTS = [date(2024, 1, 1) + timedelta(days=k) for k in range(12)]


def situation(seed: int, lead_time: int, review: int, unmet: str) -> tuple[Situation, np.ndarray]:
    random = np.random.default_rng(seed)
    rows, samples = 6, 40
    economics = Economics(
        holding=np.full(rows, 0.1),
        shortage=np.full(rows, 2.0),
        unit_cost=np.ones(rows),
        order_cost=np.zeros(rows),
        unmet=unmet,
    )
    made = Situation(
        on_hand=random.integers(0, 25, rows).astype(float),
        pipeline=random.integers(0, 9, (rows, 4)).astype(float),
        history=np.zeros((rows, 8)),
        paths=random.poisson(4.0, (rows, samples, lead_time + review)).astype(float),
        lead_time=random.integers(0, lead_time + 1, rows),
        review=review,
        economics=economics,
    )
    return made, random.integers(0, 30, rows).astype(float)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 9999), st.integers(0, 6), st.integers(1, 4), st.sampled_from(["lost", "backlog"])
)
def test_a_named_day_is_more_likely_out_than_not_by_the_probability_beside_it(
    seed: int, lead_time: int, review: int, unmet: str
) -> None:
    state, quantity = situation(seed, lead_time, review, unmet)
    told = risk(state, quantity, STARTS)
    for row, out_on in enumerate(told["stock_out_on"]):
        due = STARTS[int(state.lead_time[row])]
        before, without = told["stock_out_risk_before"][row], told["stock_out_risk_without"][row]
        assert told["stock_out_risk_with"][row] <= without, (
            "an order never makes running out likelier"
        )
        if out_on is None:
            assert max(before, without) < 0.5
        else:
            assert (before if out_on < due else without) >= 0.5
        said = in_words(
            {"stock_position": 1.0},
            1.0,
            due,
            due,
            {name: values[row] for name, values in told.items()},
        )
        assert ("It comes too late" in said) == (before >= 0.5)
        for chance, day in re.findall(
            r"(\d+) %? ?[^,%]*?, most likely from (\S+?)[,.]", said.replace("%", " %")
        ):
            assert int(chance) >= 50, said
            assert date.fromisoformat(day) == out_on


def test_an_order_that_comes_too_late_says_so() -> None:
    facts = {
        "stock_out_risk_before": 0.95,
        "stock_out_risk_without": 0.05,
        "stock_out_risk_with": 0.01,
        "stock_out_on": date(2012, 1, 8),
    }
    said = in_words({"expected_demand": 5.0}, 5.0, date(2012, 1, 20), date(2012, 1, 15), facts)
    assert "Risk of running out 5% without this order, 1% with it." in said
    late = (
        "It comes too late for the days before 2012-01-15: risk of running out 95%, most likely "
        "from"
    )
    assert said.endswith(f"{late} 2012-01-08.")


@pytest.mark.parametrize(
    ("sold", "said"),
    [
        ({}, ""),
        ({"sold_unit": "case", "sold_unit_quantity": 24.0}, " Bought as 4 × case of 24."),
        (
            {
                "sold_unit": "case",
                "sold_unit_quantity": 24.0,
                "sold_currency": "EUR",
                "sold_rate": 0.8,
            },
            " Bought as 4 × case of 24 at 60.00 EUR.",
        ),
        (
            {"sold_unit_quantity": 1.0, "sold_currency": "USD", "sold_rate": 0.5},
            " Bought as 96 × unit at 4.00 USD.",
        ),
    ],
)
def test_what_the_supplier_reads_is_said_in_his_own_unit_and_money(
    sold: dict[str, Any], said: str
) -> None:
    day = date(2024, 1, 5)
    names = ("sold_unit", "sold_unit_quantity", "sold_currency", "sold_rate")
    facts = {"unit_cost": 2.0, **dict.fromkeys(names), **sold}
    told = in_words({"expected_demand": 96.0}, 96.0, day, day, facts)
    assert (
        told == f"96 expected demand = 96, covering the periods to that of {day}; due {day}.{said}"
    )


def test_what_lies_there_and_cannot_be_sold_is_said() -> None:
    day = date(2024, 1, 5)
    told = in_words({"expected_demand": 96.0}, 96.0, day, day, {"set_aside": 1_200.0})
    assert told.endswith("1,200 more lie there blocked, past their date or promised.")


def test_stock_that_nobody_counted_is_said_to_be_assumed() -> None:
    day = date(2024, 1, 5)
    for is_assumed in (True, False):
        facts = {"is_stock_assumed": is_assumed}
        told = in_words({"expected_demand": 96.0}, 96.0, day, day, facts)
        assert ("what is on hand and on the way is assumed" in told) is is_assumed


def test_what_is_for_kits_and_a_supplier_s_least_order_are_said() -> None:
    day = date(2024, 1, 5)
    facts = {
        "kit_share": 0.25,
        "kits": "HAMPER",
        "least_order": "ACME takes no order below 250 GBP",
    }
    told = in_words({"expected_demand": 96.0}, 96.0, day, day, facts)
    assert "Of what is expected, 24.0 are for kits sold: HAMPER." in told
    assert told.endswith("ACME takes no order below 250 GBP.")
    plain = in_words({"expected_demand": 96.0}, 96.0, day, day, {"kit_share": 0.0, "kits": None})
    assert "kits" not in plain
