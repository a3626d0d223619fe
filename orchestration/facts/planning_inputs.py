"""All that a plan is made from, read from the marts: from the warehouse by the line, from the
published snapshot between runs.

The same reading in both places is what makes an event replan of unchanged facts the line's own
plan, to the unit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import locate
from models.procurement.units import WORDS
from models.replenishment.base_policy import Unmet
from models.replenishment.bills import Bills, with_parts
from models.replenishment.calendars import SupplyCalendar
from models.replenishment.constraints import (
    Constraint,
    less_stock,
    room_of,
    room_on,
    unkeepable,
)
from models.replenishment.customer_orders import consumed
from models.replenishment.decision import Terms
from models.replenishment.echelon import Echelons
from models.replenishment.implausible_lines import YEAR_DAYS
from models.replenishment.lead_times import expected
from models.replenishment.minimums import SupplierMinimum
from models.replenishment.opening import Opening, assumed_opening
from models.replenishment.situations import situation_of, sources_of
from models.replenishment.supply_options import Logistics, PriceIncrease
from orchestration.facts.sales_terms import SOLD_BY
from orchestration.facts.supply_calendar import dated, read_calendar, without_waiting
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home.sql import frame

#: Sampled futures of every item and location, of demand and of lead times alike.
SAMPLES = 200
#: How a planner writes that a budget is for everything.
ALL_PURCHASES = (None, "all", "purchase", "purchases")
#: Every planned item and location with its terms and costs, those that sell first, then the
#: distribution centres.
NODES = "select * from marts.dim_item_locations order by role <> 'store', item_id, location_id"
#: Demand of a period over the last quarter, with and without the periods when the shelf was empty.
USUAL = """
    select
        item_id, location_id,
        cast(avg(quantity) as double) as known,
        cast(avg(greatest(recorded_quantity, 0)) filter (
            where quantity is not null or is_censored
        ) as double) as as_sold
    from marts.fct_demand
    where is_current and period_start < ? and period_start >= ? - interval 91 day
    group by item_id, location_id
"""
#: What a location can hold: the planner's word before the location master's.
ROOM = """
    select location_id, coalesce(any_value(said.value), any_value(place.capacity)) as capacity
    from marts.dim_locations as place
    left join marts.fct_constraints as said
        on said.name = 'capacity' and said.is_current and said.scope = place.location_id
    where place.is_current
    group by location_id
"""
#: What a unit costs from which quantity on, by supplier.
PRICES = """
    select item_id, supplier_id as from_id, from_quantity, unit_cost
    from marts.dim_supplier_terms where is_current and unit_cost is not null order by all
"""
#: How long an item keeps on arrival: the supplier's word before the item master's.
KEEPS = """
    with told as (
        select item_id, supplier_id, min(shelf_life_days) as shelf_life_days
        from marts.dim_supplier_terms where is_current group by item_id, supplier_id
    )
    select planned.item_id, planned.location_id,
        cast(coalesce(told.shelf_life_days, items.shelf_life_days) as double) as shelf_life_days
    from marts.dim_item_locations as planned
    join marts.dim_items as items on planned.item_id = items.item_id and items.is_current
    left join told on planned.kind = 'purchase' and planned.item_id = told.item_id
        and planned.from_id = told.supplier_id
"""
#: The least of a review's purchases that a supplier takes, as the planner wrote it, and what it
#: counts.
MINIMUMS = """
    with counted(name, counts) as (values ('supplier_minimum', 'value'),
        ('supplier_minimum_kg', 'weight_kg'), ('supplier_minimum_m3', 'volume_m3'),
        ('supplier_minimum_units', 'units'), ('supplier_minimum_pallets', 'pallets'))
    select said.scope as from_id, said.value, counts, coalesce(truck.value, 0) as truck_cost
    from marts.fct_constraints as said join counted using (name)
    left join marts.fct_constraints as truck
        on truck.name = 'supplier_truck_cost' and truck.is_current and truck.scope = said.scope
    where said.is_current order by all
"""
#: What lanes can take, of the way that is used: see int_lanes_cheapest.
LANE_CAPACITY = """
    select from_id, to_id, item_id, capacity_kg from marts.dim_lanes where is_current
    qualify capacity_kg is not null and row_number() over (partition by from_id, to_id, item_id
        order by freight_per_kg nulls last, transit_days nulls last, mode) = 1
    order by all
