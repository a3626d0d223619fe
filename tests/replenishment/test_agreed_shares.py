"""Several sources of one place by agreed shares: each brings its part in its own lots, and the rest
of the decision holds for each as for any order."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.agreed_shares import (
    Lanes,
    lanes_of,
    lots_of,
    shares_in_words,
    with_other_sources,
)
from models.replenishment.constraints import Constraint
from models.replenishment.decision import Terms
from models.replenishment.overrides import Override
from models.replenishment.plan import Plan, plan
from models.replenishment.policies import POLICIES
from models.replenishment.supplier_choice import Buyer
from models.replenishment.supplier_minimums import SupplierMinimum
from models.replenishment.supply_options import Logistics

STARTS = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(7)]
ROW = {
    "item_id": "tea",
    "location_id": "DC",
    "role": "store",
    "kind": "purchase",
    "from_id": "NEAR",
    "lead_time_days": 7.0,
    "lead_time_periods": 1,
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
    "on_hand": 0.0,
    "on_order": 0.0,
}
FAR = ROW | {
    "from_id": "FAR",
    "share": 0.4,
    "lead_time_days": 21.0,
    "lead_time_periods": 3,
    "order_multiple": 12.0,
    "unit_cost": 4.0,
}


def rows(*others: dict[str, Any]) -> pl.DataFrame:
    """One item of one place from NEAR, and from others."""
    alone = pl.DataFrame([ROW])
    schema = alone.schema | {"share": pl.Float64}
    return with_other_sources(alone, pl.DataFrame(list(others), schema=schema))


def planned(frame: pl.DataFrame, **more: Any) -> Plan:
    paths = np.random.default_rng(0).poisson(20.0, (frame.height, 100, 7)).astype(np.float32)
    rule = POLICIES["quantile_order_up_to"]
    return plan(frame, paths, STARTS, rule, world="w", unmet="backlog", **more)


def sent(made: Plan) -> dict[str, float]:
    return {line.from_id: line.quantity for line in made.lines}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 99_999))
def test_each_source_brings_its_share_and_the_last_what_is_left_open(seed: int) -> None:
    random = np.random.default_rng(seed)
    nodes, to, share = 5, list(range(5)), [0.0] * 5
    for node in range(nodes):
        parts = random.dirichlet(np.ones(int(random.integers(1, 4))))
        share[node] = float(parts[0])
        to += [node] * (parts.size - 1)
        share += [float(part) for part in parts[1:]]
    lanes = Lanes(np.array(to), np.array(share), nodes)
    moq = random.integers(0, 9, len(to)).astype(float)
    multiple = random.choice([1.0, 1.0, 6.0, 0.5], len(to))
    wanted = random.integers(0, 60, nodes) * random.random()
    found = lanes.split(wanted, lanes.lots(moq, multiple))
    for node in range(nodes):
        left, so_far = 0.0, 0.0
        mine = sorted((e for e in range(len(to)) if to[e] == node), key=lambda e: -share[e])
        for number, e in enumerate(mine, start=1):
            so_far += share[e]
            is_last = number == len(mine)
            open_ = max(wanted[node] * (1.0 if is_last else so_far) - left, 0.0)
            least = multiple[e] * max(math.ceil(moq[e] / multiple[e] - 1e-9), 1)
            if is_last:
                up = multiple[e] * math.ceil(open_ / multiple[e] - 1e-9)
                part = max(up, least) if open_ > 1e-9 else 0.0
            else:  # the nearest of what can be bought
                off = multiple[e] * math.floor(open_ / multiple[e] + 0.5 + 1e-9)
                part = max(off, least) if open_ >= least else least * (open_ >= least / 2)
            assert found[e] == pytest.approx(part)
            left += part
        assert left >= wanted[node] - 1e-6


def network(seed: int) -> Lanes:
    """Four nodes with a usual lane each and more of some, one of them without a share."""
    random = np.random.default_rng(seed)
    to = np.array([0, 1, 2, 3, *random.integers(0, 4, int(random.integers(1, 5)))])
    share = random.random(to.size)
    share[random.integers(0, 4)] = 0.0
    total = np.bincount(to, weights=share)
    return Lanes(to, share / np.where(total[to] > 0, total[to], 1.0), 4)


@given(st.integers(0, 99_999))
def test_what_lanes_have_is_told_by_node_and_what_nodes_have_by_lane(seed: int) -> None:
    lanes, random = network(seed), np.random.default_rng(seed)
    values, days = random.random((lanes.to.size, 3)), random.integers(0, 9, (lanes.to.size, 3))
    of_nodes = random.random((4, 3)).astype(np.float32)
    mine = [np.flatnonzero(lanes.to == node) for node in range(4)]
    assert lanes.by_node(values) == pytest.approx(np.stack([values[e].sum(axis=0) for e in mine]))
    used = [[e for e in found if lanes.share[e] > 0] for found in mine]
    slowest = [days[e].max(axis=0) if e else np.zeros(3) for e in used]
    assert lanes.longest(days).tolist() == np.stack(slowest).tolist()
    alone = [values[e[0], 0] if e.size == 1 else 0.0 for e in mine]
    assert lanes.where_single(values[:, 0]) == pytest.approx(np.array(alone))
    split = lanes.shared(of_nodes)
    assert split == pytest.approx(of_nodes[lanes.to] * lanes.share[:, None], rel=1e-6)
    first = lanes.on_first(of_nodes)
    assert first[:4].tolist() == of_nodes.tolist() and not first[4:].any()
    assert first.shape == (lanes.to.size, 3)


@given(st.integers(0, 99_999), st.booleans(), st.booleans())
def test_a_lane_s_part_of_a_situation_is_its_share_of_all_that_is_there_and_asked(
    seed: int, with_paths: bool, is_full: bool
) -> None:
    lanes, random = network(seed), np.random.default_rng(seed)
    costs = Economics(*(random.random(4) for _ in range(4)), unmet="backlog")
    some = Situation(
        on_hand=random.random(4) * 9,
        pipeline=random.random((4, 2)),
        history=random.random((4, 5)),
        paths=random.random((4, 6, 3)),
        lead_time=random.integers(0, 4, 4),
        review=2,
        economics=costs,
        backlog=random.random(4) if is_full else np.zeros(0),
        customer_orders=random.random((4, 3)) if is_full else np.zeros((0, 0)),
    )
    moq, multiple = random.random(lanes.to.size), random.random(lanes.to.size)
    part = lanes.part_of(some, moq, multiple, with_paths=with_paths)
    names = ["on_hand", "pipeline", "history"] + ["backlog", "customer_orders"] * is_full
    for name in names + ["paths"] * with_paths:
        whole = getattr(some, name)
        for e, node in enumerate(lanes.to):
            assert getattr(part, name)[e] == pytest.approx(whole[node] * lanes.share[e])
    assert (part.paths is None) == (not with_paths)
    assert (part.backlog.size, part.customer_orders.size) == (
        (lanes.to.size, lanes.to.size * 3) if is_full else (0, 0)
    )
    assert part.moq is moq and part.order_multiple is multiple
    assert part.lead_time.tolist() == some.lead_time[lanes.to].tolist()
    assert part.economics.holding.tolist() == costs.holding[lanes.to].tolist()


def test_terms_nobody_said_are_none_and_units_and_shares_add_up_to_what_is_left() -> None:
    lanes = lanes_of(rows(FAR | {"moq": None, "order_multiple": None}))
    assert {name: of.tolist() for name, of in lots_of(lanes).items()} == {
        "moq": [0.0, 0.0],
        "order_multiple": [1.0, 1.0],
    }
    assert lanes["share"].to_list() == [0.6, 0.4]
    # more than all is agreed with the others: nothing is left for the usual one
    over = rows(FAR | {"share": 0.7}, FAR | {"from_id": "ELSE", "share": 0.5})
    assert lanes_of(over)["share"].to_list() == [0.0, 0.7, 0.5]
    assert (
        shares_in_words(lanes, np.array([12.0, 7.5]))
        == ["12 from NEAR (share 60 %), 7.5 from FAR (share 40 %)"] * 2
    )
    alone = pl.DataFrame([ROW])
    assert shares_in_words(alone, np.ones(1)) == [""]
    assert with_other_sources(alone, pl.DataFrame(schema=alone.schema)).equals(alone)


def test_whole_units_add_up_to_the_need_and_one_unit_comes_from_the_largest_share() -> None:
    lanes = Lanes(np.array([0, 0, 0]), np.array([0.3, 0.5, 0.2]), 1)
    lots = lanes.lots(np.zeros(3), np.ones(3))
    assert lanes.split(np.array([1.0]), lots).tolist() == [0, 1, 0]
    assert lanes.split(np.array([100.0]), lots).tolist() == [30, 50, 20]
    parts = np.array([lanes.split(np.array([float(need)]), lots) for need in range(1, 41)])
    assert parts.sum(axis=1).tolist() == list(range(1, 41))
    # over orders of many sizes no source has more than was agreed
    assert parts.sum(axis=0) / parts.sum() == pytest.approx([0.3, 0.5, 0.2], abs=0.02)


def test_an_order_of_each_source_in_its_own_lots_at_its_own_price_and_time() -> None:
    made = planned(rows(FAR))
    near, far = made.lines
    whole = float(made.explanations["quantity"][0])
    assert near.quantity + far.quantity == whole
    assert far.quantity % 12 == 0 and near.quantity == round(0.6 * near_need(made))
    assert (near.unit_cost, far.unit_cost) == (5.0, 4.0)
    assert (near.due_on, far.due_on) == (STARTS[1], STARTS[3])
    assert far.intent_key == f"{near.intent_key}|also from FAR"
    for line in made.lines:
        assert math.fsum(line.parts.values()) == line.quantity
        said = f"{near.quantity:g} from NEAR (share 60 %), {far.quantity:g} from FAR (share 40 %)"
        assert f"Shared out as agreed: {said}." in line.reason
    assert near.parts["agreed_share"] == -far.quantity
    mean = (near.value + far.value) / whole
    assert made.explanations["unit_cost"][0] == pytest.approx(mean)


def near_need(made: Plan) -> float:
    """What the rule asked for, before packs."""
    parts = made.lines[0].parts
    before = {name: n for name, n in parts.items() if name not in ("rounding", "agreed_share")}
    return sum(before.values())


def test_stock_has_to_last_until_the_slowest_source_brings_its_part() -> None:
    alone, shared = planned(rows()), planned(rows(FAR))
    assert alone.explanations["window"][0] == 2 and shared.explanations["window"][0] == 4
    assert sum(sent(shared).values()) > sum(sent(alone).values())


def test_what_the_planner_sets_is_shared_out_too() -> None:
    fixed = Override("quantity", 100.0, "a tender", {"item_id": "tea"})
    assert sent(planned(rows(FAR), overrides=[fixed])) == {"NEAR": 60.0, "FAR": 48.0}


def test_a_limit_on_one_source_cuts_its_own_order_alone() -> None:
    free = sent(planned(rows(FAR)))
    limit = Constraint("budget of FAR", 4.0 * 12, "value", {"from_id": "FAR"})
    assert sent(planned(rows(FAR), constraints=[limit])) == free | {"FAR": 12.0}


def test_a_source_below_its_least_order_waits_alone_or_is_raised() -> None:
    free = sent(planned(rows(FAR)))
    made = planned(rows(FAR), minimums=[SupplierMinimum("FAR", 1e6)])
    assert sent(made) == {"NEAR": free["NEAR"]}
    assert made.exceptions["kind"].to_list() == ["below_supplier_minimum"]


def test_an_agreed_share_is_not_given_to_whoever_is_cheaper() -> None:
    frame = rows(FAR)
    made = planned(frame)
    terms = pl.DataFrame(
        {
            "item_id": "tea",
            "supplier_id": ["NEAR", "FAR"],
            "lead_time_days": [7.0, 21.0],
            "moq": 0.0,
            "order_multiple": 1.0,
            "from_quantity": 0.0,
            "unit_cost": [50.0, 0.1],
        }
    )
    lanes = ("from_id", "to_id", "item_id", "mode", "transit_days", "freight_per_kg")
    nowhere = pl.DataFrame(schema=dict.fromkeys(lanes, pl.String))
    nobody = dict.fromkeys(("kind", "from_id", "location_id"), pl.String)
    past = dict.fromkeys(("promised_days", "days"), pl.Float64) | {
        "is_open": pl.Boolean,
        "ordered_at": pl.Datetime,
    }
    buyer = Buyer(
        rows=frame,
        logistics=Logistics.of(nowhere, terms, 7.0),
        price_breaks=terms.rename({"supplier_id": "from_id"}),
        past=pl.DataFrame(schema=nobody | past),
        period_starts=STARTS,
        unmet="backlog",
        limits=[],
        settled=set(),
    )
    assert buyer.choose(made) == made.lines


def test_rows_with_one_source_are_left_as_they_are() -> None:
    frame = rows()
    assert lanes_of(frame) is frame and Lanes.of(frame) is None and Terms.of(frame).lanes is None
    assert [line.occasion for line in planned(frame).lines] == [""]


def test_rows_without_other_sources_stay_among_those_that_have_them() -> None:
    two = pl.DataFrame([ROW | {"item_id": "pot"}, ROW])
    others = pl.DataFrame([FAR], schema=two.schema | {"share": pl.Float64})
    found = with_other_sources(two, others)
    assert found["item_id"].to_list() == ["pot", "tea"]
    assert found["share"].to_list() == [1.0, 0.6]
    assert found["also_from"].list.len().fill_null(0).to_list() == [0, 1]
    assert lanes_of(found)["from_id"].to_list() == ["NEAR", "NEAR", "FAR"]
