"""What limits cut is what hurts least: held against every other choice there is, and against what
one unit more of a limit would change."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, OrderLine, Situation
from models.replenishment.constraints import Constraint, Limit, fit, less_stock, unkeepable, used
from models.replenishment.order_rounding import smallest_order
from models.replenishment.stock_projection import expected_cost

ROWS = pl.DataFrame(
    {
        "item_id": ["tea", "tea", "pot", "pot"],
        "location_id": ["DC", "EAST", "DC", "EAST"],
        "kind": ["purchase", "transfer", "purchase", "transfer"],
        "from_id": ["ASIA", "DC", "KILN", "DC"],
        "unit_cost": [2.0, 2.0, 10.0, 10.0],
        "weight_kg": [0.5, 0.5, None, None],
        "on_hand": [4.0, None, 1.0, float("nan")],
        "on_order": [3.0, 1.0, None, 0.0],
    }
)


def world(seed: int, count: int) -> tuple[Situation, np.ndarray, np.ndarray, np.ndarray]:
    """Items with sampled demand, what is needed of them, and the lots they come in."""
    random = np.random.default_rng(seed)
    multiple = random.integers(1, 4, count).astype(float)
    smallest = smallest_order(random.integers(0, 5, count), multiple)
    need = np.where(
        random.random(count) < 0.9, smallest + multiple * random.integers(0, 4, count), 0
    )
    costs = Economics(
        holding=random.uniform(0.05, 0.3, count),
        shortage=random.uniform(0.5, 3, count),
        unit_cost=random.uniform(1, 9, count),
        order_cost=np.zeros(count),
    )
    situation = Situation(
        on_hand=random.integers(0, 3, count).astype(float),
        pipeline=random.integers(0, 2, (count, 1)).astype(float),
        history=np.zeros((count, 0)),
        paths=random.poisson(4.0, (count, 25, 3)).astype(float),
        lead_time=np.full(count, 2),
        review=1,
        economics=costs,
    )
    return situation, need.astype(float), smallest, multiple


def saved(situation: Situation, quantity: np.ndarray) -> float:
    cost = expected_cost(situation, np.stack([np.zeros_like(quantity), quantity], axis=1))
    return float((cost[:, 0] - cost[:, 1]).sum())


def limits_of(seed: int, need: np.ndarray, count: int) -> list[Limit]:
    random = np.random.default_rng(seed)
    uses = random.integers(0, 3, (count, need.size)).astype(float)
    return [
        Limit(f"limit {k}", use, float(np.floor(use @ need * random.uniform(0.2, 1.1))))
        for k, use in enumerate(uses)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99_999), st.integers(1, 3))
def test_no_other_choice_within_the_limits_saves_more(seed: int, count: int) -> None:
    situation, need, smallest, multiple = world(seed, 3)
    limits = limits_of(seed, need, count)
    made = fit(situation, need, smallest, multiple, limits)
    choices = [
        [0.0, *np.arange(least, most + 1e-9, step)] if most else [0.0]
        for least, most, step in zip(smallest, need, multiple, strict=True)
    ]
    # a row that no tight limit counts keeps what it needs
    tight = [one for one in limits if one.use @ need > one.at_most]
    for row in range(need.size):
        if not any(one.use[row] for one in tight):
            choices[row] = [need[row]]
    possible = [
        quantity
        for quantity in map(np.array, product(*choices))
        if all(one.use @ quantity <= one.at_most + 1e-9 for one in limits)
    ]
    best = max(saved(situation, quantity) for quantity in possible)
    assert any((made.quantity == quantity).all() for quantity in possible)
    assert saved(situation, made.quantity) == pytest.approx(best)
    if tight:
        free = [row for row in range(need.size) if not any(one.use[row] for one in tight)]
        kept = np.where(np.isin(np.arange(need.size), free), need, 0.0)
        assert made.value == pytest.approx(best - saved(situation, kept))
        assert made.bound >= made.value - 1e-9
        assert made.gap == pytest.approx(
            (made.bound - made.value) / made.bound if made.bound else 0
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99_999), st.integers(1, 3), st.integers(0, 2), st.floats(0.1, 4))
def test_a_limit_s_price_bounds_what_more_or_less_of_it_changes(
    seed: int, count: int, which: int, step: float
) -> None:
    situation, need, smallest, multiple = world(seed, 4)
    limits = limits_of(seed, need, count)
    which %= count

    def bound(more: float) -> float:
        changed = list(limits)
        one = limits[which]
        changed[which] = Limit(one.name, one.use, one.at_most + more)
        return fit(situation, need, smallest, multiple, changed).bound

    made = fit(situation, need, smallest, multiple, limits)
    price = made.shadow_price[limits[which].name]
    assert price >= 0 and set(made.shadow_price) == {one.name for one in limits}
    if price == 0:
        return
    assert bound(0) == pytest.approx(made.bound)
    more, less = limits[which].use @ need - limits[which].at_most, min(step, limits[which].at_most)
    if more - step > 1e-6:  # still tight
        assert bound(step) <= made.bound + price * step + 1e-6
    assert bound(-less) <= made.bound - price * less + 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99_999), st.integers(1, 4), st.floats(0.05, 0.95))
def test_a_long_order_is_cut_in_whole_lots_and_one_of_any_quantity_by_a_share(
    seed: int, lot: int, part: float
) -> None:
    situation, *_ = world(seed, 1)
    plenty = Situation(**{**vars(situation), "paths": np.full((1, 5, 3), 900.0)})
    need = np.array([lot * 97.0])
    room = [Limit("room", np.ones(1), float(need[0] * part))]
    whole = fit(plenty, need, np.array([float(lot)]), np.array([float(lot)]), room).quantity[0]
    assert whole % lot == 0
    # a ladder has 24 rungs, so an order of 97 lots is cut by five of them at once
    assert room[0].at_most - 5 * lot < whole <= room[0].at_most
    for asked in (need, need / 200):
        least = float(asked[0] * part)
        any_ = fit(plenty, asked, np.zeros(1), np.zeros(1), [Limit("room", np.ones(1), least)])
        assert least - asked[0] / 23 - 1e-6 <= any_.quantity[0] <= least + 1e-6


def test_a_constraint_counts_its_resource_inside_its_scope_alone() -> None:
    def use(resource: str, **scope: str) -> list[float]:
        return Constraint("c", 1.0, resource, scope).limit(ROWS).use.tolist()  # type: ignore[arg-type]

    assert use("value") == [2.0, 0.0, 10.0, 0.0]  # transfers are paid for already
    assert use("units") == [1.0] * 4
    assert use("units", location_id="EAST") == [0.0, 1.0, 0.0, 1.0]
    assert use("weight_kg", item_id="tea", location_id="EAST") == [0.0, 0.5, 0.0, 0.0]
    for resource in ("weight_kg", "volume_m3"):
        with pytest.raises(ValueError, match=f"'c' counts {resource}, which is not known"):
            use(resource)
    kept = Constraint("c", 7.0, "units", counts_stock=True).limit(ROWS)
    assert (kept.name, kept.at_most, kept.counts_stock) == ("c", 7.0, True)


def test_lines_use_of_each_limit_what_they_are_times_how_many_there_are() -> None:
    rows = ROWS.with_columns(weight_kg=pl.Series([0.5, 0.5, None, 3.0]))

    def line(item: str, place: str, kind: str, source: str, quantity: float, cost: float) -> object:
        return OrderLine("w", kind, item, place, source, quantity, None, None, cost, {}, "")  # type: ignore[arg-type]

    lines = [
        line("tea", "DC", "purchase", "ASIA", 10.0, 2.5),
        line("pot", "DC", "purchase", "KILN", 4.0, 10.0),
        line("pot", "EAST", "transfer", "DC", 2.0, 10.0),
        line("cup", "EAST", "transfer", "DC", 1.0, 1.0),  # not among the rows: it weighs nothing
    ]
    constraints = [
        Constraint("budget", 1.0),
        Constraint("kiln", 1.0, "value", {"from_id": "KILN"}),
        Constraint("truck", 1.0, "weight_kg", {"location_id": "EAST"}),
        Constraint("all", 1.0, "units"),
        Constraint("weight", 1.0, "weight_kg"),
    ]
    assert used(constraints, lines, rows).tolist() == [65.0, 40.0, 6.0, 17.0, 11.0]
    assert used(constraints, [], rows).tolist() == [0.0] * 5


def test_stock_takes_room_of_the_limits_that_count_it_and_of_no_other() -> None:
    room = Constraint("room", 20.0, "units", {"location_id": "DC"}, counts_stock=True)
    flow = Constraint("flow", 20.0, "units", {"location_id": "DC"})
    east = Constraint("east", 20.0, "units", {"location_id": "EAST"}, counts_stock=True)
    full = Constraint("full", 2.0, "units", {"location_id": "DC"}, counts_stock=True)
    left = less_stock([room, flow, east, full], ROWS)
    assert [one.at_most for one in left] == [20.0 - 4 - 3 - 1, 20.0, 20.0 - 1, 0.0]
    assert [one.name for one in left] == ["room", "flow", "east", "full"]
    # what is owed at a place frees no room
    limit = room.limit(ROWS).less(np.array([-5.0, 0, 0, 0]), np.array([[1.0, 2.0], *[[0, 0]] * 3]))
    assert (limit.at_most, limit.counts_stock) == (17.0, False)


def test_a_limit_nobody_can_keep_stops_its_own_rows_and_an_unknown_size_its_own_item() -> None:
    kept, out = unkeepable(
        ROWS,
        [
            Constraint("budget", -1.0, "value", {"location_id": "DC", "item_id": "tea"}),
            Constraint("none", float("nan"), "units", {"from_id": "DC", "item_id": "tea"}),
            Constraint("truck", 9.0, "weight_kg", {"location_id": "EAST"}),
            Constraint("zero", 0.0, "units"),
        ],
    )
    assert [one.name for one in kept] == ["truck", "zero"]
    assert out.select("item_id", "location_id", "kind", "severity").rows() == [
        ("tea", "DC", "infeasible_limit", "error"),
        ("tea", "EAST", "infeasible_limit", "error"),
        ("pot", "EAST", "unknown_size", "error"),
    ]
    _, priced = unkeepable(ROWS, [Constraint("budget", -1.0, "value", {"item_id": "pot"})])
    assert priced["location_id"].to_list() == ["DC"]  # a transfer costs nothing
    assert unkeepable(ROWS, [])[1].is_empty()
