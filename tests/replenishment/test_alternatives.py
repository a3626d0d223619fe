"""Laws of other ways: the normal order is always listed, the cheapest is the least, and no way
gives away what its giver needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.alternatives import MOST_ROWS, RISK, alternatives, surplus, weigh
from models.replenishment.calendars import Days, SupplyCalendar
from models.replenishment.landed_cost import landed_cost
from models.replenishment.plan import plan
from models.replenishment.policies import POLICIES
from models.replenishment.situations import situation_of
from models.replenishment.stock_projection import project, rows_of
from models.replenishment.supply_options import Logistics, PriceIncrease, SupplyOption

STARTS = [date(2024, 1, 1) + timedelta(days=k) for k in range(16)]
PARTS = ("price", "freight", "fuel", "duty", "holding_in_transit")


def way(
    name: str, periods: int, cost: float, *, moq: float = 0.0, saves: float = 0.0
) -> SupplyOption:
    landed = landed_cost(cost, weight_kg=0.0, freight_per_kg=0.0, fuel_share=0.0)
    return SupplyOption(name, "purchase", "S", periods, cost, landed, moq, 1.0, saves=saves)


def short_of_stock(shortage: float) -> Situation:
    return Situation(
        on_hand=np.array([4.0]),
        pipeline=np.zeros((1, 0)),
        history=np.zeros((1, 0)),
        paths=np.full((1, 10, 6), 4.0),
        lead_time=np.array([4]),
        review=1,
        economics=Economics(np.array([0.1]), np.array([shortage]), np.array([5.0]), np.zeros(1)),
        moq=np.zeros(1),
        order_multiple=np.ones(1),
    )


@pytest.mark.parametrize(("shortage", "best"), [(1.0, "normal order"), (9.0, "expedite")])
def test_expediting_pays_exactly_when_the_lost_sales_it_saves_are_dearer(
    shortage: float, best: str
) -> None:
    # Stock covers one period of four. The normal order of 16 comes in the fifth: 12 lost, then 12
    # left over. Expedited, the same 16
    listed = weigh(
        short_of_stock(shortage),
        way("normal order", 4, 5.0),
        16.0,
        [way("expedite", 1, 7.0, moq=16.0)],
    )
    costs = {one.way.name: one for one in listed}
    assert listed[0].way.name == "normal order"
    assert min(listed, key=lambda one: one.total_cost).way.name == best
    assert costs["normal order"].total_cost == pytest.approx(12 * shortage + 0.1 * 12)
    assert (costs["expedite"].quantity, costs["expedite"].normal_quantity) == (16.0, 0.0)
    assert costs["expedite"].extra_cost == pytest.approx(32.0)
    assert costs["expedite"].expected_cost == pytest.approx(0.1 * (12 + 8 + 4))


def test_what_is_missed_is_fetched_beside_the_normal_order_in_the_size_that_costs_least() -> None:
    # Nothing is lost after the normal order of 4, so 12 more by the fast way, and none of the
    # normal order with it.
    first = weigh(short_of_stock(9.0), way("normal order", 4, 5.0), 4.0, [way("expedite", 1, 7.0)])[
        1
    ]
    assert (first.quantity, first.normal_quantity) == (12.0, 4.0)
    assert first.extra_cost == pytest.approx(24.0)
    assert first.expected_cost == pytest.approx(0.1 * (8 + 4))


def test_ahead_of_a_rise_is_bought_what_saves_more_than_it_costs_to_hold() -> None:
    # 4 a period, 0.10 to hold, 0.80 dearer soon: the last unit may wait 8 periods, so 32 units save
    # 25.60 and cost
    # 0.1 x 32 x 8 / 2 = 12.80 once this order's 4 are sold.
    calm = replace(short_of_stock(9.0), on_hand=np.array([16.0]))
    normal, ahead = weigh(calm, way("normal order", 4, 5.0), 4.0, [way("ahead", 4, 5.0, saves=0.8)])
    assert ahead.quantity == 36.0
    assert ahead.extra_cost == pytest.approx(-25.6)
    # one period of the window, then until used
    assert ahead.expected_cost - normal.expected_cost == pytest.approx(0.1 * 32 + 12.8)
    assert ahead.total_cost < normal.total_cost
    # it would spoil
    assert (
        len(
            weigh(
                calm, way("normal order", 4, 5.0), 4.0, [way("ahead", 4, 5.0, saves=0.8)], life=1.0
            )
        )
        == 1
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9999), st.floats(0.1, 20), st.floats(-3, 3), st.integers(0, 6))
def test_a_way_that_comes_later_and_costs_more_is_never_cheapest(
    seed: int, shortage: float, dearer: float, periods: int
) -> None:
    random = np.random.default_rng(seed)
    situation = replace(
        short_of_stock(shortage),
        paths=random.poisson(3, (1, 20, 9)).astype(float),
        on_hand=random.integers(0, 20, 1) * 1.0,
    )
    listed = weigh(
        situation,
        way("normal order", 4, 5.0),
        float(random.integers(0, 20)),
        [way("other", periods, 5.0 + dearer)],
    )
    best = min(listed, key=lambda one: one.total_cost)
    assert listed[0].way.name == "normal order"
    assert best.way.name == "normal order" or best.arrives <= 4 or best.way.cost < 5.0
    for one in listed:
        assert one.total_cost == pytest.approx(one.extra_cost + one.expected_cost)


def company(seed: int, items: int = 3) -> tuple[pl.DataFrame, np.ndarray]:
    """Items that a centre buys, by lorry or by air or from a second supplier, and sends to three
    shops; one shop often has too many."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(items):
        common = {
            "item_id": f"item-{i}",
            "unit_cost": 3.0,
            "price": 8.0,
            "holding_cost": 0.02,
            "shortage_cost": 4.0,
            "weight_kg": 0.5,
            "category": "tea",
            "on_order": 0.0,
            "is_assumed": False,
        }
        rows.append(
            common
            | {
                "location_id": "DC",
                "role": "distribution_centre",
                "kind": "purchase",
                "from_id": "S1",
                "lead_time_days": 8.0,
                "lead_time_periods": 8,
                "moq": 10.0,
                "order_multiple": 5.0,
                "freight_per_unit": 0.1,
                "on_hand": float(random.integers(0, 60)),
            }
        )
        for place, days in (("EAST", 1), ("WEST", 2), ("NORTH", 3)):
            most = 400 if place == "NORTH" else 12
            rows.append(
                common
                | {
                    "location_id": place,
                    "role": "store",
                    "kind": "transfer",
                    "from_id": "DC",
                    "lead_time_days": float(days),
                    "lead_time_periods": days,
                    "moq": 0.0,
                    "order_multiple": 1.0,
                    "freight_per_unit": 0.05 * days,
                    "on_hand": float(random.integers(0, most)),
                }
            )
    frame = pl.DataFrame(rows)
    is_shop = (frame["role"] == "store").to_numpy()
    return frame, (random.poisson(4.0, (len(frame), 60, 16)) * is_shop[:, None, None]).astype(
        np.float32
    )