"""
#: What the planner states under one name, by what it holds for.
STATED = "select scope, value from marts.fct_constraints where is_current and name = $name"
#: What one of each item's units holds.
UNITS = "select item_id, unit, quantity from marts.dim_item_units"
#: Prices suppliers have announced for orders of the next review: that of the first step, for which
#: everybody pays at most.
RISES = """
    select item_id, supplier_id, unit_cost, valid_from as starts_at
    from marts.dim_supplier_terms
    where not is_current and unit_cost is not null and valid_from > $now
    qualify row_number() over (partition by item_id, supplier_id order by valid_from,
        from_quantity) = 1
    order by all
"""
#: What making one of an item takes of its parts.
BILLS = """
    select item_id, part_id, taken, starts_on, ends_on from marts.dim_bills_of_materials
    order by all
"""
#: Facts of an item whose place others have taken are facts of theirs, by their share.
HEIRS = "left join marts.dim_successions as heirs on facts.item_id = heirs.item_id"
#: What customers wait for; without a day, it is due.
WAITED_FOR = "select item_id, location_id, due_on, quantity from marts.fct_customer_orders"
#: What is on its way at Now, by the day it is due.
ON_THE_WAY = f"""
    select coalesce(heirs.successor_id, facts.item_id) as item_id, location_id, due_at,
        quantity * coalesce(heirs.share, 1) as quantity
    from marts.fct_open_orders as facts {HEIRS}
"""
#: Stock at Now; not known where goods moved but nobody ever counted.
STOCK = (
    "select item_id, location_id, on_hand, stock_known_at, is_unknown from "
    "marts.fct_stock_positions"
)
#: Until when the stock counts what was asked for, UTC; nothing says so where nobody ever counted.
COUNTED_UNTIL = "select item_id, location_id, stock_as_of from marts.fct_stock_positions"
#: What of the stock is of items whose place the item has taken, and what lies there and cannot be
#: sold.
BESIDE = "select item_id, location_id, inherited, set_aside from marts.fct_stock_positions"
#: What of an item's demand at a place was for kits, and for which.
KITS = """
    select item_id, location_id, sum(share) as kit_share,
        string_agg(distinct kit_id, ', ' order by kit_id) as kits
    from marts.fct_kit_demand group by item_id, location_id
"""
#: Stock at an instant: the last count before it and everything that moved since. Item, location,
#: units.
STOCK_AT = f"""
    with counts as (
        select item_id, location_id, event_at, on_hand from marts.fct_stock
        where is_current and on_hand is not null and event_at <= $at
        qualify row_number() over (partition by item_id, location_id order by event_at desc,
            known_at desc) = 1
    ),
    facts as (
        select counts.item_id, counts.location_id,
            any_value(counts.on_hand) + coalesce(sum(moves.delta), 0) as on_hand
        from counts
        left join intermediate.int_stock_moved as moves
            on moves.item_id = counts.item_id and moves.location_id = counts.location_id
            and moves.event_at >= counts.event_at and moves.event_at < $at
        group by counts.item_id, counts.location_id
    )
    select coalesce(heirs.successor_id, facts.item_id) as item_id, location_id,
        sum(on_hand * coalesce(heirs.share, 1)) as on_hand
    from facts {HEIRS} group by 1, 2
"""
#: What moved before an instant: where it did and nobody ever counted, the stock is unknown; where
#: nothing did, there is none.
MOVED_BY = f"""
    select distinct coalesce(heirs.successor_id, facts.item_id) as item_id, location_id
    from intermediate.int_stock_moved as facts {HEIRS} where event_at < $at
"""
#: Orders placed before an instant and not complete at it; of one that is open to this day, what has
#: not come in.
OPEN_AT = f"""
    select
        coalesce(heirs.successor_id, facts.item_id) as item_id, location_id,
        coalesce(due_at, received_at) as due_at,
        sum((quantity - case when received_at is null then received_quantity else 0 end)
            * coalesce(heirs.share, 1)) as quantity
    from intermediate.int_orders_received as facts {HEIRS}
    where ordered_at < $at and (received_at is null or received_at >= $at) and (closed_at is null
        or closed_at >= $at)
    group by all
