"""What a scenario changes: the same futures with it and without it, compared one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from models.domain import Floats
from models.twin.event_effects import Future
from models.twin.network import Network
from models.twin.simulator import SimulationResult

#: The share of futures that a stated range covers, from the lower to the upper end.
RANGE = (0.025, 0.975)
#: What is compared in total, money and units over all periods.
TOTALS = (
    "cost",
    "margin",
    "freight",
    "cost_to_serve",
    "cash",
    "written_off",
    "spoiled",
    "demand",
    "sold",
    "lost",
    "bought",
    "moved",
    "co2_kg",
)
#: Two-sided 95 % of a normal distribution, for the interval of a mean over many futures.
Z = 1.96


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one future, by row (N,): money and units over all periods; by place and
    period, (P, T), stock at the end, units asked for and lost. By lane, (E,): what is sent.

    cost: holding, shortage, ordering and what spoils, which a policy is judged by. margin: what is
    sold, at its price less what it takes to replace it when it is sold, less the cost of holding
    stock there and of stock taken back or spoiled (written_off). spoiled: units that nobody bought
    in time, NaN where nothing can spoil. cost_to_serve: of margin, all but price and purchase
    price. freight: money for what was sent, with its fuel. cash: what customers pay less what is
    paid to buy and move goods, when these are handed over. bought: units sent by suppliers; moved:
    units sent between places. co2_kg: emitted by what was sent, NaN on lanes that do not say.
    lost_at: (N, T) units lost, and ordered_at: (E, D) units sent at each decision, for those
    futures that are looked at row by row.
    """

    cost: Floats
    margin: Floats
    freight: Floats
    cost_to_serve: Floats
    cash: Floats
    written_off: Floats
    spoiled: Floats
    demand: Floats
    sold: Floats
    lost: Floats
    bought: Floats
    moved: Floats
    co2_kg: Floats
    cash_so_far: Floats
    stock_at: Floats
    demand_at: Floats
    lost_at_place: Floats
    lost_at: Floats | None = None
    ordered_at: Floats | None = None

    @property
    def least_cash(self) -> float:
        """The lowest that cash since the first period falls to, money."""
        return float(min(self.cash_so_far.min(initial=0.0), 0.0))

    @property
    def fill_rate(self) -> float:
        """The share of demand met from stock; 1 where there was none."""
        asked = float(self.demand.sum())
        return 1 - float(self.lost.sum()) / asked if asked > 0 else 1.0


def unit_cost_at_shelf(network: Network, future: Future) -> Floats:
    """What a unit at each node costs by the way it comes, from the supplier on, by period, (N,
    T)."""
    return network.along_the_way(future.tariffs.total)


def outcome(
    network: Network,
    future: Future,
    result: SimulationResult,
    price: Floats,
    *,
    by_row: bool = True,
) -> Outcome:
    """What became of a future. price: (N,) money a customer pays for a unit. by_row: whether to
    keep where and when each row lost sales.
    """
    tariffs, served = future.tariffs, _served(result)
    at_shelf = unit_cost_at_shelf(network, future)
    moving = network.along_the_way(tariffs.freight + tariffs.fuel + tariffs.duty)
    written_off = (result.withdrawn + result.spoiled) * at_shelf
    nothing_spoils = np.full(network.size, np.nan)
    shipped = result.shipped.sum(axis=1)
    freight = network.by_node(result.shipped * (tariffs.freight + tariffs.fuel))
    revenue = served * price[:, None]
    margin = revenue - served * at_shelf - result.holding - written_off
    cash = revenue - network.by_node(result.shipped * tariffs.total)
    places = _places(future.rows[: network.size])
    return Outcome(
        cost=result.total_cost,
        margin=margin.sum(axis=1),
        freight=freight.sum(axis=1),
        cost_to_serve=(served * moving + result.holding + written_off).sum(axis=1),
        cash=cash.sum(axis=1),
        written_off=written_off.sum(axis=1),
        spoiled=result.spoiled.sum(axis=1) if "spoiled" in result.books else nothing_spoils,
        demand=future.demand.sum(axis=1),
        sold=served.sum(axis=1),
        lost=result.lost.sum(axis=1),
        bought=np.where(network.supplied_from < 0, shipped, 0.0),
        moved=np.where(network.supplied_from < 0, 0.0, shipped),
        co2_kg=shipped * tariffs.co2,
        cash_so_far=cash.sum(axis=0).cumsum(),
        stock_at=places @ result.on_hand,
        demand_at=places @ future.demand,
        lost_at_place=places @ result.lost,
        lost_at=result.lost.astype(np.float32) if by_row else None,
        ordered_at=result.shipped[:, :: network.review].astype(np.float32) if by_row else None,
    )