def logistics(**more: Any) -> Logistics:
    quoted = [
        ("S1", "DC", "truck", 6.0, 0.2),
        ("S1", "DC", "air", 1.0, 1.0),
        ("DC", "EAST", "truck", 1.0, 0.1),
    ]
    lanes = pl.DataFrame(
        [
            {
                "from_id": a,
                "to_id": b,
                "item_id": None,
                "mode": mode,
                "transit_days": days,
                "freight_per_kg": rate,
                "fuel_share": 0.5,
                "fuel_index": 1.2,
            }
            for a, b, mode, days, rate in quoted
        ],
        schema_overrides={"item_id": pl.String},
    )
    terms = pl.DataFrame(
        [
            {
                "item_id": "item-0",
                "supplier_id": name,
                "from_quantity": 0.0,
                "lead_time_days": days,
                "moq": 5.0,
                "order_multiple": 5.0,
                "unit_cost": cost,
            }
            for name, days, cost in (("S1", 8.0, 3.0), ("S2", 3.0, 3.6))
        ]
    )
    return Logistics.of(lanes, terms, 1.0, **more)


def listed_for(rows: pl.DataFrame, paths: np.ndarray, **more: Any) -> tuple[pl.DataFrame, Any]:
    made = plan(
        rows,
        paths,
        STARTS,
        POLICIES["quantile_order_up_to"],
        world="tea",
        review=5,
        logistics=logistics(**more),
    )
    return made.alternatives, made


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_every_list_begins_with_the_normal_order_adds_up_and_marks_its_least(seed: int) -> None:
    rows, paths = company(seed)
    table, made = listed_for(rows, paths)
    ordered = {(line.item_id, line.location_id): line.quantity for line in made.lines}
    for (item, place), ways in table.group_by("item_id", "location_id"):
        assert ways["rank"].sort().to_list() == list(range(len(ways))) and len(ways) > 1
        normal = ways.row(ways["rank"].arg_min(), named=True)
        assert (normal["way"], normal["extra_purchase_cost"], normal["normal_quantity"]) == (
            "normal order",
            0.0,
            0.0,
        )
        assert normal["quantity"] == ordered.get((item, place), 0.0)
        assert ways.filter("is_cheapest")["total_cost"].to_list() == [ways["total_cost"].min()]
    np.testing.assert_allclose(
        table["total_cost"], table["extra_purchase_cost"] + table["expected_cost"]
    )
    np.testing.assert_allclose(
        table["landed_unit_cost"], table.select(pl.sum_horizontal(PARTS)).to_series()
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_no_way_gives_away_what_its_giver_needs(seed: int) -> None:
    rows, paths = company(seed)
    table, made = listed_for(rows, paths)
    order = (
        rows.select("item_id", "location_id")
        .join(
            made.explanations.select("item_id", "location_id", "quantity"),
            on=["item_id", "location_id"],
            how="left",
            maintain_order="left",
        )["quantity"]
        .to_numpy()
    )
    due = np.zeros((len(rows), 8))
    due[np.arange(len(rows)), rows["lead_time_periods"].to_numpy() - 1] = order
    view = situation_of(
        rows,
        paths,
        history=None,
        pipeline=due,
        lead_time_paths=None,
        phase=None,
        review=5,
        unmet="lost",
        order_cost=0.0,
    )
    at = {pair: i for i, pair in enumerate(rows.select("item_id", "location_id").iter_rows())}
    taken: dict[int, float] = {}
    for one in table.filter(pl.col("way").str.ends_with("surplus")).iter_rows(named=True):
        giver = at[one["item_id"], one["from_id"]]
        last = int(rows["lead_time_periods"][giver]) + 10
        alone = rows_of(view, np.array([giver]))
        without = replace(alone, on_hand=alone.on_hand - one["quantity"])
        assert one["quantity"] <= surplus(alone)[0]
        is_hurt = project(without, last)[1].sum(axis=2) > project(alone, last)[1].sum(axis=2) + 1e-9
        assert is_hurt.mean() <= RISK + 1 / paths.shape[1]
        if one["is_cheapest"]:
            taken[giver] = taken.get(giver, 0.0) + one["quantity"]
    for giver, quantity in taken.items():
        assert quantity <= surplus(rows_of(view, np.array([giver])))[0]


def test_the_ways_of_a_centre_and_what_they_cost_by_hand() -> None:
    rows, paths = company(1)
    empty = rows.with_columns(on_hand=pl.lit(0.0))
    table, _ = listed_for(
        empty,
        paths,
        duty_share={"S2": 0.1},
        price_increases={("item-0", "S1"): PriceIncrease(4.0, date(2024, 1, 5))},
    )
    ways = {
        row["way"]: row
        for row in table.filter(item_id="item-0", location_id="DC").iter_rows(named=True)
    }
    assert set(ways) == {
        "normal order",
        "by air from S1",
        "from S2 instead",
        "buy ahead of the price of 2024-01-05",
    }
    # 0.5 kg by lorry at 0.20 a kg; fuel is a fifth dearer and half the rate follows it; six days on
    # the way at 0.02.
    normal = ways["normal order"]
    assert [normal[part] for part in PARTS] == pytest.approx([3.0, 0.1, 0.01, 0.0, 0.12])
    assert normal["arrives_on"] == STARTS[8]
    assert [ways["by air from S1"][part] for part in PARTS] == pytest.approx(
        [3.0, 0.5, 0.05, 0.0, 0.02]
    )
    assert ways["by air from S1"]["arrives_on"] == STARTS[3]
    # Nobody quotes S2's lane: freight as it has been, a tenth of duty on price and freight.
    assert [ways["from S2 instead"][part] for part in PARTS] == pytest.approx(
        [3.6, 0.1, 0.0, 0.37, 0.0]
    )
    assert ways["buy ahead of the price of 2024-01-05"]["extra_purchase_cost"] < 0


def test_other_ways_leave_and_arrive_on_the_days_that_their_senders_and_places_are_open() -> None:
    rows, paths = company(1)
    empty = rows.with_columns(on_hand=pl.lit(0.0))
    days = SupplyCalendar(
        orders={"S2": Days(frozenset({4}))},  # Thursdays; STARTS begin on a Monday
        takes={
            "DC": Days(closed=frozenset({STARTS[3]})),
        },
    )
    table, _ = listed_for(empty, paths, calendar=days, today=STARTS[0])
    arrive = {
        (way, place): day
        for way, place, day in table.filter(item_id="item-0")
        .select("way", "location_id", "arrives_on")
        .iter_rows()
    }
    assert arrive["by air from S1", "DC"] == STARTS[4]  # the third day it is closed
    assert arrive["from S2 instead", "DC"] == STARTS[6]  # leaves on the third day, takes three


def test_what_is_listed_orders_nothing_and_a_plan_without_logistics_lists_nothing() -> None:
    rows, paths = company(4)
    table, made = listed_for(rows, paths)
    plain = plan(rows, paths, STARTS, POLICIES["quantile_order_up_to"], world="tea", review=5)
    assert plain.lines == made.lines
    assert plain.alternatives.is_empty() and plain.alternatives.schema == table.schema


def test_a_large_plan_lists_the_rows_with_most_value_at_risk() -> None:
    rows, paths = company(5, items=300)
    bare = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "NORTH").then(300.0).otherwise(0.0)
    )
    view = situation_of(
        bare,
        paths,
        history=None,
        pipeline=None,
        lead_time_paths=None,
        phase=None,
        review=5,
        unmet="lost",
        order_cost=0.0,
    )
    ways = logistics()
    table = alternatives(view, bare, np.zeros(len(bare)), STARTS, ways)
    assert 0 < table.select("item_id", "location_id").n_unique() <= MOST_ROWS
    few = alternatives(view, bare, np.zeros(len(bare)), STARTS, replace(ways, lanes={}))
    assert "by air from S1" not in few["way"]