"""
#: How long orders took in local days, at least one, as known at the midnight that begins a day:
#: one still open then, or not yet reported, took at least so long.
TOOK_BY = """
    select
        kind, from_id, location_id, promised_days, ordered_at, ordered_on,
        greatest(date_diff('day', ordered_on, least(coalesce(received_on, $day), $day)), 1)::double
            as days,
        received_at is null or received_at >= $at or known_at > $at as is_open
    from marts.fct_lead_times where ordered_at < $at order by all
"""


@dataclass(frozen=True, kw_only=True)
class PlanningInputs:
    """What a plan of one moment is made from, but for the forecast, the policy and the planner's
    overrides.

    rows: N planned items and locations with terms, costs, on_hand, on_order, capacity, shelf life
    and promised service level; lead times, and the periods an order has to last beyond the review
    (gap), as the calendar has them for an order decided now.
    due: (N, K) units on the way by period due, column 0 the first period planned, whose goods count
    as on hand. history: (N, T) past demand, NaN unknown. usual: (N, 2) mean of the last quarter,
    with stock-out periods left out as unknown, and taken at what was sold. asked_before: (N,) units
    that are expected to be asked for from what the stock counts until the first period planned: the
    rest of a day that is not over, sales that are reported late. They are taken off the stock, then
    off the goods due in the first period. lead_time_paths: (N, S)
    sampled lead times, None where no order was ever placed; past_lead_times: one row an order so
    far. phase: (T + H,) ISO week of every period from the first of history on.
    """

    timeline: Timeline
    unmet: Unmet
    rows: pl.DataFrame
    due: Floats
    history: Floats
    usual: Floats
    asked_before: Floats
    lead_time_paths: Integers | None
    past_lead_times: pl.DataFrame
    phase: Integers
    limits: Sequence[Constraint]
    minimums: Sequence[SupplierMinimum]
    price_breaks: pl.DataFrame
    logistics: Logistics
    is_stock_assumed: bool
    calendar: SupplyCalendar | None = None
    #: (N,) periods that orders decided now wait for their calendar, in lead_time_periods already
    waiting: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    #: (N, K) units that customers wait for, column 0 overdue, column k due in the k-th period
    owed: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    #: what making an item takes of others, None where nothing is made
    bills: Bills | None = None
    #: the share of unmet demand that waits, where it does
    waiting_share: float = 1.0

    def of_items(self, items: Collection[str]) -> PlanningInputs:
        """The inputs of some items; the room that the others' stock takes is taken."""
        inside = self.rows["item_id"].is_in(list(items))
        keep = inside.arg_true().to_numpy()
        lead_time_paths = None if self.lead_time_paths is None else self.lead_time_paths[keep]
        return replace(
            self,
            rows=self.rows[keep],
            due=self.due[keep],
            history=self.history[keep],
            usual=self.usual[keep],
            asked_before=self.asked_before[keep],
            lead_time_paths=lead_time_paths,
            waiting=self.waiting[keep],
            owed=self.owed[keep],
            limits=less_stock(self.limits, self.rows.filter(~inside)),
            bills=None if self.bills is None else self.bills.kept(keep),
        )

    def made_with(self, items: Collection[str]) -> set[str]:
        """These items, what they are made of and what they go into, over all levels."""
        if self.bills is None:
            return set(items)
        names, found = self.rows["item_id"], set(items)
        pairs = {
            (names[int(a)], names[int(b)])
            for a, b in zip(self.bills.made, self.bills.part, strict=True)
        }
        while more := {x for pair in pairs if found & set(pair) for x in pair} - found:
            found |= more
        return found

    def with_parts(self, paths: Floats) -> Floats:
        """Sampled demand of the rows, (N, S, H), with what making takes of parts in it."""
        if self.bills is None:
            return paths
        situation = situation_of(
            self.rows.with_columns(pl.col("on_hand").fill_null(0.0)),
            paths,
            history=None,
            pipeline=self.due[:, 1:],
            lead_time_paths=None,
            phase=None,
            review=self.timeline.review,
            unmet=self.unmet,
            order_cost=0.0,
        )
        days = [self.timeline.shift(self.timeline.origin, k) for k in range(paths.shape[2])]
        return with_parts(situation, self.bills, sources_of(self.rows), days)[0]

    def asked(self, paths: Floats) -> Floats:
        """Sampled demand of the rows, (N, S, H), with what customers have ordered already and what
        making takes of parts in it."""
        paths, periods, owed = self.with_parts(paths), paths.shape[2], self.waited_for
        return consumed(paths, owed[:, 1 : periods + 1], owed[:, 0])

    @property
    def opening(self) -> tuple[Floats, Floats]:
        """Units on hand, (N,), and the deliveries, (N, K) as `due`, that the first period planned
        begins with: less what is asked for before it. Stock that is not known, or that the records
        contradict, stays as it is."""
        stock, due = counted_stock(self.rows), self.due.copy()
        from_stock, from_due, _ = self._served_before()
        due[:, 0] -= from_due
        return stock - from_stock, due

    @property
    def waited_for(self) -> Floats:
        """(N, K) units that customers wait for, as `owed`; those too whom the stock does not last
        for before the first period planned, where customers wait."""
        owed = self.owed.copy()
        if self.unmet == "backlog":
            owed[:, 0] += self.waiting_share * self._served_before()[2]
        return owed

    def _served_before(self) -> tuple[Floats, Floats, Floats]:
        """What is asked for before the first period planned, (N,) units each: served from stock,
        served from the goods due in that period, and not served."""
        there = np.nan_to_num(counted_stock(self.rows)).clip(0.0)
        from_stock = np.minimum(there, self.asked_before)
        from_due = np.minimum(self.due[:, 0], self.asked_before - from_stock)
        return from_stock, from_due, self.asked_before - from_stock - from_due

    def with_state(self, rows: pl.DataFrame, due: Floats) -> PlanningInputs:
        """The same inputs with other stock, terms or deliveries; what is due in the first period is
        on hand."""
        return replace(self, rows=rows, due=due).stocked()

    def stocked(self) -> PlanningInputs:
        """The same with what the first period planned begins with: what arrives in it on hand, the
        rest on order; `stock` is what the records say.

        What arrives today counts as stock, but cannot hide a record that contradicts itself.
        """
        left, due = self.opening
        on_hand = np.where(left >= 0, left + due[:, 0], left)
        rows = self.rows.with_columns(
            on_hand=pl.Series(on_hand).fill_nan(None),
            on_order=pl.Series(due[:, 1:].sum(axis=1), dtype=pl.Float64),
            asked_before=pl.Series(self.asked_before, dtype=pl.Float64),
        )
        return replace(self, rows=rows)


