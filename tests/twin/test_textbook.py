"""Textbook systems whose optimal levels and costs are published, in the twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from models.domain import Economics, Floats, Situation
from models.replenishment.policies import CappedBaseStock
from models.twin.network import Network
from models.twin.simulator import simulate

COPIES, WARM = 400, 50


@dataclass(frozen=True)
class ReorderUpTo:
    """Order up to S as soon as the position is at s or below."""

    s: float
    S: float
    name: str = "reorder_up_to"

    def order(self, situation: Situation) -> Floats:
        at = situation.position
        return np.where(at <= self.s, self.S - at, 0.0)


def network(
    lead: list[int], holding: list[float], shortage: float, order_cost: float = 0.0
) -> Network:
    """Copies of a chain, upstream first, under backlog; only the last node of a chain sells."""
    size = len(lead)
    first = np.repeat(np.arange(COPIES) * size, size)
    above = np.tile(np.arange(size) - 1, COPIES)
    economics = Economics(
        np.tile(holding, COPIES),
        np.full(size * COPIES, shortage),
        np.ones(size * COPIES),
        np.full(size * COPIES, order_cost),
        "backlog",
    )
    sources = np.where(above < 0, -1, first + above)
    return Network(
        np.tile(lead, COPIES), economics, sources, order_multiple=np.zeros(size * COPIES)
    )


def test_a_newsvendor_pays_what_the_textbook_says() -> None:
    """Normal(50, 8), h = 0.18, p = 0.70: S* = 56.6, cost 1.9976 a period. Snyder and Shen,
    Fundamentals of Supply Chain Theory, 2nd ed., example 4.3."""
    demand = np.random.default_rng(0).normal(50, 8, (COPIES, 400)).clip(0)
    costs = {
        level: simulate(
            network([0], [0.18], 0.70),
            CappedBaseStock(level=level, cap=np.inf),
            demand,
            np.full(COPIES, level),
        ).cost.mean()
        for level in (54.6, 56.604, 58.6)
    }
    assert costs[56.604] == pytest.approx(1.9976, rel=0.01)
    assert costs[56.604] == min(costs.values())


@pytest.mark.parametrize(
    ("mean", "s", "S", "cost"), [(10, 6, 40, 35.022), (15, 10, 49, 42.698), (20, 14, 62, 49.173)]
)
def test_s_S_systems_cost_what_was_published(mean: int, s: int, S: int, cost: float) -> None:
    """Poisson demand, K = 64, h = 1, p = 9, backlog, no lead time. Zheng and Federgruen, Operations
    Research 39(4), 1991, table I."""
    demand = np.random.default_rng(mean).poisson(mean, (COPIES, 800)).astype(float)
    result = simulate(
        network([0], [1.0], 9.0, 64.0), ReorderUpTo(s, S), demand, np.full(COPIES, float(S))
    )
    assert result.cost[:, WARM:].mean() == pytest.approx(cost, rel=0.005)


def test_a_serial_chain_costs_what_clark_and_scarf_say() -> None:
    """Three stages, Normal(5, 1), echelon levels 22.70, 12.01 and 6.49: 47.65 a period, goods
    between stages included. Snyder and Shen, example 6.1. The book's last stage waits a period for
    its goods, which our clock has on the shelf when demand comes: their 5 units at 4 are added."""
    place = network([2, 1, 0], [2.0, 4.0, 7.0], 37.12)
    demand = np.zeros((3 * COPIES, 600))
    demand[2::3] = np.random.default_rng(1).normal(5, 1, (COPIES, 600)).clip(0)
    levels = np.tile([22.70, 12.01, 6.49], COPIES)
    opening = np.tile([10.69, 5.52, 6.49], COPIES)

    def cost(level: Floats) -> float:
        result = simulate(place, CappedBaseStock(level=level, cap=np.inf), demand, opening)
        on_the_way = 2.0 * result.on_order[1::3, WARM:].sum() / COPIES
        booked = result.cost[:, WARM:].sum() / COPIES
        return float((booked + on_the_way) / (600 - WARM)) + 4.0 * 5.0

    best = cost(levels)
    assert best == pytest.approx(47.65, rel=0.003)
    for stage in range(3):
        for step in (-1.0, 1.0):
            moved = levels.copy()
            moved[stage::3] += step
            assert cost(moved) > best
