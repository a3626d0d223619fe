"""Costs that no policy of a warehouse and its shops can go below, from problems that are easier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.domain import Floats
from models.learning import demands
from models.learning.oracles import lost_sales, mismatch
from models.learning.problems import Problem


def lower_bound(problem: Problem) -> float:
    """What one warehouse and its shops cost a period at least, whatever is ordered.

    Lost sales: every shop on its own, its optimum with a warehouse that never runs out and holds
    for nothing. Backlog: goods at the shops may be shared out anew in every period (the balance
    relaxation: Federgruen and Zipkin, Management Science 30(1), 1984). Shops' demand is negative
    binomial with the problem's means and deviations. With all demand known in advance the cost
    would be 0, as an order itself costs nothing. Raises ValueError for any other network.
    """
    network, economics = problem.network, problem.network.economics
    shops = np.flatnonzero(network.supplied_from == 0)
    if shops.size != network.size - 1 or network.supplied_from[0] >= 0 or network.review > 1:
        raise ValueError(f"{problem.name}: only one warehouse with shops has this bound")
    laws = [
        demands.negative_binomial(problem.mean[shop], problem.deviation[shop]) for shop in shops
    ]
    lead, held, missed = network.lead_time, economics.holding, economics.shortage
    if economics.unmet == "lost":
        own = (
            lost_sales(law, int(lead[shop]), float(held[shop]), float(missed[shop])).cost
            for law, shop in zip(laws, shops, strict=True)
        )
        return float(sum(own))
    costs = [
        (demands.over(law, int(lead[shop]) + 1), float(held[shop]), float(missed[shop]))
        for law, shop in zip(laws, shops, strict=True)
    ]
    return _balanced(costs, _together(laws, int(lead[0])), float(held[0]))


def _together(laws: Sequence[Floats], periods: int) -> Floats:
    """Demand of all shops over so many periods, (D,)."""
    total = np.ones(1)
    for law in laws:
        total = np.convolve(total, demands.over(law, periods))
    return total


def _balanced(
    shops: Sequence[tuple[Floats, float, float]], coming: Floats, holding: float
) -> float:
    """The least of E R(y - D): R(x) shares out x units among shops (demand until the next share is
    sold, holding, shortage) or leaves them at the warehouse, D is demand until goods arrive."""
    least, most = -coming.size, max(law.size for law, _, _ in shops)
    levels = np.arange(least, most)
    gains, start = [], 0.0
    for law, held, missed in shops:
        cost = mismatch(law, levels, held, missed)
        start += float(cost[0]) - holding * least
        gains.append(np.diff(cost) - holding)
    # convex costs: the next unit goes where it saves most, or stays where it saves nothing
    steps = np.sort(np.concatenate(gains))
    shared = start + np.concatenate([[0.0], np.minimum(steps, 0.0).cumsum()])
    stock = least * len(shops) + np.arange(shared.size)
    cost = shared + holding * stock
    return float(np.convolve(cost, coming, mode="valid").min())