def read_unmet(con: duckdb.DuckDBPyConnection) -> tuple[Unmet, float]:
    """What the world says of demand that is not met: whether it is lost or waits, and the share of
    it that waits where customers do; all of it, where the world does not say."""
    said = frame(con, "select * from raw.world").to_dicts()
    if not said or said[0]["unmet"] != "backlog":
        return "lost", 1.0
    share = said[0].get("waiting_share")  # a home of before it could be said has no such column
    return "backlog", 1.0 if share is None else float(share)


def read_planning_inputs(
    con: duckdb.DuckDBPyConnection,
    timeline: Timeline,
    forecast: Forecast,
    *,
    unmet: Unmet,
    waiting_share: float = 1.0,
) -> PlanningInputs:
    """Read what the next plan is made from, at Now. forecast: from the first period planned on, and
    the means of those before it that are not reported yet. unmet, waiting_share: as `Economics`."""
    horizon = len(forecast.period_starts)
    nodes = read_nodes(con)
    bills = Bills.of(con.execute(BILLS).pl(), nodes)
    history = with_use(read_history(con, nodes, timeline), bills, nodes)
    opening = read_current_opening(con, nodes, timeline, horizon)
    asked_before = read_asked_before(con, nodes, timeline, forecast)
    if opening is None:  # a world without stock records plans from an assumed start, and says so
        opening = assumed_opening(
            history,
            sources=sources_of(nodes),
            lead_time=nodes["lead_time_periods"].cast(pl.Int64).fill_null(1).to_numpy(),
            review=timeline.review,
        )
        asked_before = np.zeros(nodes.height)
    calendar = read_calendar(con, timeline)
    past = read_lead_times(con, timeline, timeline.origin)
    sampled = expected_lead_times(nodes, past, timeline)
    rows = _with_promises(con, nodes, timeline).with_columns(stock=pl.Series(opening.on_hand))
    rows = rows.join(frame(con, BESIDE), on=SERIES, how="left", maintain_order="left")
    usual = read_usual(con, nodes, timeline)
    rows = with_kits(rows, frame(con, KITS), usual)
    sold = frame(con, SOLD_BY)
    rows = rows.join(sold, on=["item_id", "from_id"], how="left", maintain_order="left")
    rows, waiting = dated(rows, calendar, timeline, horizon=horizon)
    owed = read_customer_orders(con, nodes, timeline, horizon=horizon)
    rows = rows.with_columns(ordered_by_customers=pl.Series(owed.sum(axis=1), dtype=pl.Float64))
    return PlanningInputs(
        timeline=timeline,
        unmet=unmet,
        waiting_share=waiting_share,
        rows=rows,
        due=opening.due,
        history=history,
        usual=usual,
        asked_before=asked_before,
        lead_time_paths=None if sampled is None else np.maximum(sampled + waiting[:, None], 0),
        past_lead_times=past,
        phase=weeks(timeline, timeline.origin, history.shape[1], horizon),
        limits=read_limits(con),
        minimums=[replace(one, currency=timeline.currency) for one in read_minimums(con)],
        price_breaks=frame(con, PRICES),
        logistics=read_logistics(con, timeline, calendar),
        is_stock_assumed=opening.is_assumed,
        calendar=calendar,
        waiting=waiting,
        owed=owed,
        bills=bills,
    ).stocked()


