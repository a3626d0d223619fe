"""Which policy is better, by how much in money, and whether the difference could be luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.domain import Floats, Integers
from models.twin.simulator import SimulationResult


@dataclass(frozen=True)
class PairedDifference:
    """Cost of one policy less cost of another on the same demand, with a 95 % block bootstrap
    interval; negative is cheaper.

    difference, lower, upper: money over all nodes and periods. ratio, ratio_lower, ratio_upper:
    cost of the policy over the other's.
    """

    policy: str
    against: str
    difference: float
    lower: float
    upper: float
    ratio: float
    ratio_lower: float
    ratio_upper: float

    @property
    def is_better(self) -> bool:
        """True where the whole interval is below zero."""
        return self.upper < 0


def paired_difference(
    policy: str,
    against: str,
    cost: Floats,
    cost_against: Floats,
    *,
    blocks: Integers | None = None,
    period_block: int | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two policies' costs (N, T) item by item and bootstrap the sum.

    blocks: (N,) label of the rows that belong together (an item at all its locations); left out,
    each row is its own block.
    period_block: also resample blocks of so many periods in a row (circular), for short histories
    whose luck is in the weeks and not in the items.
    """
    labels = (
        np.arange(cost.shape[0]) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    )
    size = int(labels.max()) + 1
    ours, theirs = np.zeros((size, cost.shape[1])), np.zeros((size, cost.shape[1]))
    np.add.at(ours, labels, cost)
    np.add.at(theirs, labels, cost_against)
    random = np.random.default_rng(seed)
    by_block = random.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float64)
    by_period = _period_weights(random, cost.shape[1], period_block, draws)
    sums_ours = ((by_block @ ours) * by_period).sum(axis=1)
    sums_theirs = ((by_block @ theirs) * by_period).sum(axis=1)
    lower, upper = np.quantile(sums_ours - sums_theirs, [0.025, 0.975])
    ratios = np.divide(sums_ours, sums_theirs, out=np.ones(draws), where=sums_theirs > 0)
    total, total_against = float(cost.sum()), float(cost_against.sum())
    return PairedDifference(
        policy,
        against,
        total - total_against,
        float(lower),
        float(upper),
        total / total_against if total_against > 0 else 1.0,
        *(float(q) for q in np.quantile(ratios, [0.025, 0.975])),
    )


def champion(
    costs: Mapping[str, Floats],
    incumbent: str,
    *,
    blocks: Integers | None = None,
    period_block: int | None = None,
    seed: int = 0,
) -> tuple[str, dict[str, PairedDifference]]:
    """The policy to use next: the incumbent, unless another is cheaper with an interval that
    excludes zero; then the cheapest such.

    costs: (N, T) by policy name, on the same demand. Returns the champion and every rival's
    difference to the incumbent.
    """
    if incumbent not in costs:
        raise ValueError(
            f"the incumbent {incumbent!r} was not replayed; policies are {', '.join(sorted(costs))}"
        )
    rivals = {
        name: paired_difference(
            name,
            incumbent,
            cost,
            costs[incumbent],
            blocks=blocks,
            period_block=period_block,
            seed=seed,
        )
        for name, cost in costs.items()
        if name != incumbent
    }
    better = [name for name, difference in rivals.items() if difference.is_better]
    return min(better, key=lambda name: (rivals[name].difference, name), default=incumbent), rivals


def scorecard(results: Mapping[str, SimulationResult], champion_name: str) -> dict[str, Any]:
    """The replay's result as data: {champion, policies: {name: costs, service, stock, orders,
    bullwhip, by_period}}."""
    return {
        "champion": champion_name,
        "policies": {name: _card(result) for name, result in results.items()},
    }


def _card(result: SimulationResult) -> dict[str, Any]:
    is_parent = result.network.is_parent
    names = ("holding", "shortage", "ordering", "waste", "freight")
    by_period = [
        {
            "period": t,
            **{f"{name}_cost": float(getattr(result, name)[:, t].sum()) for name in names},
            "total_cost": float(result.cost[:, t].sum()),
            "on_hand": float(result.on_hand[:, t].sum()),
            "ordered": float(result.shipped[:, t].sum()),
            "lost": float(result.lost[:, t].sum()),
        }
        for t in range(result.demand.shape[1])
    ]
    return {
        **{f"{name}_cost": float(getattr(result, name).sum()) for name in names},
        "total_cost": float(result.cost.sum()),
        "fill_rate": result.fill_rate,
        "mean_stock": float(result.on_hand.sum(axis=0).mean()),
        "order_lines": int((result.shipped > 0).sum()),
        "ordered_units": float(result.shipped.sum()),
        "purchase_value": float(result.purchase_value.sum()),
        "bullwhip": {
            "location": _number(result.bullwhip(~is_parent)),
            "distribution_centre": _number(result.bullwhip(is_parent)) if is_parent.any() else None,
        },
        "by_period": by_period,
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _period_weights(
    random: np.random.Generator, periods: int, block: int | None, draws: int
) -> Floats:
    if block is None or periods <= block:
        return np.ones((draws, periods))
    starts = random.integers(0, periods, size=(draws, -(-periods // block)))
    picked = ((starts[:, :, None] + np.arange(block)) % periods).reshape(draws, -1)[:, :periods]
    weights = np.zeros((draws, periods))
    np.add.at(weights, (np.arange(draws)[:, None], picked), 1.0)
    return weights
