"""What a policy sees, and what it makes of it: columns as arrays, centres as their echelons, targets
in parts, goods that spoil, customers who wait, each against the plainest reckoning there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation, recent_mean
from models.replenishment.customer_orders import beyond_forecast, consumed, set_aside
from models.replenishment.echelon import Echelons, echelon_view
from models.replenishment.order_rounding import smallest_order
from models.replenishment.policies import POLICIES, QuantileOrderUpTo, Smoothed
from models.replenishment.safety_stock import PARTS, explain_target
from models.replenishment.shelf_life import demand_in_time, expected_waste, sellable
from models.replenishment.situations import price_steps, situation_of, sources_of
from models.replenishment.stock_projection import (
    critical_order,
    drawn_out,
    expected_shortfall,
    mean_demand,
    project,
    remembering,
    required_horizon,
    rows_of,
    window_demand,
    within_reach,
)

SEEDS = st.integers(0, 99_999)


def seen(seed: int, count: int = 3, unmet: str = "lost", **more: Any) -> Situation:
    """Rows with stock, some of it on the way, sampled demand and lead times of their own."""
    random = np.random.default_rng(seed)
    costs = (
        random.uniform(0.1, 0.5, count),
        random.uniform(0.6, 4, count),
        random.uniform(1, 9, count),
    )
    said: dict[str, Any] = {
        "on_hand": random.integers(0, 9, count).astype(float),
        "pipeline": random.integers(0, 4, (count, 2)).astype(float),
        "history": random.integers(0, 9, (count, 8)).astype(float),
        "paths": random.poisson(4.0, (count, 20, 7)).astype(float),
        "lead_time": random.integers(0, 4, count),
        "review": int(random.integers(1, 3)),
        "economics": Economics(*costs, np.zeros(count), unmet=unmet),  # type: ignore[arg-type]
        "moq": random.integers(0, 5, count).astype(float),
        "order_multiple": random.choice([0.0, 1.0, 3.0], count),
    }
    return Situation(**said | more)


ROWS = pl.DataFrame(
    {
        "item_id": ["tea", "tea", "pot", "pot"],
        "location_id": ["DC", "EAST", "DC", "EAST"],
        "kind": ["purchase", "transfer", "purchase", "transfer"],
        "from_id": ["EAST", "DC", "KILN", "MOON"],
        "unit_cost": [2.0, 2.5, 10.0, 10.0],
        "holding_cost": [0.1, 0.2, 0.3, 0.4],
        "shortage_cost": [1.0, 2.0, 3.0, 4.0],
        "lead_time_periods": [3, 1, 2, 1],
        "on_hand": [4, 5, 6, 7],
        "on_order": [3.0, None, 1.0, 0.0],
        "moq": [None, 2.0, 0.0, 4.0],
        "order_multiple": [None, 6.0, 0.0, 1.0],
    }
)


def situation(rows: pl.DataFrame, **more: Any) -> Situation:
    said = dict.fromkeys(("history", "pipeline", "lead_time_paths", "phase"))
    return situation_of(
        rows,
        np.ones((rows.height, 2, 5)),
        **said | {"review": 2, "unmet": "backlog", "order_cost": 7} | more,
    )


def test_columns_become_arrays_and_what_nobody_said_is_nothing() -> None:
    found = situation(ROWS)
    assert found.on_hand.tolist() == [4.0, 5.0, 6.0, 7.0] and found.on_hand.dtype == np.float64
    assert found.pipeline.tolist() == [[3.0], [0.0], [1.0], [0.0]]
    assert (found.moq.tolist(), found.order_multiple.tolist()) == ([0, 2, 0, 4], [1, 6, 0, 1])
    assert (found.lead_time.tolist(), found.review) == ([3, 1, 2, 1], 2)
    costs = found.economics
    assert (costs.holding.tolist(), costs.shortage.tolist()) == ([0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4])
    assert (costs.unit_cost.tolist(), costs.order_cost.tolist()) == (
        [2.0, 2.5, 10.0, 10.0],
        [7.0] * 4,
    )
    assert costs.unmet == "backlog"
    shapes = {
        name: getattr(found, name).shape for name in ("history", "gap", "phase", "service_level")
    }
    assert shapes == {"history": (4, 0), "gap": (0,), "phase": (0,), "service_level": (0,)}
    assert (found.lead_time_paths.shape, found.customer_orders.shape) == ((0, 0), (0, 0))
    more = ROWS.with_columns(
        service_level=pl.Series([0.9, None, 0.5, None]), gap=pl.Series([0, 1, 2, 3])
    )
    given_ = {
        "history": np.full((4, 3), 2.0),
        "pipeline": np.full((4, 2), 3.0),
        "lead_time_paths": np.full((4, 2), 1),
        "phase": np.arange(8),
        "customer_orders": np.full((4, 2), 5.0),
    }
    told = situation(more, **given_)
    assert all(getattr(told, name) is value for name, value in given_.items())
    assert (told.service_level.tolist(), told.gap.tolist()) == ([0.9, 0.0, 0.5, 0.0], [0, 1, 2, 3])
    assert told.interval.tolist() == [2, 3, 4, 5] and found.interval.tolist() == [2] * 4


def test_a_row_draws_on_the_same_item_where_it_ships_from_and_a_purchase_on_nobody() -> None:
    assert sources_of(ROWS).tolist() == [-1, 0, -1, -1]  # nobody plans the moon
    assert sources_of(ROWS[::-1]).tolist() == [-1, -1, 3, -1]


def test_prices_go_by_step_and_those_without_any_by_their_own() -> None:
    breaks = pl.DataFrame(
        {
            "item_id": ["pot", "pot", "tea", "tea"],
            "from_id": ["KILN", "KILN", "DC", "KILN"],
            "from_quantity": [50, 1, 1, 1],
            "unit_cost": [8.0, 9.0, 0.1, 0.2],
        }
    )
    starts, prices = price_steps(ROWS, breaks)
    assert np.nan_to_num(starts, nan=-1).tolist() == [[0, -1], [0, -1], [1, 50], [0, -1]]
    assert np.nan_to_num(prices, nan=-1).tolist() == [[2, -1], [2.5, -1], [9, 8], [10, -1]]
    for none in (None, breaks.clear(), breaks.with_columns(unit_cost=pl.lit(None, pl.Float64))):
        starts, prices = price_steps(ROWS, none)
        assert (starts.tolist(), prices.tolist()) == ([[0.0]] * 4, [[2.0], [2.5], [10.0], [10.0]])
    assert price_steps(ROWS.clear(), None)[0].shape == (0, 1)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.booleans(), st.booleans())
def test_some_rows_of_a_situation_are_these_rows_of_all_it_has(
    seed: int, is_full: bool, has_paths: bool
) -> None:
    random = np.random.default_rng(seed)
    full: dict[str, Any] = {
        "backlog": random.random(4),
        "lead_time_paths": random.integers(0, 3, (4, 20)),
        "service_level": random.random(4),
        "gap": random.integers(0, 3, 4),
        "customer_orders": random.random((4, 3)),
    }
    none: dict[str, Any] = {"moq": np.zeros(0), "order_multiple": np.zeros(0)}
    whole = seen(seed, 4, **(full if is_full else none))
    whole = whole if has_paths else replace(whole, paths=None)
    rows = random.permutation(4)[:2]
    part = rows_of(remembering(whole), rows)
    assert part.memo is None and part.review == whole.review
    for name in ("on_hand", "pipeline", "history", "lead_time", "paths", *full, *none):
        value = getattr(whole, name)
        mine = getattr(part, name)
        if value is None:
            assert mine is None
        else:
            assert mine.tolist() == (value[rows] if value.size else value).tolist(), name
    for name in ("holding", "shortage", "unit_cost", "order_cost"):
        assert (
            getattr(part.economics, name).tolist() == getattr(whole.economics, name)[rows].tolist()
        )


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["lost", "backlog"]), st.booleans())
def test_what_is_lacking_is_what_a_walk_from_day_to_day_lacks(
    seed: int, unmet: str, is_late: bool
) -> None:
    random = np.random.default_rng(seed)
    owed = {"backlog": random.integers(0, 3, 3).astype(float)} if unmet == "backlog" else {}
    took = {"lead_time_paths": random.integers(0, 4, (3, 20))} if is_late else {}
    now = seen(seed, unmet=unmet, **owed, **took)
    found = expected_shortfall(now)
    cheap = critical_order(now, now.economics.shortage)
    for row in range(3):
        ends, each = [], []
        for path in range(20):
            lead = int(took["lead_time_paths"][row, path]) if is_late else int(now.lead_time[row])
            stock = now.on_hand[row] - (owed["backlog"][row] if owed else 0.0)
            for period in range(lead + now.review):
                if period:
                    stock += now.pipeline[row, period - 1] if period <= 2 else 0.0
                if period < lead:
                    stock -= now.paths[row, path, period]  # type: ignore[index]
                    stock = max(stock, 0.0) if unmet == "lost" else stock
                else:  # from here the order can help, so what is lacking adds up
                    stock -= now.paths[row, path, period]  # type: ignore[index]
                    each.append(-stock)
            ends.append(-stock)
        assert found[row] == pytest.approx(np.mean(ends))
        h, p = now.economics.holding[row], now.economics.shortage[row]
        tried = sorted({-1e9, *each})

        def cost(q: float, ends: Any = ends, each: Any = each, h: float = h, p: float = p) -> float:
            kept = sum(max(q - one, 0.0) for one in each)
            missed = sum(max(one - q, 0.0) for one in (ends if unmet == "lost" else each))
            return h * kept + p * missed

        least = min(cost(one) for one in tried)
        assert cost(float(cheap[row])) == pytest.approx(least)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(["lost", "backlog"]))
def test_stock_runs_down_by_what_comes_and_what_is_asked(seed: int, unmet: str) -> None:
    now = seen(seed, unmet=unmet, backlog=np.array([1.0, 0.0, 2.0]))
    left, missed = project(now, 5)
    assert left.shape == missed.shape == (3, 20, 5)
    stock = np.repeat((now.on_hand - now.backlog)[:, None], 20, axis=1)
    for k in range(5):
        stock = stock + (now.pipeline[:, k - 1, None] if 1 <= k <= 2 else 0.0) - now.paths[:, :, k]  # type: ignore[index]
        assert left[:, :, k] == pytest.approx(np.maximum(stock, 0.0))
        assert missed[:, :, k] == pytest.approx(np.maximum(-stock, 0.0))
        stock = np.maximum(stock, 0.0) if unmet == "lost" else stock
    with pytest.raises(ValueError, match="covers 7 periods, 8 are asked for"):
        project(now, 8)
    assert project(now, 7)[0].shape[2] == 7


def test_the_window_and_its_demand_end_where_the_slowest_path_needs_it() -> None:
    now = seen(1, lead_time=np.array([1, 2, 0]), review=2)
    assert required_horizon(now) == 4
    assert window_demand(now)[1] == pytest.approx(now.paths[1, :, :4].sum(axis=1))  # type: ignore[index]
    late = replace(now, lead_time_paths=np.full((3, 20), 9), gap=np.array([0, 1, 0]))
    assert required_horizon(late) == 12
    kept = within_reach(late)
    assert [int(row.max()) for row in kept.lead_time_paths] == [5, 4, 5]
    assert required_horizon(kept) == 7 and within_reach(now) is now
    with pytest.raises(ValueError, match=r"covers 7 periods, .* need 12"):
        expected_shortfall(late)
    blind = replace(late, paths=None)
    assert within_reach(blind) is blind
    assert mean_demand(now) == pytest.approx(now.paths.mean(axis=(1, 2)))  # type: ignore[union-attr]
    known = remembering(now)
    expected_shortfall(known)
    assert mean_demand(known) == pytest.approx(mean_demand(now))
    longer = drawn_out(now.paths, 5, 2)  # type: ignore[arg-type]
    assert longer.shape == (3, 20, 12)
    assert longer[:, :, 7:].tolist() == now.paths[:, :, [5, 6, 5, 6, 5]].tolist()  # type: ignore[index]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.booleans())
def test_a_target_s_parts_are_what_each_reason_adds_to_the_one_before(
    seed: int, is_sold: bool
) -> None:
    random = np.random.default_rng(seed)
    now = seen(seed, lead_time_paths=random.integers(0, 5, (3, 20)), service_level=np.full(3, 0.5))
    tuned, promised = random.uniform(0.5, 4, 3), random.uniform(0.5, 4, 3)
    share = random.random(3) if is_sold else None
    made = explain_target(now, tuned=tuned, promised=promised, as_sold=share)
    certain = replace(now, lead_time_paths=np.zeros((0, 0), dtype=np.int64))
    mean = window_demand(certain).mean(axis=1)
    costs = now.economics.shortage
    assert made.expected_demand == pytest.approx(mean * (1.0 if share is None else share))
    assert made.censoring == pytest.approx(mean - made.expected_demand)
    assert made.lost_before_arrival == pytest.approx(
        expected_shortfall(certain) - mean + now.position
    )
    assert made.demand_noise == pytest.approx(
        critical_order(certain, costs) - expected_shortfall(certain)
    )
    assert made.lead_time_noise == pytest.approx(
        critical_order(now, costs) - critical_order(certain, costs)
    )
    assert made.calibration == pytest.approx(
        critical_order(now, tuned) - critical_order(now, costs)
    )
    assert made.service_floor == pytest.approx(
        critical_order(now, promised) - critical_order(now, tuned)
    )
    assert made.need == pytest.approx(sum(getattr(made, name) for name in PARTS))
    assert made.order_up_to == pytest.approx(made.need + now.position)
    assert made.safety_stock == pytest.approx(made.order_up_to - mean)
    assert made.parts(1) == {name: getattr(made, name)[1] for name in PARTS}
    nobody = explain_target(replace(now, service_level=np.zeros(0)), tuned=tuned, promised=promised)
    assert not nobody.service_floor.any()


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(st.sampled_from([0.0, 1.0, 3.0, 9.0, np.inf]), min_size=3, max_size=3))
def test_of_goods_that_spoil_no_more_is_bought_than_is_worth_its_risk(
    seed: int, life: list[float]
) -> None:
    now, keeps = seen(seed), np.array(life)
    wanted = np.array([4.0, 30.0, 12.0])
    kept, waste = sellable(now, wanted, keeps), expected_waste(now, wanted, keeps)
    in_time = demand_in_time(now, keeps)
    for row in range(3):
        if np.isinf(keeps[row]):
            assert (kept[row], waste[row]) == (wanted[row], 0.0)
            continue
        until = int(now.lead_time[row] + keeps[row])
        paths = now.paths[row]  # type: ignore[index]
        asked = paths[:, :until].sum(axis=1) + max(until - 7, 0) * paths.mean(axis=1)
        assert in_time[row] == pytest.approx(asked)
        assert waste[row] == pytest.approx(
            np.maximum(now.position[row] + wanted[row] - asked, 0).mean()
        )
        p, c = now.economics.shortage[row], now.economics.unit_cost[row]
        enough = np.sort(asked)[int(np.ceil(p / (p + c) * 20 * (1 - 1e-9))) - 1]
        room, step = max(enough - now.position[row], 0.0), now.order_multiple[row]
        whole = step * np.floor(room / step + 1e-9) if step else room
        least = smallest_order(now.moq[row : row + 1], now.order_multiple[row : row + 1])[0]
        assert kept[row] == pytest.approx(min(wanted[row], whole if whole >= least else 0.0))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.booleans())
def test_customers_take_stock_then_deliveries_and_the_rest_is_lacking(
    seed: int, is_blind: bool
) -> None:
    random = np.random.default_rng(seed)
    orders = random.integers(0, 12, (3, 10)).astype(float)
    now = seen(seed, customer_orders=orders, gap=np.array([0, 1, 0]))
    now = replace(now, paths=None) if is_blind else now
    beyond = beyond_forecast(now)
    left, lacking = set_aside(now)
    for row in range(3):
        until = int(now.lead_time[row] + now.interval[row])
        rest = orders[row, 0]
        for period in range(until):
            if is_blind:
                usual = now.history[row].mean()
            else:
                usual = now.paths[row, :, period].mean() if period < 7 else np.inf  # type: ignore[index]
            due = orders[row, 1 + period] if 1 + period < 10 else 0.0
            rest += max(due - usual, 0.0)
        assert beyond[row] == pytest.approx(rest)
        there = [now.on_hand[row], *now.pipeline[row]]
        after = [left.on_hand[row], *left.pipeline[row]]
        for had, has in zip(there, after, strict=True):
            took = min(had, rest)
            assert has == pytest.approx(had - took)
            rest -= took
        assert lacking[row] == pytest.approx(rest)
    paths, due = np.full((1, 2, 3), 5.0), np.array([[0.0, 3.0, 9.0]])
    assert consumed(paths, due, np.zeros(1))[0].tolist() == [[5, 5, 9]] * 2
    assert consumed(paths, due * 0, np.array([4.0]))[0].tolist() == [[9, 5, 5]] * 2
    assert paths.tolist() == [[[5.0] * 3] * 2]


#: A supplier feeds 0, it feeds 1 and 2, and 2 feeds 3.
TREE = np.array([-1, 0, 0, 2])
BELOW = {0: [1, 2, 3], 2: [3]}


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.booleans(), st.booleans())
def test_a_centre_sees_all_that_is_below_it_and_others_themselves(
    seed: int, is_blind: bool, is_equal: bool
) -> None:
    random = np.random.default_rng(seed)
    orders = random.integers(0, 5, (4, 3)).astype(float)
    late = random.integers(0, 4, (4, 20))
    now = seen(seed, 4, customer_orders=orders, lead_time_paths=late)
    if is_equal:
        now = replace(now, economics=replace(now.economics, shortage=np.full(4, 2.0)))
    now = replace(now, paths=None) if is_blind else now
    view = echelon_view(now, TREE)
    mean = now.history.mean(axis=1) if is_blind else now.paths.mean(axis=(1, 2))  # type: ignore[union-attr]
    for node in range(4):
        below = BELOW.get(node, [])
        mine = [node, *below]
        assert view.on_hand[node] == pytest.approx(now.on_hand[node] + now.position[below].sum())
        assert view.history[node] == pytest.approx(now.history[mine].sum(axis=0))
        assert view.customer_orders[node] == pytest.approx(orders[mine].sum(axis=0))
        if not is_blind:
            assert view.paths[node] == pytest.approx(now.paths[mine].sum(axis=0))  # type: ignore[index]
        p = now.economics.shortage
        told = p[node] if not below else (mean[below] * p[below]).sum() / mean[below].sum()
        assert view.economics.shortage[node] == pytest.approx(told)
        ways = {0: [[1], [2, 3]], 2: [[3]]}.get(node, [])
        longest = max((sum(now.lead_time[way]) for way in ways), default=0)
        assert view.lead_time[node] == now.lead_time[node] + longest
        sampled = np.max([late[way].sum(axis=0) for way in ways], axis=0) if ways else 0
        assert (view.lead_time_paths[node] == late[node] + sampled).all()
    assert (view.paths is None) == is_blind
    alone = echelon_view(now, np.full(4, -1))
    assert alone is now


def test_goods_of_two_levels_and_by_share_burden_each_source_with_its_part() -> None:
    lanes = Echelons(np.array([-1, 0, 0]), np.array([0, 1, 1]), np.array([1.0, 0.25, 0.0]), nodes=2)
    assert lanes.stock(np.array([5.0, 1.0]), np.array([9.0, 8.0])).tolist() == [7.0, 1.0]
    assert lanes.demand(np.array([[1.0], [8.0]])).tolist() == [[3.0], [8.0]]
    assert lanes.way_down(np.array([4, 2, 9])).tolist() == [2, 0]  # nothing comes by the last one
    with pytest.raises(ValueError, match="points at node 2, but there are only 2 nodes"):
        Echelons(np.array([-1, 2]))
    with pytest.raises(ValueError, match=r"node\(s\) 1 supply themselves"):
        Echelons(np.array([-1, 1]))
    with pytest.raises(ValueError, match=r"node\(s\) 1, 2 supply themselves"):
        Echelons(np.array([-1, 2, 1]))
    # nobody sells anything yet: all below have the same say
    idle = Echelons(np.array([-1, 0, 0]))
    cost = np.array([9.0, 1.0, 3.0])
    assert idle.shortage(cost, np.zeros((3, 0)), None).tolist() == [2.0, 1.0, 3.0]
    assert idle.shortage(cost, np.array([[9.0], [3.0], [1.0]]), None)[0] == pytest.approx(1.5)
    assert idle.shortage(np.array([9.0, 2.0, 2.0]), np.zeros((3, 0)), None).tolist() == [2, 2, 2]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.2, 0.95), st.sampled_from(["lost", "backlog"]))
def test_a_service_level_set_by_hand_is_kept_on_the_paths(
    seed: int, level: float, unmet: str
) -> None:
    now = replace(seen(seed, unmet=unmet), review=1)
    ordered = QuantileOrderUpTo(service_level=level, whole_units=False).order(
        replace(now, order_multiple=np.zeros(0))
    )
    least = critical_order(now, now.economics.holding * level / (1 - level))
    assert ordered == pytest.approx(np.maximum(least, 0.0))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0, 1), st.integers(1, 8))
def test_a_smoothed_order_lies_between_what_is_wanted_and_what_is_usual(
    seed: int, weight: float, window: int
) -> None:
    now = seen(seed, review=2)
    need = POLICIES["quantile_order_up_to"].order(now)
    usual = recent_mean(now.history, window) * 2
    found = Smoothed(POLICIES["quantile_order_up_to"], weight, window).order(now)
    expected = np.where(need > 0, np.round(weight * need + (1 - weight) * usual), 0.0)
    assert found.tolist() == expected.tolist()


def test_the_mean_of_the_last_periods_leaves_out_what_is_not_known() -> None:
    history = np.array([[1.0, 2.0, np.nan, 6.0], [np.nan] * 4])
    assert recent_mean(history).tolist() == [3.0, 0.0]
    assert recent_mean(history, 2).tolist() == [6.0, 0.0]
    assert recent_mean(history, 3).tolist() == [4.0, 0.0]
    assert recent_mean(np.zeros((2, 0))).tolist() == [0.0, 0.0]