def with_use(history: Floats, bills: Bills | None, nodes: pl.DataFrame) -> Floats:
    """(N, T) past demand with what making took of parts; what is unknown stays so where the part
    sells as well."""
    if bills is None:
        return history
    used = bills.usual(Echelons(sources_of(nodes)).history(history))
    is_part = np.isin(np.arange(nodes.height), bills.part)
    alone = is_part & np.isnan(history).all(axis=1)
    return np.where(alone[:, None], 0.0, history) + used


def with_kits(rows: pl.DataFrame, kits: pl.DataFrame, usual: Floats) -> pl.DataFrame:
    """The rows with what part of their demand is for kits sold (kit_share, 0 to 1) and for which
    (kits); a shipping place's as that of all it supplies. usual: (N, 2) as `read_usual` has it."""
    if kits.is_empty():
        return rows
    rows = rows.join(kits, on=SERIES, how="left", maintain_order="left")
    share = rows["kit_share"].fill_null(0.0).to_numpy()
    lifted = Echelons(sources_of(rows)).history(np.stack([usual[:, 0], usual[:, 0] * share], 1))
    known, of_kits = lifted.T
    lifted_share = np.divide(of_kits, known, out=np.zeros_like(known), where=known > 0)
    named = pl.col("kits").drop_nulls().str.split(", ").explode().unique().sort().str.join(", ")
    return rows.with_columns(kit_share=pl.Series(lifted_share), kits=named.over("item_id"))


def read_customer_orders(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline, *, horizon: int
) -> Floats:
    """(N, horizon + 1) units that customers wait for: column 0 what is overdue or has no day,
    column k what is due in the k-th period planned. What is due later is left to the forecast."""
    waiting = frame(con, WAITED_FOR)
    owed = np.zeros((nodes.height, horizon + 1))
    rows = locate(waiting, nodes) if waiting.height else ()
    for row, day, units in zip(rows, waiting["due_on"], waiting["quantity"], strict=True):
        ahead = timeline.periods_from(timeline.origin, day) + 1 if day else 0
        if row >= 0 and ahead <= horizon:
            owed[row, max(ahead, 0)] += units
    return owed


