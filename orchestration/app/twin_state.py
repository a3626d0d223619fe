"""The published state as the twin needs it, and the futures that it may meet.

A future is one sampled path of the published demand forecast with one sampled lead time an order.
Every scenario, measure and policy meets the same futures, within the limits and terms of the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from models.domain import Floats, Integers
from models.replenishment.agreed_shares import lanes_of
from models.replenishment.alternatives import surplus
from models.replenishment.base_policy import RegisteredPolicy
from models.replenishment.calendars import Waits
from models.replenishment.decision import Terms
from models.replenishment.supply_options import Logistics, SupplyOptions
from models.twin.ageing import Shelf
from models.twin.counter_measures import Line, carried_out
from models.twin.event_effects import Future, Tariffs, check, happens, in_force
from models.twin.network import Network
from models.twin.outlook import Outlook
from models.twin.scenarios import Scenario
from models.twin.simulator import InForce, SimulationResult, simulate
from models.twin.what_if import Outcome, outcome
from orchestration.app.published_plan import Published
from orchestration.app.replan_state import State
from orchestration.app.scenario_fit import refuse_idle
from orchestration.facts.planning_inputs import lane_lead_times, weeks
from orchestration.facts.supply_calendar import waits_of
from orchestration.facts.timeline import DAYS_A_PERIOD
from orchestration.landing.contract.errors import ContractError
from orchestration.planning.replay import network_of

#: Futures are drawn from the forecast with another seed than the paths that decisions look at:
#: nobody sees the future he meets.
FUTURES_SEED = 1
#: Row by row it is kept for so many futures what they lose: measures are sized on these.
LOOKED_AT = 40


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The published state as the simulator needs it, and the futures it may meet.

    lanes: a row a lane, the planned rows first and then their other sources, with the mode of each
    and the hubs on it. lead_time_paths: (E, S) what is expected of orders on them. scales: by
    policy, what the last rehearsal tuned for it. shelf: how long goods keep, and until when those
    there can be sold.
    """

    published: Published
    lanes: pl.DataFrame
    lead_time_paths: Integers | None
    demand: Floats  # (N, P, T): sampled futures
    network: Network
    tariffs: Tariffs
    price: Floats
    terms: tuple[Terms, ...]
    service_level: Floats
    shelf: Shelf
    scales: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        published: Published,
        demand: Floats,
        terms: Terms,
        service_level: Floats,
        scales: Mapping[str, float],
        lots: Floats,
    ) -> Twin:
        """From what was published, demand paths to come (N, P, T), what the line's orders obey, and
        until when the stock can be sold, (N, K) as in `Shelf`.
        """
        inputs = published.inputs
        lanes = _with_ways(lanes_of(inputs.rows), inputs.logistics)
        took = lane_lead_times(inputs.rows, inputs.past_lead_times, inputs.timeline)
        return cls(
            published=published,
            lanes=lanes,
            lead_time_paths=took,
            demand=demand.astype(np.float64),
            network=network_of(
                inputs.rows, inputs.timeline.review, inputs.unmet, inputs.waiting_share
            ),
            tariffs=tariffs_of(lanes, inputs.logistics, demand.shape[2]),
            price=inputs.rows["price"].cast(pl.Float64).fill_null(0.0).to_numpy(),
            terms=(terms,) * demand.shape[2],
            service_level=service_level,
            shelf=Shelf(life=terms.life[: len(demand)], lots=lots),
            scales=scales,
        )

    @property
    def rows(self) -> pl.DataFrame:
        """The planned items and places."""
        return self.published.inputs.rows

    @property
    def periods(self) -> int:
        """How many periods a future has, T."""
        return self.demand.shape[2]

    @property
    def hours(self) -> float:
        """Hours of a period."""
        return 24 * DAYS_A_PERIOD[self.published.inputs.timeline.grain]

    @cached_property
    def outlook(self) -> Outlook:
        """The published forecast, which every decision in every future looks at."""
        published = self.published
        return Outlook(published.inputs.with_parts(published.paths), self.network)

    @cached_property
    def stock(self) -> Floats:
        """Units on hand before the first period, (N,)."""
        return np.nan_to_num(self.published.inputs.opening[0]).clip(0.0)

    @cached_property
    def due(self) -> Floats:
        """Units on the way by the period they are due in, (N, K)."""
        return self.published.inputs.opening[1]

    @cached_property
    def due_by_lane(self) -> Floats:
        """As `due`, (E, K)."""
        return self.network.by_lane(self.due)

    @cached_property
    def dated(self) -> tuple[float, float]:
        """Units of the stock that can spoil in a future: those with a date on record, and all."""
        nodes = self.shelf.spoils(self.network, self.periods)
        stock = self.stock[nodes]
        known = self.shelf.lots[nodes].sum(axis=1) if self.shelf.lots.size else 0.0 * stock
        return float(np.minimum(known, stock).sum()), float(stock.sum())

    @cached_property
    def options(self) -> SupplyOptions:
        """By which ways goods can get to each row, and what each can give away."""
        inputs = self.published.inputs
        seen = State(inputs=inputs, paths=self.published.paths).situation()
        return SupplyOptions.of(inputs.rows, surplus(seen), inputs.logistics)

    @cached_property
    def _phase(self) -> np.ndarray:
        timeline, past = self.published.inputs.timeline, self.published.inputs.history.shape[1]
        horizon = self.published.paths.shape[2]
        return weeks(timeline, timeline.origin, past, self.periods + horizon)

    @cached_property
    def waits(self) -> Waits | None:
        """What calendars add to the lead time of an order of each period; that of the first is in
        the rows already.
        """
        inputs = self.published.inputs
        timeline, rows = inputs.timeline, self.lanes
        if inputs.calendar is None:
            return None
        days = [timeline.shift(timeline.origin, k) for k in range(self.periods)]
        waiting = rows["waiting_periods"].to_numpy()
        own = pl.Series(self.network.lead_time - waiting)
        found = waits_of(inputs.calendar, rows.with_columns(lead_time_periods=own), timeline, days)
        if found is None:
            return None
        return found.beyond(waiting).within(
            self.network.lead_time, timeline.review, self.published.paths.shape[2]
        )

    def check(self, scenarios: Sequence[Scenario]) -> None:
        """Refuse, with its place in its file, an event that cannot happen here, or would change
        nothing."""
        plain = self.future(0)
        for scenario in scenarios:
            for effect in scenario.effects:
                try:
                    check(effect, plain)
                    refuse_idle(effect, plain)
                except ValueError as error:
                    raise ContractError(str(error), where=effect.where) from None

    def future(self, number: int) -> Future:
        """One way things may go: a demand path, and a sampled lead time for an order of each lane
        and period.
        """
        random = np.random.default_rng([FUTURES_SEED, number])
        shape = (self.lanes.height, self.periods)
        took = np.repeat(self.network.lead_time[:, None], self.periods, axis=1)
        if self.lead_time_paths is not None:
            drawn = random.integers(0, self.lead_time_paths.shape[1], shape)
            took = np.take_along_axis(self.lead_time_paths, drawn, axis=1)
        return Future(
            rows=self.lanes,
            hours=self.hours,
            demand=self.demand[:, number],
            lead_times=took.astype(np.int64),
            due=self.due_by_lane,
            arriving=self.due_by_lane,
            tariffs=self.tariffs,
            terms=self.terms,
            waits=self.waits,
        )

    def live(
        self,
        future: Future,
        policy: RegisteredPolicy | None = None,
        taken: Floats | None = None,
        told: InForce | None = None,
    ) -> SimulationResult:
        """Let a policy, the champion unless the future or the caller says another, run the stock
        through a future, within the line's limits and terms.

        taken: (N,) units that have left the stock already. told: what policies that look at events
        are told of them.
        """
        inputs = self.published.inputs
        return simulate(
            self.network,
            policy or future.policy or self.published.policy,
            future.demand,
            self.stock if taken is None else np.maximum(self.stock - taken, 0.0),
            pipeline=future.due,
            arriving=future.arriving,
            history=inputs.history,
            forecaster=self.outlook,
            lead_times=future.lead_times,
            lead_time_paths=self.lead_time_paths,
            phase=self._phase,
            terms=future.terms,
            service_level=self.service_level,
            withdrawn=future.withdrawn,
            waits=future.waits,
            shelf=self.shelf,
            queues=future.queues,
            told=told,
            record=("shipped", "lost", "on_hand", "owed"),
        )

    def lived(
        self,
        number: int,
        scenarios: Sequence[Scenario],
        policy: RegisteredPolicy | None = None,
    ) -> list[Outcome]:
        """What becomes of a future, and of the same with each scenario; quantities that a scenario
        leaves alone are not run again.
        """
        plain, is_looked_at = self.future(number), number < LOOKED_AT
        result = self.live(plain, policy)
        outcomes = [outcome(self.network, plain, result, self.price, by_row=is_looked_at)]
        for scenario in scenarios:
            future = happens(scenario.in_future(FUTURES_SEED, number), plain)
            is_moved = not future.moves_goods_like(plain)
            told = in_force(plain, future) if policy is not None and policy.sees_events else None
            after = self.live(future, policy, told=told) if is_moved else result
            outcomes.append(outcome(self.network, future, after, self.price, by_row=is_looked_at))
        return outcomes

    def measured(self, number: int, scenario: Scenario, lines: Sequence[Line]) -> Outcome:
        """What becomes of a future with a scenario in it, where these lines are ordered now."""
        future = happens(scenario.in_future(FUTURES_SEED, number), self.future(number))
        future, taken = carried_out(lines, future)
        after = self.live(future, taken=taken)
        return outcome(self.network, future, after, self.price, by_row=False)


