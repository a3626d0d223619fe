"""How long a node can be missing before customers notice, and how long its absence is felt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.domain import Floats, Integers
from models.twin.ageing import Shelf
from models.twin.event_effects import passes
from models.twin.network import Network
from models.twin.what_if import RANGE, Outcome, places_of

#: Customers notice where more than this share of demand so far goes unmet.
NOTICED = 0.05


def time_to_survive(
    network: Network,
    rows: pl.DataFrame,
    on_hand: Floats,
    due: Floats,
    demand: Floats,
    shelf: Shelf | None = None,
) -> pl.DataFrame:
    """For every supplier, every place that ships and every hub that goods pass: periods until
    customers notice, if nothing more sets out from it, or towards it.

    What has set out still arrives, and goods that passed it are shared out below it as needed,
    those that spoil first before others; what spoils helps nobody. Where a place has several
    sources, the others go on bringing their shares. rows: the network's lanes. on_hand: (N,) units.
    due: (N, K) on the way, column 0 the first period. demand: (N, F, T) futures. shelf: how long
    goods keep, for ever if left out. Columns: node_id, kind (supplier, place or hub), rows, periods
    (median over the futures), lower, upper (95 % of them), is_beyond (True where the median is all
    that is simulated).
    """
    echelons, periods = network.echelons, demand.shape[2]
    own_due = np.zeros((network.size, periods))
    columns = min(due.shape[1], periods)
    own_due[:, :columns] = due[:, :columns]
    stock, coming = (echelons.demand(part) for part in (on_hand, own_due))
    asked = echelons.paths(demand)
    keeps = Shelf(life=np.full(network.size, np.inf)) if shelf is None else shelf
    expiring = echelons.demand(keeps.expiring(on_hand, own_due, periods))
    buys, from_id = network.supplied_from < 0, rows["from_id"].cast(pl.String).to_numpy()
    nodes = [
        (node, kind, chosen & (from_id == node))
        for kind, chosen in (("supplier", buys), ("place", ~buys))
        for node in sorted(set(from_id[chosen]))
    ]
    if "hubs" in rows.columns:
        hubs = sorted(set(rows["hubs"].explode().drop_nulls()))
        nodes += [(hub, "hub", passes(rows, hub)) for hub in hubs]
    found = []
    for node, kind, flags in nodes:
        here, missing = network.to[flags], network.share[flags][:, None, None]
        lasts = _lasts(stock[here], coming[here], missing * asked[here], expiring[here])
        middle = float(np.median(lasts))
        lower, upper = np.quantile(lasts, RANGE)
        found.append((node, kind, here.size, middle, lower, upper, middle >= periods))
    schema = ["node_id", "kind", "rows", "periods", "lower", "upper", "is_beyond"]
    return pl.DataFrame(found, schema=schema, orient="row").sort("periods", "node_id")


def _lasts(stock: Floats, coming: Floats, asked: Floats, expiring: Floats) -> Integers:
    """The first period in which too much goes unmet in each future, (F,), or their number.
    expiring: (n, T) units of stock and of what comes by the last period that can sell them."""
    left = np.repeat(stock[:, None], asked.shape[1], axis=1)
    # what was used or thrown away so far was what spoils first
    gone, until = np.zeros(left.shape), expiring.cumsum(axis=1)
    missed, wanted = np.zeros(asked.shape[1]), np.zeros(asked.shape[1])
    lasts = np.full(asked.shape[1], asked.shape[2])
    for t in range(asked.shape[2]):
        left = left + coming[:, t, None]
        missed += np.maximum(asked[:, :, t] - left, 0.0).sum(axis=0)
        wanted += asked[:, :, t].sum(axis=0)
        is_noticed = missed > NOTICED * wanted
        lasts = np.where(is_noticed & (lasts == asked.shape[2]), t, lasts)
        used = np.minimum(left, asked[:, :, t])
        left, gone = left - used, gone + used
        spoiled = np.minimum(np.maximum(until[:, t, None] - gone, 0.0), left)
        left, gone = left - spoiled, gone + spoiled
    return lasts


def survival_and_recovery(
    rows: pl.DataFrame,
    window: tuple[float, float],
    base: Sequence[Outcome],
    changed: Sequence[Outcome],
) -> pl.DataFrame:
    """By place: periods from a scenario's beginning until customers notice it, and from its end
    until nothing is left of it.

    window: when it begins and ends, in periods. Noticed: more than NOTICED of a usual period's
    demand is lost beyond what would be anyway. Over: from then on nothing more is, and stock is
    within NOTICED of what it would be. Columns: location_id, noticed (share of futures), survives,
    recovers (medians over those futures, empty where it is in none) and not_over (share of futures
    in which it is not over when the simulation ends).
    """
    starts, ends = window
    found = []
    for k, place in enumerate(places_of(rows)):
        survives, recovers, not_over = [], [], 0
        for before, after in zip(base, changed, strict=True):
            more = after.lost_at_place[k] - before.lost_at_place[k]
            usual = max(float(before.demand_at[k].mean()), 1.0)
            hit = np.flatnonzero(more > NOTICED * usual)
            less = before.stock_at[k] - after.stock_at[k]
            low = np.flatnonzero(less > NOTICED * np.maximum(before.stock_at[k], 1.0))
            if hit.size:
                survives.append(max(hit[0] - starts, 0.0))
            if hit.size or low.size:
                last = max(hit.max(initial=-1), low.max(initial=-1))
                not_over += last == more.size - 1
                recovers.append(max(last + 1 - ends, 0.0))
        middle = [float(np.median(part)) if part else None for part in (survives, recovers)]
        found.append((place, len(survives) / len(base), *middle, not_over / len(base)))
    names = ("noticed", "survives", "recovers", "not_over")
    schema = {"location_id": pl.String} | dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(found, schema=schema, orient="row")
