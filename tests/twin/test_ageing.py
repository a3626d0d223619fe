"""Goods that spoil inside a simulation: what is thrown away, when, and what it costs. That the
simulator does it as plain loops would, lot by lot, is in test_general_networks.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats, Situation
from models.replenishment.policies import CappedBaseStock
from models.twin.ageing import Shelf
from models.twin.network import Network
from models.twin.resilience import time_to_survive
from models.twin.simulator import SimulationResult, simulate
from tests.twin.test_general_networks import Probe, cases, random_case, spoiling_cases


class Every:
    """Orders so much in every period."""

    name = "every"

    def __init__(self, units: Floats) -> None:
        self.units = units

    def order(self, situation: Situation) -> Floats:
        return np.where(situation.backlog >= 0, self.units, 0.0)


def shop(count: int = 1) -> Network:
    costs = (np.full(count, value) for value in (0.1, 3.0, 2.0, 0.0))
    return Network(np.ones(count, dtype=np.int64), Economics(*costs))


def lived(
    network: Network, units: float, demand: Floats, stock: float, **given: object
) -> SimulationResult:
    """The same number of units ordered everywhere in every period."""
    count = network.size
    policy = Every(np.full(count, units))
    return simulate(network, policy, demand, np.full(count, stock), **given)  # type: ignore[arg-type]


def test_what_nobody_bought_in_time_is_gone_at_the_end_of_its_last_period() -> None:
    # 5 units come in every period from the second on and keep for 2; 3 a period are asked for.
    done = lived(shop(), 5, np.full((1, 6), 3.0), 4, shelf=Shelf(life=np.array([2.0])))
    # Sold oldest first: of the first 4, 3 in period 0 and 1 in period 1, with 2 of the next 5;
    # then 3 of each five in the period after its arrival, or in that.
    assert done.sold.tolist() == [[3.0] * 6]
    assert done.on_hand.tolist() == [[1.0, 3.0, 5.0, 5.0, 5.0, 5.0]]
    assert done.spoiled.tolist() == [[0.0, 0.0, 0.0, 2.0, 2.0, 2.0]]
    assert done.waste.sum() == 2.0 * 6 and done.total_cost == pytest.approx(done.cost.sum(axis=1))
    assert done.cost == pytest.approx(done.holding + done.shortage + done.ordering + done.waste)


def test_lots_with_a_date_spoil_on_it_and_the_rest_is_fresh() -> None:
    lots = np.array([[0.0, 6.0, 1.0]])
    nothing = np.zeros((1, 5))
    shelf = Shelf(life=np.array([4.0]), lots=lots)
    assert lived(shop(), 0, nothing, 10, shelf=shelf).spoiled.tolist() == [[0, 6, 1, 3, 0]]
    # less is there than was counted in lots: the oldest are gone
    assert lived(shop(), 0, nothing, 3, shelf=shelf).spoiled.tolist() == [[0, 2, 1, 0, 0]]
    # a recall takes the oldest
    recalled = np.array([[0.5, 0, 0, 0, 0]])
    done = lived(shop(), 0, nothing, 10, shelf=shelf, withdrawn=recalled)
    assert done.withdrawn.sum() == 5 and done.spoiled.tolist() == [[0, 1, 1, 3, 0]]


def chain(life: Floats, lots: Floats | None = None) -> SimulationResult:
    """A warehouse with 9 units that three shops take at once, 2, 3 and 1 of them."""
    costs = (np.full(4, value) for value in (0.1, 3.0, 2.0, 0.0))
    network = Network(np.array([1, 1, 1, 1]), Economics(*costs), np.array([-1, 0, 0, 0]), review=9)
    return simulate(
        network,
        Every(np.array([0.0, 2, 3, 1])),
        np.zeros((4, 6)),
        np.array([9.0, 0, 0, 0]),
        shelf=Shelf(life=life, lots=np.zeros((0, 0)) if lots is None else lots),
    )


def test_goods_keep_their_date_on_the_way_and_get_no_later_one() -> None:
    keeps = np.inf
    lots = np.zeros((4, 6))
    lots[0, [0, 3, 4]] = 1, 4, 4
    done = chain(np.full(4, keeps), lots)
    # lanes in turn: shop 1 gets the unit of date 0 and one of 3, shop 2 three of 3, shop 3 one of 4
    assert done.spoiled[0].tolist() == [0, 0, 0, 0, 3, 0]
    # the unit of date 0 arrives in period 1 and is thrown away then
    assert done.spoiled[1].tolist() == [0, 1, 0, 1, 0, 0]
    assert done.spoiled[2].tolist() == [0, 0, 0, 3, 0, 0]
    assert done.spoiled[3].tolist() == [0, 0, 0, 0, 1, 0]
    # a shop where goods keep for two periods only
    short = chain(np.array([keeps, keeps, 2.0, keeps]), lots)
    assert short.spoiled[2].tolist() == [0, 0, 3, 0, 0, 0]


@settings(max_examples=40, deadline=None)
@cases
def test_where_nothing_can_spoil_not_a_bit_changes(
    seed: int, waits: float, is_random: bool, may_cross: bool
) -> None:
    case = random_case(seed, waits, is_random, may_cross)
    count, periods = case.network.size, case.demand.shape[1]
    lots = np.zeros((count, periods + 2))
    lots[:, periods:] = 3.0  # a date after the last period
    long = Shelf(life=np.full(count, periods + 1.0), lots=lots)
    plain = case.run(Probe(case.level))
    done = replace(case, shelf=long).run(Probe(case.level))
    for name, book in plain.books.items():
        assert np.array_equal(done.books[name], book), name
    assert "spoiled" not in done.books
    assert np.array_equal(done.total_cost, plain.total_cost)


@settings(max_examples=40, deadline=None)
@spoiling_cases
def test_money_adds_up_with_what_spoils(
    seed: int, waits: float, is_random: bool, may_cross: bool, spoils: bool
) -> None:
    case = random_case(seed, waits, is_random, may_cross)
    case = case.spoiling if spoils else case
    done, costs = case.run(Probe(case.level)), case.network.economics
    assert done.total_cost == pytest.approx(done.cost.sum(axis=1))
    booked = done.holding + done.shortage + done.ordering
    assert done.cost - booked == pytest.approx(costs.unit_cost[:, None] * done.spoiled)
    assert (done.spoiled >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_one_shop_spoils_no_less_and_sells_no_more_where_goods_keep_less_long(
    seed: int, life: int
) -> None:
    random = np.random.default_rng(seed)
    demand = random.poisson(3, (4, 20)).astype(float)
    short, long = (
        lived(shop(4), 3, demand, 5, shelf=Shelf(life=np.full(4, float(periods))))
        for periods in (life, life + 1)
    )
    assert (short.spoiled.cumsum(axis=1) >= long.spoiled.cumsum(axis=1) - 1e-9).all()
    assert (short.sold.cumsum(axis=1) <= long.sold.cumsum(axis=1) + 1e-9).all()


def test_base_stock_throws_away_what_a_long_run_of_luck_says() -> None:
    # Goods of one period are a newsvendor's: whatever is not sold is thrown away.
    demand = np.random.default_rng(1).poisson(5, (300, 40)).astype(float)
    network = replace(shop(300), lead_time=np.zeros(300, dtype=np.int64))
    done = simulate(
        network,
        CappedBaseStock(level=np.full(300, 7.0), cap=np.inf),
        demand,
        np.zeros(300),
        shelf=Shelf(life=np.full(300, 1.0)),
    )
    assert np.array_equal(done.spoiled, np.maximum(7 - demand, 0)) and not done.on_hand.any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"life": np.array([np.nan])}, "0 periods or more"),
        ({"life": np.array([-1.0])}, "0 periods or more"),
        ({"life": np.ones(1), "lots": np.zeros((2, 3))}, "2 rows for 1 nodes"),
        ({"life": np.ones(1), "lots": np.full((1, 3), -1.0)}, "0 or more"),
        ({"life": np.ones(2)}, "2 lives for 1 nodes"),
    ],
)
def test_lives_and_lots_that_cannot_be_meant_are_refused(
    given: dict[str, Floats], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lived(shop(), 1, np.zeros((1, 3)), 1, shelf=Shelf(**given))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_what_expires_where_nobody_buys_is_what_the_simulator_throws_away(seed: int) -> None:
    case = random_case(seed, 0.0, False, False).spoiling
    assert case.shelf is not None
    count, periods = case.demand.shape
    alone = Network(np.ones(count, dtype=np.int64), case.network.economics)
    due = case.network.by_node(case.pipeline)
    done = simulate(
        alone,
        Every(np.zeros(count)),
        np.zeros((count, periods)),
        case.on_hand,
        pipeline=np.pad(due, ((0, 0), (0, 1))),
        shelf=case.shelf,
    )
    # what comes in period k is due in column k of a pipeline
    assert case.shelf.expiring(case.on_hand, due, periods) == pytest.approx(done.spoiled)


def survival(lots: Floats, life: float, due: float = 0.0) -> float:
    """Periods that a shop with 10 units lasts without its supplier, 2 a period asked for."""
    rows = pl.DataFrame({"location_id": ["A"], "from_id": ["S"], "kind": ["purchase"]})
    demand = np.full((1, 3, 12), 2.0)
    comes = np.array([[0.0, 0, due]])
    shelf = Shelf(life=np.array([life]), lots=lots)
    found = time_to_survive(shop(), rows, np.array([10.0]), comes, demand, shelf)
    plain = time_to_survive(shop(), rows, np.array([10.0]), comes, demand)
    assert found["periods"][0] <= plain["periods"][0]
    return float(found["periods"][0])


def test_stock_that_spoils_does_not_help_to_survive() -> None:
    nothing, keeps = np.zeros((0, 0)), np.inf
    assert survival(nothing, keeps) == 5
    # all but two units spoil after the second period: with four sold by then
    assert survival(np.array([[0.0, 8.0]]), keeps) == 3
    # an order of two in the third period lasts for one more
    assert survival(np.array([[0.0, 8.0]]), keeps, due=2.0) == 4
    # undated goods keep for three periods from now, what comes for three from its arrival
    assert survival(nothing, 3.0) == 3
    assert survival(nothing, 3.0, due=4.0) == 5