def _with_ways(rows: pl.DataFrame, by: Logistics) -> pl.DataFrame:
    """The rows with the mode of the lane each is supplied by, where lanes have one, and the hubs
    that goods pass on it, each with the hours after departure (empty: half-way)."""
    modes: list[str | None] = []
    hubs: list[list[str]] = []
    hours: list[list[float | None]] = []
    for row in rows.iter_rows(named=True):
        lanes = by.between(row["from_id"], row["location_id"], row["item_id"])
        modes.append(lanes[0].get("mode") if lanes else None)
        stops = by.passed(row["from_id"], row["location_id"], modes[-1])
        hubs.append([stop["hub_id"] for stop in stops])
        hours.append([None if x["after_days"] is None else 24 * x["after_days"] for x in stops])
    if any(modes):
        rows = rows.with_columns(mode=pl.Series(modes, dtype=pl.String))
    if any(hubs):
        rows = rows.with_columns(
            hubs=pl.Series(hubs, dtype=pl.List(pl.String)),
            hub_hours=pl.Series(hours, dtype=pl.List(pl.Float64)),
        )
    return rows


def tariffs_of(rows: pl.DataFrame, logistics: Logistics, periods: int) -> Tariffs:
    """What it costs to bring a unit of each row, the same in every period until a scenario changes
    it.
    """
    found = []
    for row in rows.iter_rows(named=True):
        is_bought = row["kind"] == "purchase"
        duty_share = logistics.duty(row["from_id"]) if is_bought else 0.0
        leg = logistics.leg(
            row,
            row["location_id"],
            (row["unit_cost"] or 0.0) if is_bought else 0.0,
            duty_share=duty_share,
        )
        parts = (leg.price, leg.freight, leg.fuel, leg.duty)
        found.append(
            [*map(float, parts), logistics.fuel_share(row), duty_share, logistics.co2(row)]
        )
    columns = np.array(found, dtype=np.float64).reshape(-1, 7).T
    price, freight, fuel, duty = (
        np.repeat(column[:, None], periods, axis=1) for column in columns[:4]
    )
    return Tariffs(
        price=price,
        freight=freight,
        fuel=fuel,
        duty=duty,
        fuel_share=columns[4],
        duty_share=columns[5],
        co2=columns[6],
    )
