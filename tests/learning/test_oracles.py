"""The exact optima, against tables others have published and against each other."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from scipy.stats import norm

from models.domain import Economics
from models.learning import bounds, demands, oracles, serial
from models.learning.problems import CASES, Problem, tree
from models.twin.network import Network
from orchestration.app import gap_table

#: Zipkin 2008, table 3: Poisson demand of mean 5, h = 1; by lead time the cost for p = 4, 9, 19, 39.
ZIPKIN = {
    1: (4.04, 5.44, 6.68, 7.84),
    2: (4.40, 6.09, 7.66, 9.11),
    3: (4.60, 6.53, 8.36, 10.04),
    4: (4.73, 6.84, 8.89, 10.79),
}
#: Zheng and Federgruen 1991: Poisson, h = 1, p = 9, K = 64, no lead time; mean: s, S, cost.
ZHENG_FEDERGRUEN = {
    10: (6, 40, 35.022),
    15: (10, 49, 42.698),
    20: (14, 62, 49.173),
    21: (15, 65, 50.406),
    22: (16, 68, 51.632),
    23: (17, 52, 52.757),
    25: (19, 56, 54.262),
}
#: Serial systems as others report them, of demand N(5, 2) that may be negative: (L, p): cost.
SERIAL = {(1, 4): 6.92, (3, 4): 8.23, (4, 9): 10.76, (4, 39): 13.94}


@pytest.mark.parametrize(
    ("lead_time", "shortage", "published"),
    [
        (lead, shortage, cost)
        for lead, costs in ZIPKIN.items()
        for shortage, cost in zip((4, 9, 19, 39), costs, strict=True)
    ],
)
def test_lost_sales_cost_what_zipkin_published(
    lead_time: int, shortage: int, published: float
) -> None:
    found = oracles.lost_sales(demands.poisson(5), lead_time, 1, shortage)
    assert round(found.cost, 2) == published
    assert found.slack <= oracles.TOLERANCE


def test_no_policy_in_the_state_space_is_cheaper_than_the_optimum() -> None:
    pmf = demands.geometric(5)
    best = oracles.lost_sales(pmf, 2, 1, 9)
    again = oracles.lost_sales(pmf, 2, 1, 9, orders=best.orders)
    assert again.cost == pytest.approx(best.cost, abs=1e-4)
    random = np.random.default_rng(0)
    for _ in range(5):
        moved = np.clip(best.orders + random.integers(-1, 2, best.orders.shape), 0, None)
        moved = np.minimum(moved, best.orders.shape[1] - 1)
        assert oracles.lost_sales(pmf, 2, 1, 9, orders=moved).cost >= best.cost - 1e-4


@pytest.mark.parametrize(("mean", "published"), ZHENG_FEDERGRUEN.items())
def test_the_reorder_point_is_the_one_zheng_and_federgruen_published(
    mean: int, published: tuple[int, int, float]
) -> None:
    point, level, cost = oracles.s_S(demands.poisson(mean), 0, 1, 9, 64)
    assert (point, level, round(cost, 3)) == published


@pytest.mark.parametrize("lead_time", [0, 1, 4])
@pytest.mark.parametrize("pmf", [demands.poisson(4), demands.geometric(3)], ids=["poisson", "geom"])
def test_value_iteration_under_backlog_agrees_with_the_closed_forms(
    lead_time: int, pmf: np.ndarray
) -> None:
    level, cost = oracles.base_stock(pmf, lead_time, 1, 9)
    found = oracles.backlog(pmf, lead_time, 1, 9)
    assert found.cost == pytest.approx(cost, abs=1e-4)
    at_level = level - found.lowest
    assert (found.orders[:at_level] == at_level - np.arange(at_level)).all()
    point, top, fixed = oracles.s_S(pmf, lead_time, 1, 9, 30)
    iterated = oracles.backlog(pmf, lead_time, 1, 9, 30)
    assert iterated.cost == pytest.approx(fixed, abs=1e-4)
    assert iterated.orders[point - iterated.lowest] == top - point
    assert iterated.orders[point + 1 - iterated.lowest] == 0


@pytest.mark.parametrize(("case", "published"), SERIAL.items())
def test_chains_cost_what_others_report(case: tuple[int, int], published: float) -> None:
    """A sure 15 units more a period change no cost, and keep demand above 0."""
    step = 0.05
    grid = np.arange(int(40 / step) + 1) * step
    pmf = np.diff(norm.cdf(grid + step / 2, 20, 2), prepend=0.0)
    lead, shortage = case
    found = serial.clark_scarf(
        pmf / pmf.sum(), (lead, 3, 4, 2), (1, 0.5, 0.2, 0.1), shortage, step=step
    )
    assert round(found.cost, 2) == published


def test_a_chain_of_one_station_is_a_base_stock_problem() -> None:
    pmf = demands.poisson(5)
    level, cost = oracles.base_stock(pmf, 3, 1, 19)
    found = serial.clark_scarf(pmf, (3,), (1.0,), 19)
    assert found.cost == pytest.approx(cost, abs=1e-6)
    assert found.levels.tolist() == [level]


def test_the_clairvoyant_finds_the_cheapest_set_of_order_periods() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        demand = random.integers(0, 6, 6).astype(float)
        assert oracles.clairvoyant(demand, 0.7, 5.0) == pytest.approx(_by_hand(demand, 0.7, 5.0))
    assert oracles.clairvoyant(demand, 1.0, 0.0) == 0.0


def _by_hand(demand: np.ndarray, holding: float, order_cost: float) -> float:
    costs = []
    for chosen in itertools.product([False, True], repeat=demand.size):
        since, cost = None, 0.0
        for t, (orders, units) in enumerate(zip(chosen, demand, strict=True)):
            since = t if orders else since
            cost += order_cost * orders
            if units:
                cost += np.inf if since is None else holding * units * (t - since)
        costs.append(cost)
    return min(costs)


@pytest.mark.parametrize(
    "pmf", [[0.5, 0.6], [-0.1, 1.1], [np.nan, 1.0], []], ids=["sum", "negative", "nan", "none"]
)
def test_probabilities_that_are_none_are_refused(pmf: list[float]) -> None:
    with pytest.raises(ValueError, match="demand"):
        oracles.lost_sales(np.array(pmf), 1, 1, 9)


def test_a_problem_too_large_to_enumerate_is_refused() -> None:
    with pytest.raises(ValueError, match="too many to enumerate"):
        oracles.lost_sales(demands.poisson(60), 4, 1, 9)


def one_shop(unmet: Literal["lost", "backlog"], holding: float) -> Problem:
    """A warehouse (lead time 3) that supplies a single shop (lead time 2, p = 19)."""
    nothing = np.zeros(2)
    network = Network(
        np.array([3, 2]),
        Economics(np.array([holding, 1.0]), np.array([0.0, 19.0]), nothing, nothing, unmet=unmet),
        supplied_from=np.array([-1, 0]),
    )
    law = demands.Law.of(demands.negative_binomial(4, np.sqrt(8)))
    return tree("one-shop", network, [None, law])


def test_with_a_single_shop_the_bound_is_the_chains_optimum() -> None:
    """Nothing can be shared out wrongly there, so the relaxation relaxes nothing."""
    law = demands.negative_binomial(4, np.sqrt(8))
    chain = serial.clark_scarf(law, (2, 3), (1.0, 0.5), 19.0)
    assert bounds.lower_bound(one_shop("backlog", 0.5)) == pytest.approx(chain.cost, abs=1e-6)
    alone = oracles.lost_sales(law, 2, 1.0, 19.0)
    assert bounds.lower_bound(one_shop("lost", 0.5)) == pytest.approx(alone.cost, abs=1e-6)


def test_nothing_measured_lies_below_the_bound_and_a_chain_has_none() -> None:
    found = gap_table.report()
    assert {row["problem"] for row in found["bounds"]} == {"retailers-lost", "retailers-backlog"}
    assert all(row["above"] > 0 for row in found["bounds"])
    with pytest.raises(ValueError, match="one warehouse"):
        bounds.lower_bound(CASES["serial-L1-p4"]())
