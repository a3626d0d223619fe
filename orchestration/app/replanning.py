"""Plan some items again from what is published: with what was planned, and with what is known now of delays, closures and surges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers, OrderLine, Situation
from models.procurement.disruptions import Disruption
from models.replenishment.alternatives import Rescue
from models.replenishment.constraints import Constraint
from models.replenishment.echelon import echelon_view
from models.replenishment.minimums import SupplierMinimum
from models.replenishment.overrides import Override
from models.replenishment.plan import Plan, plan
from models.replenishment.policies import RegisteredPolicy
from models.replenishment.situations import situation_of, sources_of
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline


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
class Planner:
    """What a plan of some items needs beside their state; see models.replenishment.plan for each.

    lead_times: (N, S) sampled lead times without what has happened since, None where the promise is all there is.
    """

    timeline: Timeline
    policy: RegisteredPolicy
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


def _up(days: float, period: float) -> int:
    return math.ceil(days / period)
