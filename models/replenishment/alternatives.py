"""The normal order and every other way to the same goods, weighed in one list, in money.

A way's cost is what is paid above the normal order's landed cost, and what it leaves of holding and
shortage cost. All ways of one row are judged on the same sampled futures and the same periods, so
that an early arrival gets its due and a late one its blame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Situation
from models.replenishment.landed_cost import LandedCost
from models.replenishment.shelf_life import sellable
from models.replenishment.situations import sources_of
from models.replenishment.stock_projection import CHUNK, project, rows_of
from models.replenishment.supply_options import Logistics, SupplyOption, SupplyOptions

#: A faster way is tried in these sizes: so much of the shortage it could prevent, as quantiles over
#: the sampled futures.
SIZES = (0.5, 0.8, 0.95)
#: Buying ahead is tried in these sizes: so much of what would be sold until holding it costs all
#: that it saves.
AHEAD = (0.25, 0.5, 1.0)
#: A giver keeps what it needs itself in all but this share of the futures.
RISK = 0.05
#: Expected money below which nobody would lift a telephone.
LEAST_SAVING = 1.0
#: At most so many rows of a plan are listed with other ways, those with most value at risk: more
#: than a planner reads in a week.
MOST_ROWS = 500
#: Every so-manieth future is enough to see which rows have value at risk.
SIEVE = 4

#: The columns of a plan's list of ways.
ALTERNATIVES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("item_id", "location_id", "way", "kind", "from_id"), pl.String),
    "rank": pl.Int64,
    **dict.fromkeys(
        (
            "quantity",
            "normal_quantity",
            "landed_unit_cost",
            *(part.name for part in fields(LandedCost)),
        ),
        pl.Float64,
    ),
    "arrives_on": pl.Date,
    **dict.fromkeys(("extra_purchase_cost", "expected_cost", "total_cost"), pl.Float64),
    "is_cheapest": pl.Boolean,
}


@dataclass(frozen=True)
class Alternative:
    """One way in one size, weighed for one row, in the world's currency.

    quantity: units by this way; normal_quantity: units that still come the normal way. arrives:
    periods until it can be sold or sent on. extra_cost: money paid above the normal order's landed
    cost of as many units. expected_cost: holding and shortage that is left.
    """

    way: SupplyOption
    quantity: float
    normal_quantity: float
    arrives: int
    extra_cost: float
    expected_cost: float

    @property
    def total_cost(self) -> float:
        """Money paid above the normal order and money still expected to be lost, in the world's
        currency."""
        return self.extra_cost + self.expected_cost


@dataclass(frozen=True)
class Rescue:
    """A faster way that is worth its money for one row: units, extra money paid, and expected money
    saved all told."""

    row: int
    way: SupplyOption
    quantity: float
    extra_cost: float
    saving: float

    @property
    def reason(self) -> str:
        """In words, with the sum."""
        saved = self.saving + self.extra_cost
        return (
            f"{self.quantity:g} units {self.way.name}: costs {self.extra_cost:,.2f} more and saves "
            f"{saved:,.2f} of shortage"
        )


def weigh(
    situation: Situation,
    normal: SupplyOption,
    ordered: float,
    others: Iterable[SupplyOption],
    *,
    is_dry: bool = False,
    down: int = 0,
    life: float = np.inf,
) -> list[Alternative]:
    """The normal order, then every other way that can help in the size that costs least, cheapest
    first.

    situation: one row, without the normal order of `ordered` units on its way. A way is tried
    beside the normal order, for what would be missed without it, and, in whole, instead of it.
    is_dry: whether the normal way can bring no more. down: periods from the row to where its goods
    are sold (an echelon's way down). life: periods the goods keep.
    A way that comes later and is no cheaper is left out, unless the normal one is dry; so is what
    comes after the next review's order.
    """
    due, interval = int(situation.lead_time[0]), int(situation.interval[0])
    as_planned = _delivered(situation, np.array([[ordered]]), np.array([[due]]))
    unmet = project(as_planned, due + interval)[1][0]
    tried = [(normal, ordered, 0.0, due)]
    for way in others:
        arrives = way.periods + down
        is_late = arrives > due
        is_worse = is_late and way.cost >= normal.cost
        if arrives >= due + interval or (is_worse and not is_dry):
            continue
        if way.saves:
            tried += [(way, size, 0.0, arrives) for size in _larger(situation, way, ordered, life)]
            continue
        # what stands in is for what lacks until the order comes, and no reason not to order
        is_order = way.kind != "substitute"
        instead = way.quantity(ordered) if ordered > 0 and is_order else 0.0
        if instead >= ordered > 0 and not is_worse:
            tried.append((way, instead, 0.0, arrives))
        if is_dry or not is_late:
            sizes = _beside(situation, way, unmet[:, arrives:])
            tried += [(way, size, ordered, arrives) for size in sizes]
    weighed = _weighed(situation, normal, ordered, tried)
    best: dict[str, Alternative] = {}
    for one in weighed[1:]:
        if one.way.name not in best or one.total_cost < best[one.way.name].total_cost:
            best[one.way.name] = one
    return [weighed[0], *sorted(best.values(), key=lambda one: (one.total_cost, one.way.name))]


def _larger(situation: Situation, way: SupplyOption, ordered: float, life: float) -> list[float]:
    """Sizes beyond the normal order in which a cheaper way may pay, none larger than what sells
    while it keeps."""
    whole = np.array([way.quantity(ordered + more) for more in _ahead(situation, way)])
    if not whole.size:
        return []
    kept = sellable(_repeated(situation, len(whole)), whole, np.full(len(whole), life))
    return sorted({float(size) for size in kept[kept > ordered]})


def _beside(situation: Situation, way: SupplyOption, missed: Floats) -> list[float]:
    """Sizes of an order beside the normal one, for what would be missed without it; (S, T) units
    missed on each path from its arrival on."""
    is_lost = situation.economics.unmet == "lost"  # what is owed stays owed
    late = missed.sum(axis=1) if is_lost else missed.max(axis=1, initial=0.0)
    if not late.any():
        return []
    return sorted({way.quantity(float(np.quantile(late, level))) for level in SIZES} - {0.0})


def rescues(
    before: Situation, after: Situation, rows: pl.DataFrame, logistics: Logistics
) -> list[Rescue]:
    """The faster ways worth their money, for rows that are shorter after what happened than before;
    both with their plan ordered.

    rows: (N,) as they are after it, with lead_time_periods, supplier_periods and opens_in: a closed
    place takes nothing until then and gives nothing.
    """
    opens = rows["opens_in"].to_numpy()
    options = SupplyOptions.of(rows, np.where(opens > 0, 0.0, surplus(after)), logistics)
    found = []
    for i in np.flatnonzero(shortage(after) > shortage(before) + 1e-9).tolist():
        ways = [
            replace(way, periods=max(way.periods, int(opens[i])))
            for way in options.others(i)
            if not way.saves
        ]
        down = int(after.lead_time[i]) - options.rows[i]["lead_time_periods"]
        waiting, *others = weigh(
            rows_of(after, np.array([i])), options.normal(i), 0.0, ways, down=down
        )
        if others and (saving := waiting.total_cost - others[0].total_cost) >= LEAST_SAVING:
            found.append(Rescue(i, others[0].way, others[0].quantity, others[0].extra_cost, saving))
            _take(options, i, others[0])
    return found


def alternatives(
    view: Situation,
    rows: pl.DataFrame,
    ordered: Floats,
    period_starts: Sequence[date],
    logistics: Logistics,
) -> pl.DataFrame:
    """The ways to the goods of a plan's rows, as `ALTERNATIVES`: the normal order first, each other
    way in its best size.

    view, rows, ordered: (N,) as planned, each row at the price its order is paid at. Listed are
    rows with another way and value at risk: shortage a faster one could prevent, or an order that
    another one buys cheaper. Each way is judged by itself and within no limit of the planner's; of
    a giver's surplus, the rows with most at risk are offered first, and only what is left after
    them.
    """
    view = replace(view, lead_time_paths=np.zeros((0, 0), dtype=np.int64))
    at_risk = _at_risk(view, rows, ordered, logistics)
    if not at_risk.size:
        return pl.DataFrame(schema=ALTERNATIVES)
    items = set(rows["item_id"].gather(at_risk))
    items |= {x["substitute_id"] for item in items for x in logistics.substitutes.get(item, ())}
    concerned = np.flatnonzero(rows["item_id"].is_in(list(items)).to_numpy())
    at_hand = _delivered(
        rows_of(view, concerned), ordered[concerned, None], view.lead_time[concerned, None]
    )
    options = SupplyOptions.of(rows[concerned], surplus(at_hand), logistics)
    is_dry = _dry(rows, ordered)
    place = {int(row): i for i, row in enumerate(concerned)}
    life = (
        rows["shelf_life_periods"].fill_null(np.inf).to_numpy()
        if "shelf_life_periods" in rows.columns
        else np.full(len(rows), np.inf)
    )
    found = []
    for row in at_risk.tolist():
        i, situation = place[row], rows_of(view, np.array([row]))
        down = int(view.lead_time[row]) - options.rows[i]["lead_time_periods"]
        listed = weigh(
            situation,
            options.normal(i),
            float(ordered[row]),
            [*options.others(i), *options.stand_ins(i)],
            is_dry=bool(is_dry[row]),
            down=down,
            life=float(life[row]),
        )
        if len(listed) == 1:
            continue
        best = min(range(len(listed)), key=lambda k: listed[k].total_cost)
        _take(options, i, listed[best])
        found += [
            _told(options, i, one, k, down, k == best, period_starts)
            for k, one in enumerate(listed)
        ]
    return pl.DataFrame(found, schema=ALTERNATIVES, orient="row")


def shortage(situation: Situation) -> Floats:
    """Units each row is expected to miss before its window ends, (N,); what comes later is for
    later orders."""
    periods = min(
        int((situation.lead_time + situation.interval).max(initial=0)),
        0 if situation.paths is None else situation.paths.shape[2],
    )
    short: Floats = np.zeros(situation.on_hand.size)
    for start in range(0, short.size, CHUNK):
        part = rows_of(situation, slice(start, start + CHUNK))
        inside = np.arange(periods)[None, :] < (part.lead_time + part.interval)[:, None]
        short[start : start + CHUNK] = np.where(
            inside, project(part, periods)[1].mean(axis=1), 0.0
        ).sum(axis=1)
    return short


def surplus(situation: Situation) -> Floats:
    """What each row can give away now and still last through its own window and one more review, in
    nearly all futures, (N,)."""
    last = min(
        int((situation.lead_time + 2 * situation.interval).max(initial=0)),
        0 if situation.paths is None else situation.paths.shape[2],
    )
    spare: Floats = np.zeros(situation.on_hand.size)
    for start in range(0, spare.size, CHUNK):
        part = rows_of(situation, slice(start, start + CHUNK))
        inside = np.arange(last)[None, :] < (part.lead_time + 2 * part.interval)[:, None]
        # The least stock on the way there counts: what comes in later cannot be given away before.
        least = np.where(inside[:, None, :], project(part, last)[0], np.inf).min(
            axis=2, initial=np.inf
        )
        spare[start : start + CHUNK] = np.minimum(
            np.quantile(least, RISK, axis=1, method="lower"), part.on_hand
        )
    return np.maximum(spare, 0.0)


def _at_risk(
    view: Situation, rows: pl.DataFrame, ordered: Floats, logistics: Logistics
) -> Integers:
    """The rows with other ways and at least LEAST_SAVING at risk, most money first, (M,)."""
    beside = (pl.col("kind") == "transfer") & (pl.len().over("item_id", "from_id") > 1)
    is_spread = rows.select(beside.fill_null(False)).to_series().to_numpy()
    bought = rows.select("item_id", "from_id", "location_id", "kind").iter_rows()
    is_offered = np.array(
        [kind == "purchase" and logistics.offers(*where) for *where, kind in bought], dtype=bool
    )
    has_substitute = rows["item_id"].is_in(list(logistics.substitutes)).to_numpy()
    possible = np.flatnonzero(is_spread | is_offered | has_substitute)
    if not possible.size:
        return possible
    sieved = rows_of(
        view if view.paths is None else replace(view, paths=view.paths[:, ::SIEVE]), possible
    )
    short = shortage(_delivered(sieved, ordered[possible, None], view.lead_time[possible, None]))
    # An order that could be bought elsewhere, or before its price rises, is at risk with all its
    # value.
    value = ordered * view.economics.unit_cost + LEAST_SAVING
    money = short * view.economics.shortage[possible] + np.where(is_offered, value, 0.0)[possible]
    most = np.argsort(-money, kind="stable")[:MOST_ROWS]
    return possible[most[money[most] >= LEAST_SAVING]]


def _dry(rows: pl.DataFrame, ordered: Floats) -> np.ndarray:
    """Whether the place a row's goods come from has none left after what it ships now, (N,); a
    supplier always has some."""
    source = sources_of(rows)
    fed = source >= 0
    shipped = np.bincount(source[fed], weights=ordered[fed], minlength=len(rows))
    left = rows["on_hand"].to_numpy() - shipped
    return fed & (left[source] < rows["order_multiple"].fill_null(1.0).to_numpy())


def _ahead(situation: Situation, way: SupplyOption) -> list[float]:
    """Units bought ahead of a rise, in the sizes tried: the last unit waits at most until holding
    it costs what it saves."""
    demand, holding = (
        float(np.mean(np.asarray(situation.paths))),
        float(situation.economics.holding[0]),
    )
    most = demand * way.saves / holding if holding > 0 else 0.0
    return [size for share in AHEAD if (size := share * most) > 0]


def _weighed(
    situation: Situation,
    normal: SupplyOption,
    ordered: float,
    tried: Sequence[tuple[SupplyOption, float, float, int]],
) -> list[Alternative]:
    """Every way tried, (way, quantity, normal quantity, periods), with what it costs until the next
    review's order comes in."""
    size, rest, arrives = (np.array([one[k] for one in tried], dtype=np.float64) for k in (1, 2, 3))
    due = int(situation.lead_time[0])
    quantities = np.stack([size, rest], axis=1)
    coming = np.stack([arrives, np.full(arrives.size, due)], axis=1).astype(np.int64)
    stock, unmet = project(
        _delivered(_repeated(situation, len(tried)), quantities, coming),
        due + int(situation.interval[0]),
    )
    holding, missing = float(situation.economics.holding[0]), float(situation.economics.shortage[0])
    expected = holding * stock.sum(axis=2).mean(axis=1) + missing * unmet.sum(axis=2).mean(axis=1)
    # What a way leaves beyond the normal order outlasts the window, and is used up at the rate of
    # demand.
    left = stock[:, :, -1].mean(axis=1)
    excess = np.maximum(left - left[0], 0.0)
    expected += holding * excess**2 / (2 * max(float(np.mean(np.asarray(situation.paths))), 1e-9))
    return [
        Alternative(
            way,
            quantity,
            normally,
            periods,
            quantity * (way.cost - normal.cost) - max(quantity - ordered, 0.0) * way.saves,
            cost,
        )
        for (way, quantity, normally, periods), cost in zip(tried, expected.tolist(), strict=True)
    ]


def _delivered(situation: Situation, quantity: Floats, periods: Integers) -> Situation:
    """The situation with quantities (N, D) on their way, each due after its periods (N, D)."""
    due = np.zeros(
        (situation.on_hand.size, max(situation.pipeline.shape[1], int(periods.max(initial=0)), 1))
    )
    due[:, : situation.pipeline.shape[1]] = situation.pipeline
    row, delivery = np.nonzero(periods > 0)
    np.add.at(due, (row, periods[row, delivery] - 1), quantity[row, delivery])
    return replace(
        situation,
        on_hand=situation.on_hand + np.where(periods > 0, 0.0, quantity).sum(axis=1),
        pipeline=due,
    )


def _repeated(situation: Situation, count: int) -> Situation:
    return rows_of(situation, np.zeros(count, dtype=np.int64))


def _take(options: SupplyOptions, i: int, chosen: Alternative) -> None:
    """What one row is given is no other row's any more."""
    way, row = chosen.way, options.rows[i]
    is_other = way.kind == "substitute"
    key = (way.from_id, row["location_id"]) if is_other else (row["item_id"], way.from_id)
    giver = options.where.get(key)
    if way.kind != "purchase" and giver is not None and way.most < np.inf:
        options.surplus[giver] -= chosen.quantity * way.each


def _told(
    options: SupplyOptions,
    i: int,
    one: Alternative,
    rank: int,
    down: int,
    is_cheapest: bool,
    period_starts: Sequence[date],
) -> tuple[object, ...]:
    row, way = options.rows[i], one.way
    parts = [float(getattr(way.landed, part.name)) for part in fields(LandedCost)]
    return (
        row["item_id"],
        row["location_id"],
        way.name,
        way.kind,
        way.from_id,
        rank,
        one.quantity,
        one.normal_quantity,
        way.cost,
        *parts,
        period_starts[one.arrives - down],
        one.extra_cost,
        one.expected_cost,
        one.total_cost,
        is_cheapest,
    )
