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
from models.replenishment.agreed_shares import Lanes, lanes_of, with_other_sources
from models.replenishment.base_policy import Unmet
from models.replenishment.bills_of_materials import Bills, with_parts
from models.replenishment.calendars import SupplyCalendar
from models.replenishment.constraints import (
    Constraint,
    less_stock,
)
from models.replenishment.customer_orders import consumed
from models.replenishment.echelon import Echelons
from models.replenishment.lead_times import expected
from models.replenishment.opening_state import assumed_opening
from models.replenishment.situations import situation_of, sources_of
from models.replenishment.supplier_minimums import SupplierMinimum
from models.replenishment.supply_options import Logistics
from orchestration.facts.opening_stock import read_current_opening
from orchestration.facts.purchase_terms import (
    PRICES,
    read_limits,
    read_logistics,
    read_minimums,
    read_usual,
    with_promises,
)
from orchestration.facts.supplier_units_and_currencies import SOLD_BY
from orchestration.facts.supply_calendar import dated, read_calendar, without_waiting
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home.sql import frame

#: Sampled futures of every item and location, of demand and of lead times alike.
SAMPLES = 200
#: Every planned item and location with its terms and costs, those that sell first, then the
#: distribution centres.
NODES = "select * from marts.dim_item_locations order by role <> 'store', item_id, location_id"
#: What making one of an item takes of its parts.
BILLS = """
    select item_id, part_id, taken, starts_on, ends_on from marts.dim_bills_of_materials
    order by all
"""
#: What customers wait for; without a day, it is due.
WAITED_FOR = "select item_id, location_id, due_on, quantity from marts.fct_customer_orders"
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

    rows: N planned items and locations with terms, costs, other sources (also_from, see
    agreed_shares), on_hand, on_order, capacity, shelf life and promised service level; lead times,
    and the periods an order has to last beyond the review (gap), as the calendar has them for an
    order decided now. due: (N, K) units on the way by period due, column 0 the first period
    planned, whose goods count as on hand. history: (N, T) past demand, NaN unknown. usual: (N, 2)
    mean of the last quarter, with stock-out periods left out as unknown, and taken at what was
    sold. asked_before: (N,) units that are expected to be asked for from what the stock counts
    until the first period planned: the rest of a day that is not over, sales that are reported
    late. They are taken off the stock, then off the goods due in the first period. lead_time_paths:
    (N, S) sampled lead times, None where no order was ever placed; past_lead_times: one row an
    order so far. phase: (T + H,) ISO week of every period from the first of history on.
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
            is_stock_assumed=pl.lit(self.is_stock_assumed),
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
    rows = with_promises(con, nodes, timeline).with_columns(stock=pl.Series(opening.on_hand))
    rows = rows.join(frame(con, BESIDE), on=SERIES, how="left", maintain_order="left")
    usual = read_usual(con, nodes, timeline)
    rows = with_kits(rows, frame(con, KITS), usual)
    rows = _by_lane(rows, frame(con, SOLD_BY), calendar, timeline, horizon=horizon)
    took = lane_lead_times(rows, past, timeline)
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
        lead_time_paths=None if took is None else awaited(rows, took),
        past_lead_times=past,
        phase=weeks(timeline, timeline.origin, history.shape[1], horizon),
        limits=read_limits(con),
        minimums=[replace(one, currency=timeline.currency) for one in read_minimums(con)],
        price_breaks=frame(con, PRICES),
        logistics=read_logistics(con, timeline, calendar),
        is_stock_assumed=opening.is_assumed,
        calendar=calendar,
        owed=owed,
        bills=bills,
    ).stocked()


def _by_lane(
    rows: pl.DataFrame,
    sold: pl.DataFrame,
    calendar: SupplyCalendar | None,
    timeline: Timeline,
    *,
    horizon: int,
) -> pl.DataFrame:
    """The rows, and their other sources, as each supplier counts and as the calendar has them, with
    the periods that orders decided now wait for it (waiting_periods, in lead_time_periods already).
    sold: as SOLD_BY reads."""
    lanes = lanes_of(rows)
    found = lanes.join(sold, on=["item_id", "from_id"], how="left", maintain_order="left")
    found, waiting = dated(found, calendar, timeline, horizon=horizon)
    found = found.with_columns(waiting_periods=pl.Series(waiting))
    own, others = found[: rows.height], found[rows.height :]
    return with_other_sources(own, others)


def lane_lead_times(rows: pl.DataFrame, past: pl.DataFrame, timeline: Timeline) -> Integers | None:
    """(E, S) sampled lead times of the rows' lanes with what their calendars add; None where no
    order was ever placed."""
    lanes = lanes_of(rows)
    sampled = expected_lead_times(lanes, past, timeline)
    if sampled is None:
        return None
    return np.maximum(sampled + lanes["waiting_periods"].to_numpy()[:, None], 0)


def awaited(rows: pl.DataFrame, by_lane: Integers) -> Integers:
    """What the rows wait for, (N, ...), of what their lanes take, (E, ...): the slowest source."""
    lanes = Lanes.of(rows)
    return by_lane if lanes is None else lanes.longest(by_lane)


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


def weeks(timeline: Timeline, first: date, past: int, ahead: int) -> Integers:
    """The ISO week of every period from `past` before the first planned to `ahead` after: where a
    seasonal rule finds its factor."""
    days = (timeline.shift(first, k - past) for k in range(past + ahead))
    return np.array([day.isocalendar().week for day in days], dtype=np.int64)


def counted_stock(rows: pl.DataFrame) -> Floats:
    """What the records say is there, (N,) units, NaN where nobody ever counted."""
    return rows["stock"].fill_null(np.nan).to_numpy().astype(np.float64).copy()