def places_of(rows: pl.DataFrame) -> list[str]:
    """The places in the order in which outcomes have them."""
    return rows["location_id"].unique(maintain_order=True).cast(pl.String).to_list()


def _places(rows: pl.DataFrame) -> csr_array:
    """Which rows lie at which place, (P, N)."""
    number = {name: k for k, name in enumerate(places_of(rows))}
    at = [number[name] for name in rows["location_id"].cast(pl.String)]
    shape = (len(number), rows.height)
    return csr_array((np.ones(rows.height), (at, np.arange(rows.height))), shape=shape)


def _served(result: SimulationResult) -> Floats:
    """Units handed to customers by period, (N, T): what was asked for in time, and what was
    owed."""
    if result.network.economics.waits == 0:
        return result.sold
    return result.demand - result.gone - np.diff(result.owed, axis=1, prepend=0.0)


def compare(base: Sequence[Outcome], changed: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """By measure its mean without and with the scenario, and the mean difference with two ranges:
    lower and upper hold 95 % of futures, mean_lower and mean_upper the mean with 95 % confidence.
    What no lane states, as what it emits, and what spoils where nothing can, is left out.

    base, changed: outcomes of the same futures in the same order. Adds fill_rate, the share of
    demand met from stock, and least_cash, the lowest that cash falls to.
    """
    found = {}
    for name in (*TOTALS, "fill_rate", "least_cash"):
        if np.isnan(getattr(base[0], name)).all():
            continue
        without, with_it = (
            np.array([float(np.nansum(getattr(one, name))) for one in outcomes])
            for outcomes in (base, changed)
        )
        found[name] = difference(without, with_it)
    return found


def by_row(rows: pl.DataFrame, base: Sequence[Outcome], changed: Sequence[Outcome]) -> pl.DataFrame:
    """Margin, cost to serve and sales of every item and lane that sells, before and after, the
    worst hit first.

    Columns: item_id, location_id, from_id, sold and lost before and after (mean units),
    margin_before, margin_after, cost_to_serve_before and after (mean money, each with its _lower
    and _upper, 95 % of futures), margin_difference with lower and upper (95 % of futures),
    cost_to_serve_difference with cost_to_serve_lower and upper, unit_margin and unit_cost_to_serve
    before and after, turns_unprofitable, and unprofitable_after: the share of futures in which the
    margin after is not above 0.
    """
    measures = ("sold", "lost", "margin", "cost_to_serve")
    means = {
        f"{name}_{word}": np.mean([getattr(one, name) for one in outcomes], axis=0)
        for name in measures
        for word, outcomes in (("before", base), ("after", changed))
    }
    means |= {
        f"{name}_{word}_{end}": band
        for name in ("margin", "cost_to_serve")
        for word, outcomes in (("before", base), ("after", changed))
        for end, band in zip(
            ("lower", "upper"),
            np.quantile([getattr(one, name) for one in outcomes], RANGE, axis=0),
            strict=True,
        )
    }
    pairs = list(zip(base, changed, strict=True))
    margin = np.array([after.margin - before.margin for before, after in pairs])
    serving = np.array([after.cost_to_serve - before.cost_to_serve for before, after in pairs])
    lower, upper = np.quantile(margin, RANGE, axis=0)
    serving_lower, serving_upper = np.quantile(serving, RANGE, axis=0)
    table = rows.select("item_id", "location_id", "from_id").with_columns(
        **{name: pl.Series(values) for name, values in means.items()},
        margin_difference=pl.Series(margin.mean(axis=0)),
        lower=pl.Series(lower),
        upper=pl.Series(upper),
        cost_to_serve_difference=pl.Series(serving.mean(axis=0)),
        cost_to_serve_lower=pl.Series(serving_lower),
        cost_to_serve_upper=pl.Series(serving_upper),
        unprofitable_after=pl.Series(np.mean([one.margin <= 0 for one in changed], axis=0)),
        demand=pl.Series(np.mean([one.demand for one in base], axis=0)),
    )
    per_unit = [
        (pl.col(f"{name}_{word}") / pl.col(f"sold_{word}")).alias(f"unit_{name}_{word}")
        for name in ("margin", "cost_to_serve")
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

    Columns: period_start, location_id, before, after (means), before_lower to after_upper (95 % of
    futures), difference with lower and upper (95 % of futures), lost_before, lost_after (mean
    units).
    """
    tables = []
    for k, place in enumerate(places_of(rows)):
        without, with_it = (
            np.array([one.stock_at[k] for one in outcomes]) for outcomes in (base, changed)
        )
        spans = {
            f"{word}{end}": band
            for word, values in (
                ("before_", without),
                ("after_", with_it),
                ("", with_it - without),
            )
            for end, band in zip(
                ("lower", "upper"), np.quantile(values, RANGE, axis=0), strict=True
            )
        }
        columns = {"period_start": list(starts), "location_id": place} | {
            "before": without.mean(axis=0),
            "after": with_it.mean(axis=0),
            "difference": (with_it - without).mean(axis=0),
            **spans,
            "lost_before": np.mean([one.lost_at_place[k] for one in base], axis=0),
            "lost_after": np.mean([one.lost_at_place[k] for one in changed], axis=0),
        }
        tables.append(pl.DataFrame(columns))
    return pl.concat(tables)


def spoilage(
    rows: pl.DataFrame, base: Sequence[Outcome], changed: Sequence[Outcome]
) -> pl.DataFrame:
    """The items and places where stock spoils, without and with the scenario, the most first.

    Columns: item_id, location_id, before, after (mean units), difference with lower and upper (95 %
    of futures).
    """
    without, with_it = (np.array([one.spoiled for one in found]) for found in (base, changed))
    lower, upper = np.quantile(with_it - without, RANGE, axis=0)
    table = rows.select("item_id", "location_id").with_columns(
        before=pl.Series(without.mean(axis=0)),
        after=pl.Series(with_it.mean(axis=0)),
        difference=pl.Series((with_it - without).mean(axis=0)),
        lower=pl.Series(lower),
        upper=pl.Series(upper),
    )
    seen = table.filter((pl.col("before") > 0) | (pl.col("after") > 0))
    return seen.sort(-pl.max_horizontal("before", "after"), "item_id", "location_id")


def flows(rows: pl.DataFrame, base: Sequence[Outcome], changed: Sequence[Outcome]) -> pl.DataFrame:
    """Units sent on each lane, without and with the scenario: from_id, location_id, kind, before
    and after (means). rows: the lanes.
    """
    sent = {
        word: pl.Series(np.mean([one.bought + one.moved for one in outcomes], axis=0))
        for word, outcomes in (("before", base), ("after", changed))
    }
    lanes = rows.select("from_id", "location_id", "kind").with_columns(**sent)
    keys = ("from_id", "location_id", "kind")
    return lanes.group_by(keys).agg(pl.col("before", "after").sum()).sort(keys)


def orders(
    rows: pl.DataFrame, days: Sequence[Any], base: Sequence[Outcome], changed: Sequence[Outcome]
) -> pl.DataFrame:
    """The order lines that differ: what is sent to each item and place at each decision, without
    and with the scenario, over the futures that are looked at row by row.

    rows: the lanes. days: the first of the period of each decision. Columns: ordered_on, kind,
    item_id, location_id, from_id, before, after (mean units), difference with lower and upper (95 %
    of futures), and differs (share of futures in which it does); earliest first, then the largest.
    """
    seen = [
        (one.ordered_at, other.ordered_at)
        for one, other in zip(base, changed, strict=True)
        if one.ordered_at is not None and other.ordered_at is not None
    ]
    before, after = (np.array(part) for part in zip(*seen, strict=True))
    paired = after - before
    node, turn = np.nonzero((paired != 0).any(axis=0))
    lower, upper = np.quantile(paired[:, node, turn], RANGE, axis=0)
    lines = rows.select("kind", "item_id", "location_id", "from_id")[node]
    table = lines.with_columns(
        ordered_on=pl.Series([days[k] for k in turn.tolist()], dtype=pl.Date),
        before=pl.Series(before[:, node, turn].mean(axis=0), dtype=pl.Float64),
        after=pl.Series(after[:, node, turn].mean(axis=0), dtype=pl.Float64),
        difference=pl.Series(paired[:, node, turn].mean(axis=0), dtype=pl.Float64),
        lower=pl.Series(lower, dtype=pl.Float64),
        upper=pl.Series(upper, dtype=pl.Float64),
        differs=pl.Series((paired[:, node, turn] != 0).mean(axis=0), dtype=pl.Float64),
    )
    front = ("ordered_on", "kind", "item_id", "location_id", "from_id")
    return table.select(*front, pl.exclude(front)).sort(
        "ordered_on", pl.col("difference").abs(), *front[2:], descending=[False, True] + [False] * 3
    )


def difference(without: Floats, with_it: Floats) -> dict[str, float]:
    """Means and paired difference of one figure over the same futures, (F,) each."""
    paired = with_it - without
    lower, upper = np.quantile(paired, RANGE)
    wide = Z * float(paired.std(ddof=1)) / np.sqrt(paired.size) if paired.size > 1 else np.inf
    mean = float(paired.mean())
    return {
        "before": float(without.mean()),
        "after": float(with_it.mean()),
        "difference": mean,
        "lower": float(lower),
        "upper": float(upper),
        "mean_lower": mean - float(wide),
        "mean_upper": mean + float(wide),
    }
