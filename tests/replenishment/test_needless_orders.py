"""What was agreed and is no longer needed is said, and nothing that is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.needless_orders import NEEDLESS, OPEN_ORDERS, needless, open_units
from tests.replenishment.test_plan import company, planned

KEY = {"item_id": "tea", "location_id": "shop"}


def row(position: float) -> pl.DataFrame:
    return pl.DataFrame([KEY | {"position": position}])


def orders(*units: float, **key: str) -> pl.DataFrame:
    rows = [
        KEY | key | {"order": f"o{k}", "quantity": one, "due_on": f"2026-01-{k + 1:02d}"}
        for k, one in enumerate(units)
    ]
    return pl.DataFrame(rows, schema=OPEN_ORDERS)


def test_an_order_that_nobody_would_place_again_is_named_with_what_is_there() -> None:
    found = needless(row(560), np.zeros(1), orders(60)).row(0, named=True)
    assert (found["item_id"], found["kind"], found["severity"]) == ("tea", NEEDLESS, "warning")
    assert found["reason"] == (
        "60 units that are still to come would not be ordered again today: on hand and on the way "
        "are 560; cancel o0 (due 2026-01-01), or let it come"
    )


def test_an_order_that_is_needed_in_part_stays_and_another_item_s_is_not_looked_at() -> None:
    assert needless(row(100), np.array([30.0]), orders(60)).is_empty()
    other = orders(60, item_id="cup")
    assert needless(row(560), np.zeros(1), other).is_empty()
    assert open_units(row(560), other).tolist() == [0]


@given(st.lists(st.integers(0, 50), max_size=5), st.integers(0, 300))
def test_what_is_left_covers_what_is_wanted_and_the_last_due_go_first(
    units: list[int], wanted: int
) -> None:
    assert open_units(row(0), orders(*units)).tolist() == [sum(units)]
    found = needless(row(0), np.array([float(wanted)]), orders(*units))
    named = [] if found.is_empty() else [k for k in range(5) if f"o{k} (" in found["reason"][0]]
    left = sum(units) - sum(units[k] for k in named)
    assert not named or left >= wanted
    before = [k for k, one in enumerate(units) if one and k not in named]
    assert not before or left - units[max(before)] < wanted, "one more could be called off"
    assert all(k > max(before, default=-1) for k in named)


@pytest.mark.parametrize("rule", ["quantile_order_up_to", "eoq_reorder_point", "min_max"])
@pytest.mark.parametrize(("more_is_there", "expected"), [(0.0, 0), (9000.0, 1)])
def test_a_plan_says_it_by_every_rule_once_stock_has_come_up_and_not_before(
    rule: str, more_is_there: float, expected: int
) -> None:
    rows, paths, history = company(items=1, seed=2)
    at_centre = pl.col("kind") == "purchase"
    first = planned(rows, paths, history, rule)
    (bought,) = [line for line in first.lines if line.kind == "purchase"]
    here = rows.with_columns(
        on_hand=pl.col("on_hand") + pl.when(at_centre).then(more_is_there).otherwise(0.0),
        on_order=pl.when(at_centre).then(bought.quantity).otherwise(pl.col("on_order")),
    )
    came = orders(bought.quantity, item_id=bought.item_id, location_id=bought.location_id)
    made = planned(here, paths, history, rule, open_orders=came)
    assert made.exceptions.filter(pl.col("kind") == NEEDLESS).height == expected