def read_nodes(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every planned item and location with its terms and costs, the locations that sell first, then
    the distribution centres."""
    return frame(con, NODES)


def read_history(con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline) -> Floats:
    """(N, T) net demand of every closed period before the first one planned, NaN where unknown."""
    first = timeline.origin
    demand = frame(
        con,
        """
        select item_id, location_id, period_start, quantity from marts.fct_demand
        where is_current and period_start < ?
        """,
        [first],
    )
    if demand.is_empty():
        return np.zeros((nodes.height, 0))
    spec = timeline.spec(1)
    index = spec.index(demand["period_start"])
    oldest, end = int(index.min()), int(spec.index(pl.Series([first]))[0])
    past: Floats = np.full((nodes.height, end - oldest), np.nan)
    row = locate(demand.select(SERIES), nodes)
    values = demand["quantity"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    known = row >= 0
    past[row[known], index[known] - oldest] = values[known]
    return past


def read_usual(con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline) -> Floats:
    """(N, 2) mean demand of a period of the last quarter: with stock-out periods left out, and with
    them taken at what was sold."""
    usual = frame(con, USUAL, [timeline.origin, timeline.origin])
    found = nodes.select(SERIES).join(usual, on=SERIES, how="left", maintain_order="left")
    return found.select(pl.col("known", "as_sold").fill_null(0.0)).to_numpy()


def read_asked_before(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline, forecast: Forecast
) -> Floats:
    """(N,) units expected to be asked for between what the stock counts and the first period
    planned: of each period that is not reported, by the share of its time."""
    asked = np.zeros(nodes.height)
    if forecast.before is None:
        return asked
    counted = nodes.select(SERIES).join(
        frame(con, COUNTED_UNTIL), on=SERIES, how="left", maintain_order="left"
    )
    row = locate(nodes, forecast.keys)
    periods = forecast.before.shape[1]
    for k, mean in enumerate(forecast.before.T.astype(np.float64)):
        start = timeline.shift(timeline.origin, k - periods)
        begins, ends = (
            timeline.instant(day).replace(tzinfo=None) for day in (start, timeline.shift(start, 1))
        )
        open_from = pl.col("stock_as_of").fill_null(begins).clip(begins, ends)
        left = counted.select((ends - open_from).dt.total_seconds()).to_series().to_numpy()
        share = left / (ends - begins).total_seconds()
        asked += np.where(row >= 0, mean[row] * share, 0.0)
    return asked


def read_current_opening(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline, horizon: int
) -> Opening | None:
    """Stock and open orders at Now, or None where the world keeps no stock records."""
    stock = nodes.select(SERIES).join(
        frame(con, STOCK), on=SERIES, how="left", maintain_order="left"
    )
    if stock["stock_known_at"].null_count() == len(stock):
        return None
    unknown = pl.when(pl.col("is_unknown")).then(float("nan")).otherwise("on_hand")
    on_hand = stock.select(unknown.fill_null(0.0)).to_series().to_numpy()
    coming = frame(con, ON_THE_WAY)
    due = due_by_period(coming, nodes, timeline, start=timeline.origin, horizon=horizon)
    return Opening(on_hand, due, is_assumed=False)


def read_past_opening(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    *,
    start: date,
    horizon: int,
) -> Opening | None:
    """Stock and open orders at the midnight beginning a past day, or None where the world kept no
    stock by then.

    A replay starts from it; at Now it says the same as read_current_opening.
    """
    at = {"at": timeline.cutoff(start).replace(tzinfo=None)}
    stock = frame(con, STOCK_AT, at)
    if stock.is_empty():
        return None
    moved = frame(con, MOVED_BY, at).with_columns(untouched=pl.lit(float("nan")))
    state = nodes.select(SERIES).join(stock, on=SERIES, how="left", maintain_order="left")
    state = state.join(moved, on=SERIES, how="left", maintain_order="left")
    on_hand = state.select(pl.coalesce("on_hand", "untouched", 0.0)).to_series()
    coming = frame(con, OPEN_AT, at)
    due = due_by_period(coming, nodes, timeline, start=start, horizon=horizon)
    return Opening(on_hand.to_numpy(), due, is_assumed=False)


def due_by_period(
    orders: pl.DataFrame, nodes: pl.DataFrame, timeline: Timeline, *, start: date, horizon: int
) -> Floats:
    """(N, horizon + 1) units on the way by the period they are due in; what is overdue or undated
    comes in the first.

    orders: item_id, location_id, quantity and due_at (UTC moments) or due_on (local days). An order
    for something no longer planned brings stock to nobody here, nor does one that is due after more
    than YEAR_DAYS, beyond the forecast: its year may be mistyped, and what is needed before it
    comes has to be ordered all the same.
    """
    if "due_on" not in orders.columns:
        moments = orders["due_at"].cast(pl.Datetime)
        orders = orders.with_columns(due_on=timeline.local_days(moments))
    due = np.zeros((len(nodes), horizon + 1))
    rows = locate(orders, nodes)
    for row, day, quantity in zip(rows, orders["due_on"], orders["quantity"], strict=True):
        column = max(0, timeline.periods_from(start, day)) if day else 0
        is_far = day is not None and column > horizon and (day - start).days > YEAR_DAYS
        if row >= 0 and not is_far:
            due[row, min(column, horizon)] += quantity
    return due


def read_lead_times(con: duckdb.DuckDBPyConnection, timeline: Timeline, day: date) -> pl.DataFrame:
    """Every past order's lead time in whole days, as known at the midnight beginning `day`: see
    models.replenishment.lead_times."""
    at = {"at": timeline.cutoff(day).replace(tzinfo=None), "day": day}
    return without_waiting(frame(con, TOOK_BY, at), read_calendar(con, timeline))


def expected_lead_times(
    nodes: pl.DataFrame, past: pl.DataFrame, timeline: Timeline
) -> Integers | None:
    """(N, S) sampled lead times from the orders known so far; None, that is the promise, where none
    was ever placed."""
    days = DAYS_A_PERIOD[timeline.grain]
    return expected(nodes, past, days, SAMPLES, seed=0) if len(past) else None


def read_limits(con: duckdb.DuckDBPyConnection) -> list[Constraint]:
    """The planner's limits on what is ordered now.

    budget: money for all purchases of a review, or for one supplier's. capacity: units a location
    can hold, of which what is there and on the way takes its part. truck_kg: what one delivery to a
    location may weigh. A lane's capacity_kg: what the orders of a review may weigh on it. Service
    levels are not limits but targets.
    """
    found = frame(
        con, "select name, scope, value from marts.fct_constraints where is_current order by all"
    ).iter_rows()
    limits = []
    for name, scope, value in found:
        place = {"location_id": scope}
        if name.startswith("budget"):
            is_all = scope in ALL_PURCHASES
            whose = name if is_all else f"{name} of {scope}"
            limits.append(Constraint(whose, value, "value", {} if is_all else {"from_id": scope}))
        elif name == "capacity":
            limits.append(Constraint(room_of(scope), value, "units", place, counts_stock=True))
        elif name == "truck_kg":
            limits.append(Constraint(f"truck to {scope}", value, "weight_kg", place))
    for start, stop, item, capacity in frame(con, LANE_CAPACITY).iter_rows():
        way = {"from_id": start, "location_id": stop} | ({"item_id": item} if item else {})
        limits.append(Constraint(room_on(start, stop, item), capacity, "weight_kg", way))
    return limits


def read_service_levels(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.Series:
    """The service level promised for each row, empty where none is: the item's, else the
    location's, the category's, everybody's."""
    said = dict(frame(con, STATED, {"name": "service_level"}).iter_rows())
    everybody = pl.Series(["all"] * len(rows), dtype=pl.String)
    words = (rows["item_id"], rows["location_id"], rows["category"], everybody)
    return pl.select(
        pl.coalesce(
            word.cast(pl.String).replace_strict(said, default=None, return_dtype=pl.Float64)
            for word in words
        )
    ).to_series()


def read_logistics(
    con: duckdb.DuckDBPyConnection, timeline: Timeline, calendar: SupplyCalendar | None
) -> Logistics:
    """How goods can travel and be bought now: quoted lanes, suppliers' terms, prices announced, the
    planner's duty_share, and the days of suppliers, lanes and places.

    duty_share: of price and freight, for one supplier or for all. A price rises within reach if no
    later review can still order at the old one.
    """
    lanes = frame(con, "select * from marts.dim_lanes where is_current order by all")
    terms = frame(con, "select * from marts.dim_supplier_terms where is_current order by all")
    duty = frame(con, STATED, {"name": "duty_share"}).iter_rows()
    following = timeline.shift(timeline.origin, timeline.review)
    announced = frame(con, RISES, {"now": timeline.now_at}).iter_rows()
    dated = [(key, cost, timeline.local_day(at)) for *key, cost, at in announced]
    price_increases = {
        (item, supplier): PriceIncrease(cost, day)
        for (item, supplier), cost, day in dated
        if day <= following
    }
    stops = frame(con, "select * from marts.dim_lane_stops order by all")
    days = DAYS_A_PERIOD[timeline.grain]
    today = timeline.origin
    others = con.execute("select * from marts.dim_substitutes order by all").pl()
    return Logistics.of(
        lanes, terms, days, dict(duty), price_increases, stops, calendar, today, others
    )


def read_terms(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline
) -> tuple[Terms, Floats]:
    """What orders of these rows have to obey today, and the service level promised for each (0
    where none is).

    A rehearsal and a replay keep them, so that what is judged is what would be ordered. A limit
    that nobody can keep stops rows in the plan and is told there; here it is left out. A size that
    is not known takes no room.
    """
    rows = _with_promises(con, nodes, timeline)
    sizes = [name for name in ("weight_kg", "volume_m3") if name in rows.columns]
    rows = rows.with_columns(pl.col(*sizes).fill_null(0.0)) if sizes else rows
    constraints, _ = unkeepable(rows, read_limits(con))
    minimums = read_minimums(con)
    breaks = frame(con, PRICES)
    terms = Terms.of(rows, price_breaks=breaks, minimums=minimums, constraints=constraints)
    return terms, rows["service_level"].fill_null(0.0).to_numpy()


def read_minimums(con: duckdb.DuckDBPyConnection) -> list[SupplierMinimum]:
    """The least of a review's purchases that each supplier takes."""
    return [SupplierMinimum(**least) for least in frame(con, MINIMUMS).iter_rows(named=True)]


def weeks(timeline: Timeline, first: date, past: int, ahead: int) -> Integers:
    """The ISO week of every period from `past` before the first planned to `ahead` after: where a
    seasonal rule finds its factor."""
    days = (timeline.shift(first, k - past) for k in range(past + ahead))
    return np.array([day.isocalendar().week for day in days], dtype=np.int64)


def _with_promises(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline
) -> pl.DataFrame:
    """The rows with what a place can hold, how long goods keep there, the service level promised,
    what a place that sells and supplies others keeps for its own customers until the next review
    and, where a supplier's least order counts pallets, what one holds."""
    supplies = (pl.col("role") != "store") & pl.col("is_forecast")
    asked = pl.Series(read_usual(con, nodes, timeline)[:, 0] * timeline.review)
    nodes = nodes.with_columns(kept_back=pl.when(supplies).then(asked).otherwise(0.0))
    rows = nodes.join(frame(con, ROOM), on="location_id", how="left", maintain_order="left")
    if any(least.counts == "pallets" for least in read_minimums(con)):
        rows = rows.join(
            pallets_of(frame(con, UNITS)), on="item_id", how="left", maintain_order="left"
        )
    rows = rows.join(frame(con, KEEPS), on=SERIES, how="left", maintain_order="left")
    periods = (pl.col("shelf_life_days") / DAYS_A_PERIOD[timeline.grain]).floor()
    return rows.with_columns(
        service_level=read_service_levels(con, rows), shelf_life_periods=periods
    )


def pallets_of(units: pl.DataFrame) -> pl.DataFrame:
    """What a pallet of each item holds (item_id, pallet_quantity), by whatever name it has."""
    names = [word for word, name in WORDS.items() if name == "pallet"]
    found = units.filter(pl.col("unit").is_in(names)).group_by("item_id")
    return found.agg(pallet_quantity=pl.col("quantity").min())


def counted_stock(rows: pl.DataFrame) -> Floats:
    """What the records say is there, (N,) units, NaN where nobody ever counted."""
    return rows["stock"].fill_null(np.nan).to_numpy().astype(np.float64).copy()
