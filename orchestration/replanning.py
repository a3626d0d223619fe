"""Plan some items again from what is published: with what was planned, with what is known now, and with faster ways where they pay.

Freight and transit of a way nobody quoted are composed of quoted lanes: goods that go from one place to another past the centre take
as long and cost as much as over it; goods sent straight to a place take the supplier's time to the centre and the lane from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers, OrderLine, Policy, Situation
from models.procurement.disruptions import Disruption
from models.replenishment.constraints import Constraint
from models.replenishment.echelon import echelon_view
from models.replenishment.landed_cost import Alternative, compare_alternatives
from models.replenishment.minimums import SupplierMinimum
from models.replenishment.overrides import Override
from models.replenishment.plan import Plan, plan
from models.replenishment.projection import project, rows_of
from models.replenishment.situations import situation_of, sources_of
from orchestration.timeline import DAYS_A_PERIOD, Timeline

#: A faster way is tried in these sizes: so much of the shortage it could prevent, as quantiles over the sampled futures.
SIZES = (0.5, 0.8, 0.95)
#: A giver keeps what it needs itself in all but this share of the futures.
RISK = 0.05
#: Expected money below which nobody would lift a telephone.
LEAST_SAVING = 1.0


@dataclass(frozen=True)
class State:
    """The concerned items at one moment: N rows of dim_item_locations with on_hand, paths (N, S, H), due (N, H + 1) by period.

    rows have lead_time_periods with every delay in it, supplier_periods without that of a closed destination, and opens_in: the first
    period in which the place takes goods again. delay: (N,) periods that what happened adds to each row's lead time.
    """

    rows: pl.DataFrame
    paths: Floats
    due: Floats
    delay: Integers

    @property
    def stocked(self) -> pl.DataFrame:
        """The rows with what is due in the first period on hand, and the rest on order."""
        return self.rows.with_columns(
            on_hand=pl.Series(self.rows["on_hand"].to_numpy() + self.due[:, 0]), on_order=pl.Series(self.due[:, 1:].sum(axis=1))
        )


@dataclass(frozen=True)
class Way:
    """One way to get goods to a row sooner: from whom, as which kind of order, in how many periods, at what cost a unit at the door."""

    name: str
    kind: str
    from_id: str
    periods: int
    unit_cost: float  # what the order says
    landed: float  # with freight
    moq: float
    multiple: float
    most: float = math.inf

    def quantity(self, wanted: float) -> float:
        """The least orderable quantity at or above what is wanted, or as much as there is."""
        asked = math.ceil(round(max(wanted, self.moq) / self.multiple, 9)) * self.multiple
        return asked if asked <= self.most else math.floor(self.most / self.multiple) * self.multiple


@dataclass(frozen=True)
class Rescue:
    """A faster way that is worth its money for one row: units, extra money paid, and expected money saved all told."""

    row: int
    way: Way
    quantity: float
    extra_cost: float
    saving: float

    @property
    def reason(self) -> str:
        """In words, with the sum."""
        saved = self.saving + self.extra_cost
        return f"{self.quantity:g} units {self.way.name}: costs {self.extra_cost:,.2f} more and saves {saved:,.2f} of shortage"


@dataclass(frozen=True)
class Planner:
    """What a plan of some items needs beside their state; see models.replenishment.plan for each.

    lead_times: (N, S) sampled lead times without what has happened since, None where the promise is all there is.
    """

    timeline: Timeline
    policy: Policy
    unmet: str
    starts: Sequence[date]
    history: Floats
    lead_times: Integers | None
    limits: Sequence[Constraint]
    minimums: Sequence[SupplierMinimum]
    overrides: Sequence[Override]
    price_breaks: pl.DataFrame

    def situation(self, state: State) -> Situation:
        """The state as policies see it, a centre as its echelon."""
        rows = state.stocked
        seen = situation_of(
            rows, state.paths, history=None, pipeline=state.due[:, 1:], lead_time_paths=None, phase=None, review=self.timeline.review,
            unmet="backlog" if self.unmet == "backlog" else "lost", order_cost=0.0,
        )  # fmt: skip
        return echelon_view(seen, sources_of(rows))

    def plan(self, state: State) -> Plan:
        """The policy's orders for the state, within what the planner's limits leave."""
        past, horizon = self.history.shape[1], state.paths.shape[2]
        first = self.starts[0]
        weeks = [self.timeline.shift(first, k - past).isocalendar().week for k in range(past + horizon)]
        starts = [self.timeline.shift(first, k) for k in range(horizon)]
        return plan(
            state.stocked, state.paths, starts, self.policy, world=self.timeline.world, history=self.history,
            pipeline=state.due[:, 1:], review=self.timeline.review, unmet="backlog" if self.unmet == "backlog" else "lost",
            lead_time_paths=None if self.lead_times is None else self.lead_times + state.delay[:, None], constraints=self.limits,
            minimums=self.minimums, overrides=self.overrides, price_breaks=self.price_breaks, phase=np.array(weeks, dtype=np.int64),
        )  # fmt: skip

    def periods_until(self, day: date) -> int:
        """How many periods after the first one a day falls; 0 for what is past."""
        spec = self.timeline.spec(1)
        first, then = spec.index(pl.Series([self.starts[0]])), spec.index(pl.Series([self.timeline.period_of(day)]))
        return max(0, int(then[0] - first[0]))

    def state(self, rows: pl.DataFrame, paths: Floats, arrivals: pl.DataFrame, happened: Sequence[Disruption] = ()) -> State:
        """Rows, futures and deliveries (item_id, location_id, from_id, quantity, due_on) as one state, with what happened in it.

        The futures are drawn out with their last review interval where delays make the window longer than the forecast.
        """
        planned = rows["lead_time_periods"].to_numpy().astype(np.int64)
        lead, supplier, opens, paths = planned.copy(), planned.copy(), np.zeros_like(planned), paths.copy()
        for event in happened:
            concerned, is_now = event.rows(rows).to_numpy(), event.starts_on <= self.starts[0] <= event.ends_on
            inside = np.array([event.starts_on <= day <= event.ends_on for day in self.starts])
            if event.kind == "demand_factor":
                paths[np.ix_(concerned, np.ones(paths.shape[1], dtype=bool), inside)] *= event.size
            elif event.kind == "lead_time_delay":
                late = concerned & (rows["kind"] == "purchase").to_numpy() & is_now
                for periods in (lead, supplier):
                    periods[late] += _up(event.size, DAYS_A_PERIOD[self.timeline.grain])
            else:
                closes, reopens = self.periods_until(event.starts_on), self.periods_until(event.ends_on + timedelta(days=1))
                there = (rows["location_id"] == event.scope["location_id"]).to_numpy()
                lead[there & (lead >= closes)] = np.maximum(lead[there & (lead >= closes)], reopens)
                if is_now:
                    opens[there], lead[concerned & ~there] = reopens, lead[concerned & ~there] + reopens
                paths[np.ix_(there, np.ones(paths.shape[1], dtype=bool), inside)] = 0.0
        slowest = lead if self.lead_times is None else np.maximum(lead, self.lead_times.max(axis=1) + lead - planned)
        is_transfer = (rows["kind"] == "transfer").to_numpy()
        longest = int(slowest.max(initial=0)) + int(slowest[is_transfer].max(initial=0)) + self.timeline.review
        if (missing := longest - paths.shape[2]) > 0:
            tail = paths[:, :, -self.timeline.review :]
            paths = np.concatenate([paths, np.tile(tail, (1, 1, -(-missing // tail.shape[2])))[:, :, :missing]], axis=2)
        due = np.zeros((rows.height, paths.shape[2] + 1))
        at = {key: row for row, key in enumerate(rows.select(SERIES).iter_rows())}
        for item, place, source, quantity, day in arrivals.select(*SERIES, "from_id", "quantity", "due_on").iter_rows():
            if (item, place) in at:
                due[at[item, place], min(self.periods_until(_delayed(day, place, source, happened)), paths.shape[2])] += quantity
        delayed = {"lead_time_periods": lead, "supplier_periods": supplier, "opens_in": opens}
        return State(rows.with_columns(pl.Series(name, periods) for name, periods in delayed.items()), paths, due, lead - planned)

    def rescues(self, before: State, after: State, lanes: pl.DataFrame, terms: pl.DataFrame) -> list[Rescue]:
        """The faster ways worth their money, for rows that are shorter after than before; both states with their own plan ordered."""
        rows, where = after.rows, _index(after.rows)
        system, usual = self.situation(after), self.situation(before)
        shorter = np.flatnonzero(_shortage(system) > _shortage(usual) + 1e-9)
        surplus = np.where(rows["opens_in"].to_numpy() > 0, 0.0, self._surplus(system))  # a closed place gives nothing
        found = []
        for i in shorter:
            row = rows.row(int(i), named=True)
            ways = list(_ways(rows, int(i), where, surplus, lanes, terms, DAYS_A_PERIOD[self.timeline.grain]))
            best = self._best(int(i), rows_of(system, np.array([i])), row, ways)
            if best is not None:
                found.append(best)
                if best.way.kind == "transfer":
                    surplus[where[row["item_id"], best.way.from_id]] -= best.quantity
        return found

    def _surplus(self, system: Situation) -> Floats:
        """What each row can give away and still last through its own window and one more review, in nearly all futures."""
        last = min(int(system.lead_time.max(initial=0)) + 2 * system.review, 0 if system.paths is None else system.paths.shape[2])
        stock, _ = project(system, last)
        end = np.minimum(system.lead_time + 2 * system.review, last) - 1
        left: Floats = np.quantile(stock[np.arange(len(end)), :, end], RISK, axis=1)
        return np.minimum(left, system.on_hand)

    def _best(self, i: int, situation: Situation, row: Mapping[str, Any], ways: Sequence[Way]) -> Rescue | None:
        """The way and size with the least expected cost for one row, None where waiting is cheapest."""
        latest = int(situation.lead_time[0])
        lane = latest - row["lead_time_periods"]  # an echelon's way down
        usual = np.array([row["unit_cost"] + (row["freight_per_unit"] or 0.0)])
        tried: dict[str, tuple[Way, float]] = {}
        alternatives = [Alternative("wait", np.zeros(1), usual, situation.lead_time.copy())]
        _, unmet = project(situation, latest + situation.review)
        for way in ways:
            arrives = max(way.periods, row["opens_in"]) + lane
            missed = unmet[0, :, arrives:].sum(axis=1)
            if arrives > latest or not missed.any():
                continue
            for size in sorted({way.quantity(float(np.quantile(missed, level))) for level in SIZES} - {0.0}):
                name = f"{way.name} x {size:g}"
                tried[name] = (way, size)
                alternatives.append(Alternative(name, np.array([size]), np.array([way.landed]), np.array([arrives])))
        table = compare_alternatives(situation, alternatives, usual)
        costs = dict(zip(table["alternative"], table["total_cost"], strict=True))
        extra = dict(zip(table["alternative"], table["extra_purchase_cost"], strict=True))
        name = min(costs, key=lambda one: (costs[one], one))
        if name not in tried or costs["wait"] - costs[name] < LEAST_SAVING:
            return None
        way, size = tried[name]
        return Rescue(i, replace(way, periods=max(way.periods, row["opens_in"])), size, extra[name], costs["wait"] - costs[name])


def _delayed(day: date, place: str, source: str, happened: Sequence[Disruption]) -> date:
    """When a delivery that was to come on a day really comes."""
    for event in happened:
        if not event.starts_on <= day <= event.ends_on:
            continue
        reaches = event.scope.get("supplier_id", source) == source and event.scope.get("location_id", place) == place
        if event.kind == "lead_time_delay" and reaches:
            day += timedelta(days=math.ceil(event.size))
        elif event.kind == "location_closed" and event.scope["location_id"] == place:
            day = event.ends_on + timedelta(days=1)
    return day


def ordered(state: State, lines: Iterable[OrderLine]) -> State:
    """The state with lines ordered: each is due after its row's lead time, and what a place ships has left it."""
    due, on_hand = state.due.copy(), state.rows["on_hand"].to_numpy().astype(np.float64).copy()
    where, lead = _index(state.rows), state.rows["lead_time_periods"]
    for line in lines:
        row = where[line.item_id, line.location_id]
        due[row, min(lead[row], due.shape[1] - 1)] += line.quantity
        if line.kind == "transfer" and (line.item_id, line.from_id) in where:
            on_hand[where[line.item_id, line.from_id]] -= line.quantity
    return replace(state, rows=state.rows.with_columns(on_hand=pl.Series(on_hand)), due=due)


