"""What was agreed and is no longer needed is said, and nothing that is."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.needless_orders import NEEDLESS, OPEN_ORDERS, needless

KEY = {"item_id": "tea", "location_id": "shop"}


def targets(position: float, order_up_to: float) -> pl.DataFrame:
    return pl.DataFrame([KEY | {"position": position, "order_up_to": order_up_to}])


def orders(*units: float) -> pl.DataFrame:
    rows = [
        KEY | {"order": f"o{k}", "quantity": one, "due_on": f"2026-01-{k + 1:02d}"}
        for k, one in enumerate(units)
    ]
    return pl.DataFrame(rows, schema=OPEN_ORDERS)


def test_a_count_of_500_makes_an_approved_order_of_60_needless() -> None:
    found = needless(targets(560, 70), orders(60)).row(0, named=True)
    assert (found["item_id"], found["kind"], found["severity"]) == ("tea", NEEDLESS, "warning")
    assert found["reason"] == (
        "60 units that are still to come are no longer needed: stock on hand and on the way is "
        "560, and the rule lifts it to 70; cancel o0 (due 2026-01-01) or let it come"
    )


def test_an_order_that_is_needed_in_part_stays_and_another_item_s_is_not_looked_at() -> None:
    assert needless(targets(100, 70), orders(60)).is_empty()
    other = orders(60).with_columns(item_id=pl.lit("cup"))
    assert needless(targets(560, 70), other).is_empty()


@given(
    st.lists(st.integers(0, 50), max_size=5),
    st.integers(0, 100),
    st.integers(0, 200),
)
def test_without_what_is_called_off_the_position_is_enough_and_no_more_could_be(
    units: list[int], on_hand: int, enough: int
) -> None:
    position = on_hand + sum(units)
    found = needless(targets(position, enough), orders(*units))
    named = [] if found.is_empty() else [k for k in range(5) if f"o{k} (" in found["reason"][0]]
    left = position - sum(units[k] for k in named)
    assert not named or left >= enough
    # the next one, due before those, is needed
    before = [k for k, one in enumerate(units) if one and k not in named]
    assert not before or left - units[max(before)] < enough
    assert all(k > max(before, default=-1) for k in named)
