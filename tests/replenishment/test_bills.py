"""Laws of goods made: parts have the demand of what is made of them, over all levels and a
production lead time ahead; and of substitutes, which are lent only what is not needed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.bills_of_materials import Bills, with_parts
from models.replenishment.plan import Plan, plan
from models.replenishment.policies import POLICIES
from models.replenishment.situations import situation_of, sources_of
from models.replenishment.supply_options import Logistics

STARTS = [date(2024, 1, 1) + timedelta(days=k) for k in range(12)]
LINES = {
    "item_id": pl.String,
    "part_id": pl.String,
    "taken": pl.Float64,
    "starts_on": pl.Date,
    "ends_on": pl.Date,
}


def rows_of(stock: dict[str, float], lead: dict[str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "item_id": item,
                "location_id": "WORKS",
                "role": "store",
                "kind": "purchase",
                "from_id": "WORKSHOP" if item in ("table", "top") else "MILL",
                "lead_time_days": float(lead[item]),
                "lead_time_periods": lead[item],
                "on_hand": on_hand,
                "on_order": 0.0,
                "moq": 0.0,
                "order_multiple": 1.0,
                "unit_cost": 3.0,
                "price": 9.0,
                "holding_cost": 0.01,
                "shortage_cost": 6.0,
                "weight_kg": 1.0,
                "freight_per_unit": 0.0,
                "category": None,
                "is_assumed": False,
            }
            for item, on_hand in stock.items()
        ]
    )


def bills_of(rows: pl.DataFrame, *lines: tuple[Any, ...]) -> Bills | None:
    whole = [(*line, None, None)[:5] for line in lines]
    return Bills.of(pl.DataFrame(whole, LINES, orient="row"), rows)


def planned(rows: pl.DataFrame, demand: float, bills: Bills | None, **more: Any) -> Plan:
    paths = np.zeros((rows.height, 5, len(STARTS)), np.float32)
    paths[0] = demand
    policy = POLICIES["quantile_order_up_to"]
    return plan(
        rows, paths, STARTS, policy, world="w", review=2, unmet="backlog", bills=bills, **more
    )


def quantities(made: Plan) -> dict[str, float]:
    return {line.item_id: line.quantity for line in made.lines}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.floats(0, 40),
    st.floats(0.5, 4),
    st.floats(0.5, 4),
    st.integers(0, 2**32 - 1),
)
def test_what_is_taken_of_parts_is_what_is_made_ahead_of_its_demand(
    lead: int, review: int, stock: float, top: float, leg: float, seed: int
) -> None:
    """By each review the part has lost what the item needs until the next one's order is there,
    beyond its stock; and a part of a part that times its own."""
    rows = rows_of({"table": stock, "top": 0.0, "leg": 0.0}, {"table": lead, "top": 0, "leg": 1})
    bills = bills_of(rows, ("table", "top", top), ("top", "leg", leg), ("table", "leg", 1.0))
    assert bills is not None
    paths = np.random.default_rng(seed).poisson(3, (3, 4, len(STARTS))).astype(float)
    paths[1:] = 0
    nothing: dict[str, Any] = dict.fromkeys(("history", "pipeline", "lead_time_paths", "phase"))
    seen = situation_of(rows, paths, review=review, unmet="backlog", order_cost=0.0, **nothing)
    asked, units = with_parts(seen, bills, sources_of(rows), STARTS)
    known = paths[0].cumsum(axis=1)
    for t in range(0, len(STARTS) - lead - review + 1, review):
        need = np.maximum(known[:, t + lead + review - 1] - stock, 0.0)
        np.testing.assert_allclose(asked[1, :, : t + 1].sum(axis=1), top * need)
    assert (asked[0] == paths[0]).all()
    assert units[0] == pytest.approx(asked[1, :, :review].mean(axis=0).sum())
    until = len(STARTS) - 2 * review - lead
    if until > 0:  # legs are taken once for tables, and again when tops are made
        assert (asked[2, :, :until].sum(axis=1) >= asked[1, :, :until].sum(axis=1) / top).all()


def test_parts_are_ordered_for_what_is_made_now_over_all_levels() -> None:
    rows = rows_of({"table": 0.0, "top": 10.0, "leg": 0.0}, {"table": 3, "top": 2, "leg": 1})
    bills = bills_of(rows, ("table", "leg", 4.4), ("table", "top", 1.0), ("top", "leg", 0.5))
    made = planned(rows, 2.0, bills)
    ordered = quantities(made)
    assert ordered["table"] == 10  # 3 days and the 2 until the next review, at 2 a day
    assert ordered["top"] >= 4 and ordered["leg"] > 4.4 * 10
    reasons = {line.item_id: line.reason for line in made.lines}
    assert "made of 1 × top, 4.4 × leg, taken when it is begun" in reasons["table"]
    assert "for table" in reasons["leg"] and "for top" in reasons["leg"]
    short = made.exceptions.filter(kind="parts_short", item_id="table")
    assert "46 of leg are taken, 0 lie there" in short["reason"][0]
    assert set(quantities(planned(rows, 2.0, None))) == {"table"}


def test_a_line_of_a_bill_counts_from_its_first_day_to_its_last() -> None:
    rows = rows_of({"table": 0.0, "top": 0.0, "leg": 0.0}, {"table": 1, "top": 1, "leg": 1})
    old = ("table", "top", 1.0, None, date(2024, 1, 2))
    new = ("table", "leg", 1.0, date(2024, 1, 3), None)
    bills = bills_of(rows, old, new)
    made = planned(rows, 2.0, bills)
    assert quantities(made)["top"] == 6 and quantities(made)["leg"] == 4  # made on 1 and 3 January


def test_a_loop_of_bills_is_refused_and_a_bill_of_one_place_is_not_another_s() -> None:
    rows = rows_of({"table": 0.0, "top": 0.0}, {"table": 1, "top": 1})
    loop = bills_of(rows, ("table", "top", 1.0), ("top", "table", 1.0))
    assert loop is not None
    with pytest.raises(ValueError, match="leads back to its own item"):
        _ = loop.levels
    elsewhere = rows.with_columns(location_id=pl.Series(["HERE", "THERE"]))
    assert bills_of(elsewhere, ("table", "top", 1.0)) is None


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 60), st.floats(0.5, 3))
def test_a_substitute_lends_what_it_does_not_need_and_is_said(spare: float, each: float) -> None:
    rows = rows_of({"table": 1.0, "top": spare}, {"table": 4, "top": 1})
    nothing = pl.DataFrame(schema={"item_id": pl.String})
    lanes = nothing.with_columns(
        pl.lit(None).alias(name) for name in ("from_id", "to_id", "freight_per_kg", "transit_days")
    )
    terms = nothing.with_columns(
        pl.lit(None).alias(name) for name in ("supplier_id", "lead_time_days", "from_quantity")
    )
    said = pl.DataFrame({"item_id": ["table"], "substitute_id": ["top"], "quantity": [each]})
    made = planned(rows, 3.0, None, logistics=Logistics.of(lanes, terms, 1.0, substitutes=said))
    lent = made.alternatives.filter(kind="substitute")
    line = next(line for line in made.lines if line.item_id == "table")
    units = lent["quantity"].sum()
    assert units * each <= spare + 1e-9
    assert lent.is_empty() == (spare < each)
    assert line.quantity == quantities(planned(rows, 3.0, None))["table"]  # it is still ordered
    if units:
        assert f"Until it comes, {units:g} of top can be used in its place" in line.reason


def test_a_part_of_a_part_is_there_for_the_whole_lot_that_is_made_of_the_part_now() -> None:
    rows = rows_of({"table": 0.0, "top": 0.0, "leg": 0.0}, {"table": 1, "top": 1, "leg": 0})
    rows = rows.with_columns(
        order_multiple=pl.when(pl.col("item_id") == "top").then(50.0).otherwise(1.0)
    )
    made = quantities(
        planned(rows, 3.0, bills_of(rows, ("table", "top", 1.0), ("top", "leg", 4.0)))
    )
    assert made["top"] == 50.0  # nine or so are needed, and one lot is made
    assert made["leg"] >= 200.0