def rescued(state: State, rescues: Sequence[Rescue]) -> State:
    """The state with the rescues under way; what another place gives has left it."""
    due, on_hand = state.due.copy(), state.rows["on_hand"].to_numpy().astype(np.float64).copy()
    where = _index(state.rows)
    for one in rescues:
        due[one.row, min(one.way.periods, due.shape[1] - 1)] += one.quantity
        if one.way.kind == "transfer":
            on_hand[where[state.rows["item_id"][one.row], one.way.from_id]] -= one.quantity
    return replace(state, rows=state.rows.with_columns(on_hand=pl.Series(on_hand)), due=due)


def _index(rows: pl.DataFrame) -> dict[tuple[str, str], int]:
    """The row of every item and location."""
    return {(item, place): row for row, (item, place) in enumerate(rows.select(SERIES).iter_rows())}


def _shortage(situation: Situation) -> Floats:
    """Units each row is expected to miss before its window ends, (N,); what comes later is for later orders."""
    horizon = 0 if situation.paths is None else situation.paths.shape[2]
    _, unmet = project(situation, horizon)
    mean = unmet.mean(axis=1)
    inside = np.arange(horizon)[None, :] < (situation.lead_time + situation.review)[:, None]
    short: Floats = np.where(inside, mean, 0.0).sum(axis=1)
    return short


