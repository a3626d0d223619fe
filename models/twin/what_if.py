"""What a scenario changes: the same futures with it and without it, compared one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models.domain import Floats
from models.twin.network import Network
from models.twin.scenarios import Future
from models.twin.simulator import SimulationResult

#: The share of futures that a stated range covers, from the lower to the upper end.
RANGE = (0.025, 0.975)
#: What is compared in total, money and units over all periods.
TOTALS = ("cost", "margin", "freight", "demand", "sold", "lost", "bought", "moved")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one future, by row (N,): money and units over all periods; stock at the end of
    each period, (N, T).

    cost: holding, shortage and ordering, which a policy is judged by. margin: what is sold, at its
    price less what it takes to replace it when it is sold, less the cost of holding stock there.
    freight: money for what was sent, with its fuel. bought: units sent by suppliers; moved: units
    sent between places.
    """

    cost: Floats
    margin: Floats
    freight: Floats
    demand: Floats
    sold: Floats
    lost: Floats
    bought: Floats
    moved: Floats
    stock: Floats


def unit_cost_at_shelf(network: Network, future: Future) -> Floats:
    """What a unit at each node costs by the way it comes, from the supplier on, by period, (N, T).
    network: a tree.
    """
    own = future.tariffs.total
    cost, above = own.copy(), network.supplied_from.copy()
    while (above >= 0).any():
        inner = above >= 0
        cost[inner] += own[above[inner]]
        above[inner] = network.supplied_from[above[inner]]
    return cost


def outcome(network: Network, future: Future, result: SimulationResult, price: Floats) -> Outcome:
    """What became of a future. price: (N,) money a customer pays for a unit."""
    served = _served(result)
    earned = served * (price[:, None] - unit_cost_at_shelf(network, future))
    shipped = result.shipped.sum(axis=1)
    freight = result.shipped * (future.tariffs.freight + future.tariffs.fuel)
    return Outcome(
        cost=result.total_cost,
        margin=(earned - result.holding).sum(axis=1),
        freight=freight.sum(axis=1),
        demand=future.demand.sum(axis=1),
        sold=served.sum(axis=1),
        lost=result.lost.sum(axis=1),
        bought=np.where(network.supplied_from < 0, shipped, 0.0),
        moved=np.where(network.supplied_from < 0, 0.0, shipped),
        stock=result.on_hand,
    )


def _served(result: SimulationResult) -> Floats:
    """Units handed to customers by period, (N, T): what was asked for in time, and what was
    owed."""
    if result.network.economics.unmet == "lost":
        return result.sold
    return result.demand - np.diff(result.owed, axis=1, prepend=0.0)


def compare(base: Sequence[Outcome], changed: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """By measure its mean without and with the scenario, and the mean difference with the range of
    95 % of futures.

    base, changed: outcomes of the same futures in the same order. Adds fill_rate, the share of
    demand met from stock.
    """
    found = {}
    for name in TOTALS:
        without, with_it = (
            np.array([float(getattr(one, name).sum()) for one in outcomes])
            for outcomes in (base, changed)
        )
        found[name] = _difference(without, with_it)
    without, with_it = (
        np.array([1 - one.lost.sum() / max(one.demand.sum(), 1e-9) for one in outcomes])
        for outcomes in (base, changed)
    )
    found["fill_rate"] = _difference(without, with_it)
    return found


def by_row(rows: pl.DataFrame, base: Sequence[Outcome], changed: Sequence[Outcome]) -> pl.DataFrame:
    """Margin and sales of every item and lane that sells, before and after, the worst hit first.

    Columns: item_id, location_id, from_id, sold and lost before and after (mean units),
    margin_before, margin_after (mean money), margin_difference with lower and upper (95 % of
    futures), unit_margin_before and after, turns_unprofitable.
    """
    keys = rows.select("item_id", "location_id", "from_id")
    means = {
        f"{name}_{word}": np.mean([getattr(one, name) for one in outcomes], axis=0)
        for name in ("sold", "lost", "margin")
        for word, outcomes in (("before", base), ("after", changed))
    }
    differences = np.array([b.margin - a.margin for a, b in zip(base, changed, strict=True)])
    lower, upper = np.quantile(differences, RANGE, axis=0)
    table = keys.with_columns(
        **{name: pl.Series(values) for name, values in means.items()},
        margin_difference=pl.Series(differences.mean(axis=0)),
        lower=pl.Series(lower),
        upper=pl.Series(upper),
        demand=pl.Series(np.mean([one.demand for one in base], axis=0)),
    )
    per_unit = [
        (pl.col(f"margin_{word}") / pl.col(f"sold_{word}")).alias(f"unit_margin_{word}")
        for word in ("before", "after")
    ]
    turns = (pl.col("margin_before") > 0) & (pl.col("margin_after") <= 0)
    sells = table.filter(pl.col("demand") > 0).drop("demand")
    return sells.with_columns(*per_unit, turns_unprofitable=turns).sort(
        "margin_difference", "item_id", "location_id"
    )


def stock_depth(
    rows: pl.DataFrame, starts: Sequence[Any], base: Sequence[Outcome], changed: Sequence[Outcome]
) -> pl.DataFrame:
    """Units in stock at each place at the end of each period, without and with the scenario.

    Columns: period_start, location_id, before, after (means), difference with lower and upper (95 %
    of futures).
    """
    tables = []
    places = rows["location_id"].to_numpy()
    for place in rows["location_id"].unique(maintain_order=True):
        here = places == place
        without, with_it = (
            np.array([one.stock[here].sum(axis=0) for one in outcomes])
            for outcomes in (base, changed)
        )
        lower, upper = np.quantile(with_it - without, RANGE, axis=0)
        tables.append(
            pl.DataFrame(
                {
                    "period_start": list(starts),
                    "location_id": place,
                    "before": without.mean(axis=0),
                    "after": with_it.mean(axis=0),
                    "difference": (with_it - without).mean(axis=0),
                    "lower": lower,
                    "upper": upper,
                }
            )
        )
    return pl.concat(tables)


def _difference(without: Floats, with_it: Floats) -> dict[str, float]:
    lower, upper = np.quantile(with_it - without, RANGE)
    return {
        "before": float(without.mean()),
        "after": float(with_it.mean()),
        "difference": float((with_it - without).mean()),
        "lower": float(lower),
        "upper": float(upper),
    }
