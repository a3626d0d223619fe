"""Plan some items again from what is published: with what was planned, and with what is known now
of delays, closures and surges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers, OrderLine, Situation
from models.procurement.disruptions import Disruption
from models.replenishment.agreed_shares import lanes_of, with_other_sources
from models.replenishment.alternatives import Rescue
from models.replenishment.echelon import echelon_view
from models.replenishment.overrides import Override
from models.replenishment.plan import Plan
from models.replenishment.policies import RegisteredPolicy
from models.replenishment.situations import situation_of, sources_of
from models.replenishment.stock_projection import drawn_out
from orchestration.facts.opening_stock import due_by_period
from orchestration.facts.planning_inputs import PlanningInputs, awaited, counted_stock
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.planning.plan import make_plan


@dataclass(frozen=True, kw_only=True)
class State:
    """The concerned items at one moment: what a plan is made from, sampled demand (N, S, H) of the
    periods from the next one on.

    inputs.rows have lead_time_periods with every delay in it, supplier_periods without that of a
    closed destination, and opens_in: the first period in which the place takes goods again.
    """

    inputs: PlanningInputs
    paths: Floats

    @property
    def rows(self) -> pl.DataFrame:
        """The N rows as they stand, with what is due in the first period on hand."""
        return self.inputs.rows

    @property
    def starts(self) -> list[date]:
        """The first days of the periods that the futures cover."""
        timeline = self.inputs.timeline
        return [timeline.shift(timeline.origin, k) for k in range(self.paths.shape[2])]

    def plan(self, policy: RegisteredPolicy, overrides: Sequence[Override]) -> Plan:
        """What the line would order in this state."""
        return make_plan(self.inputs, self.paths, self.starts, policy, overrides)

    def situation(self) -> Situation:
        """The state as policies see it at planned lead times, a centre as its echelon."""
        seen = situation_of(
            self.rows,
            self.paths,
            history=None,
            pipeline=self.inputs.due[:, 1:],
            lead_time_paths=None,
            phase=None,
            review=self.inputs.timeline.review,
            unmet=self.inputs.unmet,
            order_cost=0.0,
        )
        return echelon_view(seen, sources_of(self.rows))

    def ordered(self, lines: Iterable[OrderLine]) -> State:
        """The state with lines ordered: each is due when it says, and what a place ships has left
        it."""
        due, stock = self.inputs.due.copy(), counted_stock(self.rows)
        where, timeline = _index(self.rows), self.inputs.timeline
        for line in lines:
            row = where[line.item_id, line.location_id]
            comes = timeline.periods_from(timeline.origin, line.due_on)
            due[row, min(comes, due.shape[1] - 1)] += line.quantity
            if line.kind == "transfer" and (line.item_id, line.from_id) in where:
                stock[where[line.item_id, line.from_id]] -= line.quantity
        return self._with(stock, due)

    def rescued(self, rescues: Sequence[Rescue]) -> State:
        """The state with the rescues under way; what another place gives has left it."""
        due, stock = self.inputs.due.copy(), counted_stock(self.rows)
        where = _index(self.rows)
        for one in rescues:
            due[one.row, min(one.way.periods, due.shape[1] - 1)] += one.quantity
            if one.way.kind == "transfer":
                stock[where[self.rows["item_id"][one.row], one.way.from_id]] -= one.quantity
        return self._with(stock, due)

    def _with(self, stock: Floats, due: Floats) -> State:
        rows = self.rows.with_columns(stock=pl.Series(stock))
        return replace(self, inputs=self.inputs.with_state(rows, due))


def state_of(
    inputs: PlanningInputs,
    paths: Floats,
    arrivals: pl.DataFrame,
    happened: Sequence[Disruption] = (),
) -> State:
    """Inputs, futures and deliveries (item_id, location_id, from_id, quantity, due_on) as one
    state, with what happened in it.

    The futures are drawn out with their last review interval where delays make the window longer
    than the forecast.
    """
    moved = _Moved.of(inputs, paths)
    for event in happened:
        moved.suffer(event)
    delay = awaited(inputs.rows, moved.lead) - awaited(inputs.rows, moved.planned)
    if (longer := int(delay.max(initial=0))) > 0:
        moved.paths = drawn_out(moved.paths, longer, inputs.timeline.review)
    days = [
        _delayed(day, place, source, happened)
        for place, source, day in arrivals.select("location_id", "from_id", "due_on").iter_rows()
    ]
    coming = arrivals.with_columns(due_on=pl.Series(days, dtype=pl.Date))
    timeline, horizon = inputs.timeline, moved.paths.shape[2]
    lanes = moved.lanes.with_columns(
        # One that is not known stays so: the plan lists it.
        lead_time_periods=pl.when(pl.col("lead_time_periods").is_not_null()).then(
            pl.Series(moved.lead)
        ),
        supplier_periods=pl.Series(moved.supplier),
        opens_in=pl.Series(moved.opens),
    )
    count = inputs.rows.height
    rows = with_other_sources(lanes[:count], lanes[count:])
    due = due_by_period(coming, rows, timeline, start=timeline.origin, horizon=horizon)
    late = inputs.lead_time_paths
    late = None if late is None else late + delay[:, None]
    disturbed = replace(inputs, lead_time_paths=late).with_state(rows, due)
    return State(inputs=disturbed, paths=moved.paths)


@dataclass(kw_only=True)
class _Moved:
    """Lead times of the rows' lanes, (E,), and futures of the rows while one event after the other
    is laid over them."""

    inputs: PlanningInputs
    lanes: pl.DataFrame
    starts: list[date]
    planned: Integers
    lead: Integers
    supplier: Integers
    opens: Integers
    paths: Floats

    @classmethod
    def of(cls, inputs: PlanningInputs, paths: Floats) -> _Moved:
        timeline = inputs.timeline
        lanes = lanes_of(inputs.rows)
        planned = lanes["lead_time_periods"].fill_null(0).to_numpy().astype(np.int64)
        return cls(
            inputs=inputs,
            lanes=lanes,
            starts=[timeline.shift(timeline.origin, k) for k in range(paths.shape[2])],
            planned=planned,
            lead=planned.copy(),
            supplier=planned.copy(),
            opens=np.zeros_like(planned),
            paths=paths.copy(),
        )

    def suffer(self, event: Disruption) -> None:
        """Lay one event over what is known so far."""
        rows, count = self.lanes, self.inputs.rows.height
        concerned = event.rows(rows).to_numpy()
        is_now = event.starts_on <= self.starts[0] <= event.ends_on
        inside = np.array([event.starts_on <= day <= event.ends_on for day in self.starts])
        if event.kind == "demand_factor":
            self.paths[
                np.ix_(concerned[:count], np.ones(self.paths.shape[1], dtype=bool), inside)
            ] *= event.size
        elif event.kind == "lead_time_delay":
            late = concerned & (rows["kind"] == "purchase").to_numpy() & is_now
            periods = math.ceil(event.size / DAYS_A_PERIOD[self.inputs.timeline.grain])
            self.lead[late] += periods
            self.supplier[late] += periods
        else:
            self._close(event, concerned, inside, is_now=is_now)

    def _close(
        self, event: Disruption, concerned: np.ndarray, inside: np.ndarray, *, is_now: bool
    ) -> None:
        timeline = self.inputs.timeline
        closes = _periods_until(timeline, event.starts_on)
        reopens = _periods_until(timeline, event.ends_on + timedelta(days=1))
        there = (self.lanes["location_id"] == event.scope["location_id"]).to_numpy()
        shut = there & (self.lead >= closes)
        self.lead[shut] = np.maximum(self.lead[shut], reopens)
        if is_now:
            self.opens[there] = reopens
            self.lead[concerned & ~there] += reopens
        here = there[: self.inputs.rows.height]
        self.paths[np.ix_(here, np.ones(self.paths.shape[1], dtype=bool), inside)] = 0.0


def _delayed(day: date, place: str, source: str, happened: Sequence[Disruption]) -> date:
    """When a delivery that was to come on a day really comes."""
    for event in happened:
        if not event.starts_on <= day <= event.ends_on:
            continue
        supplier, where = (
            event.scope.get("supplier_id", source),
            event.scope.get("location_id", place),
        )
        if event.kind == "lead_time_delay" and (supplier, where) == (source, place):
            day += timedelta(days=math.ceil(event.size))
        elif event.kind == "location_closed" and event.scope["location_id"] == place:
            day = event.ends_on + timedelta(days=1)
    return day


def _periods_until(timeline: Timeline, day: date) -> int:
    """How many periods after the first planned one a day falls; 0 for what is past."""
    return max(0, timeline.periods_from(timeline.origin, day))


def _index(rows: pl.DataFrame) -> dict[tuple[str, str], int]:
    """The row of every item and location."""
    return {(item, place): row for row, (item, place) in enumerate(rows.select(SERIES).iter_rows())}