def _ways(
    rows: pl.DataFrame,
    i: int,
    where: Mapping[tuple[str, str], int],
    surplus: Floats,
    lanes: pl.DataFrame,
    terms: pl.DataFrame,
    period: float,
) -> Iterator[Way]:
    """Every way that is not the row's usual one: another place's surplus, straight from the supplier, a faster lane, another supplier."""
    row = rows.row(i, named=True)
    item, freight, multiple = row["item_id"], row["freight_per_unit"] or 0.0, row["order_multiple"] or 1.0
    if row["kind"] == "transfer":
        centre = where.get((item, row["from_id"]))
        beside = rows.filter(
            (pl.col("item_id") == item) & (pl.col("from_id") == row["from_id"]) & (pl.col("location_id") != row["location_id"])
        )
        for other in beside.iter_rows(named=True):
            place, most = other["location_id"], surplus[where[item, other["location_id"]]]
            if most >= multiple:
                days = (row["lead_time_days"] or 0) + (other["lead_time_days"] or 0)
                landed = row["unit_cost"] + freight + (other["freight_per_unit"] or 0.0)
                yield Way(f"from {place}'s surplus", "transfer", place, _up(days, period), row["unit_cost"], landed, 0.0, multiple, most)
        if centre is not None and rows["kind"][centre] == "purchase":
            source = rows.row(centre, named=True)
            periods = source["supplier_periods"] + _up(row["lead_time_days"] or 0, period)
            cost, lot = source["unit_cost"], (source["moq"] or 0.0, source["order_multiple"] or 1.0)
            landed = cost + (source["freight_per_unit"] or 0.0) + freight
            yield Way(f"straight from {source['from_id']}", "purchase", source["from_id"], periods, cost, landed, *lot)
        return
    cost, lot = row["unit_cost"], (row["moq"] or 0.0, multiple)
    is_ours = (pl.col("from_id") == row["from_id"]) & (pl.col("to_id") == row["location_id"]) & pl.col("transit_days").is_not_null()
    own = lanes.filter(is_ours & (pl.col("item_id").is_null() | (pl.col("item_id") == item))).sort("freight_per_kg", nulls_last=True)
    for fast in own[1:].iter_rows(named=True):
        saved = own["transit_days"][0] - fast["transit_days"]
        if saved > 0 and row["weight_kg"] is not None and fast["freight_per_kg"] is not None:
            periods, landed = _up(max(row["lead_time_days"] - saved, 0), period), cost + fast["freight_per_kg"] * row["weight_kg"]
            yield Way(f"by {fast['mode']} from {row['from_id']}", "purchase", row["from_id"], periods, cost, landed, *lot)
    others = terms.filter((pl.col("item_id") == item) & (pl.col("supplier_id") != row["from_id"]) & pl.col("lead_time_days").is_not_null())
    for other in others.sort("supplier_id", "from_quantity").unique("supplier_id", keep="first", maintain_order=True).iter_rows(named=True):
        theirs, lot = other["unit_cost"] or cost, (other["moq"] or 0.0, other["order_multiple"] or 1.0)
        periods, name = _up(other["lead_time_days"], period), other["supplier_id"]
        yield Way(f"from {name} instead", "purchase", name, periods, theirs, theirs + freight, *lot)


def _up(days: float, period: float) -> int:
    return math.ceil(days / period)
