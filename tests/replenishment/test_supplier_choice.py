"""From whom a planned purchase is bought where several suppliers sell the item: never dearer, never
beyond a limit, explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.constraints import Constraint
from models.replenishment.plan import Override, Plan, plan
from models.replenishment.policies import POLICIES
from models.replenishment.supplier_choice import Buyer
from models.replenishment.supply_options import Logistics
from orchestration.planning.plan import lines_of, order_frames

NOW = datetime(2024, 1, 1)
STARTS = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(7)]
NOBODY = dict.fromkeys(("kind", "from_id", "location_id"), pl.String) | {
    "promised_days": pl.Float64,
    "days": pl.Float64,
    "is_open": pl.Boolean,
    "ordered_at": pl.Datetime,
}


def bought(
    items: int = 1, seed: int = 0, on_hand: float = 0.0, **more: Any
) -> tuple[pl.DataFrame, Plan]:
    """Items bought for one place from SLOW, two weeks away, at 5 a unit, and the plan of this
    week."""
    random = np.random.default_rng(seed)
    row = {
        "location_id": "DC",
        "role": "store",
        "kind": "purchase",
        "from_id": "SLOW",
        "lead_time_days": 14.0,
        "lead_time_periods": 2,
        "moq": 0.0,
        "order_multiple": 1.0,
        "unit_cost": 5.0,
        "price": 9.0,
        "holding_cost": 0.05,
        "shortage_cost": 4.0,
        "weight_kg": 0.5,
        "freight_per_unit": 0.0,
        "category": "tea",
        "is_assumed": False,
        "on_order": 0.0,
        "on_hand": on_hand,
    }
    rows = pl.DataFrame([row | {"item_id": f"item-{i}"} for i in range(items)])
    paths = random.poisson(20.0, (items, 100, 7)).astype(np.float32)
    return rows, plan(
        rows, paths, STARTS, POLICIES["quantile_order_up_to"], world="tea", unmet="backlog", **more
    )


Offers = tuple[Logistics, pl.DataFrame]
LANES = {
    "from_id": pl.String,
    "to_id": pl.String,
    "item_id": pl.String,
    "mode": pl.String,
    "transit_days": pl.Float64,
    "freight_per_kg": pl.Float64,
    "fuel_share": pl.Float64,
    "fuel_index": pl.Float64,
}


def offers(
    items: int,
    fast_price: float,
    fast_days: float = 7.0,
    lanes: tuple[dict[str, Any], ...] = (),
    duty: dict[str, float] | None = None,
) -> Offers:
    """FAST's and SLOW's terms, and how goods travel from them."""
    terms = [
        {
            "item_id": f"item-{i}",
            "supplier_id": name,
            "from_quantity": 0.0,
            "unit_cost": price,
            "lead_time_days": days,
            "moq": 10.0,
            "order_multiple": 5.0,
        }
        for i in range(items)
        for name, days, price in (("FAST", fast_days, fast_price), ("SLOW", 14.0, 5.0))
    ]
    prices = pl.DataFrame(terms).select(
        "item_id", "from_quantity", "unit_cost", from_id="supplier_id"
    )
    return Logistics.of(
        pl.DataFrame(list(lanes), schema=LANES), pl.DataFrame(terms), 7.0, duty
    ), prices


def buyer(
    rows: pl.DataFrame,
    offered: Offers,
    limits: tuple[Constraint, ...] = (),
    settled: tuple[str, ...] = (),
) -> Buyer:
    return Buyer(rows, *offered, pl.DataFrame(schema=NOBODY), STARTS, "backlog", limits, settled)


def test_a_cheaper_supplier_who_is_as_fast_gets_the_whole_line_in_his_own_lots() -> None:
    rows, made = bought()
    (line,) = buyer(rows, offers(1, fast_price=4.0, fast_days=14.0)).choose(made)
    assert (line.from_id, line.unit_cost, line.due_on) == ("FAST", 4.0, STARTS[2])
    assert line.quantity >= made.lines[0].quantity and line.quantity % 5 == 0
    assert line.intent_key == made.lines[0].intent_key, "the need is the same, whoever meets it"


def test_an_empty_shelf_is_bridged_by_the_dear_fast_one_and_the_rest_waits_for_the_cheap_one() -> (
    None
):
    rows, made = bought()
    lines = buyer(rows, offers(1, fast_price=6.0)).choose(made)
    assert {line.from_id for line in lines} == {"FAST", "SLOW"}
    assert len({line.intent_key for line in lines}) == 2
    assert {line.due_on for line in lines} == {STARTS[1], STARTS[2]}


@pytest.mark.parametrize("way", ["freight", "fuel", "duty"])
def test_a_lower_price_is_not_cheap_where_freight_fuel_or_duty_eat_it_up(way: str) -> None:
    rows, made = bought()
    usual = {
        "from_id": "SLOW",
        "to_id": "DC",
        "transit_days": 0.0,
        "freight_per_kg": 1.0,
        "fuel_share": 0.5,
        "fuel_index": 1.0,
    }
    bring = {
        **usual,
        "from_id": "FAST",
        "freight_per_kg": 4.0 if way == "freight" else 1.0,
        "fuel_index": 8.0 if way == "fuel" else 1.0,
    }
    cheap = offers(
        1,
        fast_price=4.0,
        fast_days=14.0,
        lanes=(usual, {**bring, "freight_per_kg": 1.0, "fuel_index": 1.0}),
    )
    assert {line.from_id for line in buyer(rows, cheap).choose(made)} == {"FAST"}
    dear = offers(
        1,
        fast_price=4.0,
        fast_days=14.0,
        lanes=(usual, bring),
        duty={"FAST": 0.3 if way == "duty" else 0.0},
    )
    assert buyer(rows, dear).choose(made) == made.lines


def test_nobody_changes_supplier_for_pennies_or_pays_more_for_nothing() -> None:
    rows, made = bought(on_hand=50.0)
    assert buyer(rows, offers(1, fast_price=4.999, fast_days=14.0)).choose(made) == made.lines
    assert buyer(rows, offers(1, fast_price=50.0)).choose(made) == made.lines


def test_a_quantity_the_planner_set_and_a_supplier_with_a_least_order_value_stay_as_planned() -> (
    None
):
    rows, made = bought(
        overrides=[Override("quantity", 40.0, "promised to a buyer", {"item_id": "item-0"})]
    )
    assert made.lines and buyer(rows, offers(1, fast_price=1.0)).choose(made) == made.lines
    rows, made = bought()
    assert buyer(rows, offers(1, fast_price=1.0), settled=("FAST",)).choose(made) == made.lines


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    items=st.integers(1, 6),
    fast=st.floats(3.0, 9.0),
    budget=st.floats(50, 5000),
    on_hand=st.floats(0, 60),
)
def test_a_choice_keeps_every_limit_the_plan_kept_and_explains_every_unit(
    seed: int, items: int, fast: float, budget: float, on_hand: float
) -> None:
    limits = (
        Constraint("budget", budget),
        Constraint("capacity of DC", 60.0 * items, "units", {"location_id": "DC"}),
    )
    rows, made = bought(items, seed, on_hand, constraints=limits)
    lines = buyer(rows, offers(items, round(fast, 2)), limits).choose(made)
    assert sum(line.value for line in lines) <= budget * (1 + 1e-9)
    assert sum(line.quantity for line in lines) <= 60.0 * items + 1e-9
    for line in lines:
        assert sum(line.parts.values()) == pytest.approx(line.quantity, abs=1e-9)
        assert line.from_id == "SLOW" or (line.quantity >= 10 and line.quantity % 5 == 0)
    assert len({line.intent_key for line in lines}) == len(lines)
    for item in rows["item_id"]:
        planned = sum(line.quantity for line in made.lines if line.item_id == item)
        assert sum(line.quantity for line in lines if line.item_id == item) >= planned


@pytest.mark.parametrize("name", ["item-0", "a|b"])
def test_a_shared_line_is_kept_as_decisions_and_read_back_as_it_was(name: str) -> None:
    rows, made = bought()
    lines = [
        replace(line, item_id=name) for line in buyer(rows, offers(1, fast_price=6.0)).choose(made)
    ]
    renamed = replace(
        made, lines=lines, explanations=made.explanations.with_columns(item_id=pl.lit(name))
    )
    frames = order_frames(renamed, "run", NOW, "ours", "model")
    assert lines_of(frames["order_lines"], frames["explanations"]) == lines
    assert not lines[0].occasion and lines[1].occasion.startswith("also from ")
