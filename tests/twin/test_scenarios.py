"""Laws of what-if: a scenario changes what it says, where and when it says so, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats, Situation
from models.replenishment.calendars import Days, SupplyCalendar, Waits, waits, weekdays
from models.replenishment.policies import CappedBaseStock
from models.twin.event_effects import Effect, Future, Scenario, Tariffs, happens
from models.twin.network import Network
from models.twin.simulator import SimulationResult, simulate
from models.twin.what_if import (
    by_row,
    compare,
    flows,
    orders,
    outcome,
    stock_depth,
    unit_cost_at_shelf,
)

#: Two items, each bought into DC (rows 0, 1) and sold at A and B.
ROWS = pl.DataFrame(
    {
        "item_id": ["x", "y", "x", "x", "y", "y"],
        "location_id": ["DC", "DC", "A", "B", "A", "B"],
        "from_id": ["S1", "S2", "DC", "DC", "DC", "DC"],
        "kind": ["purchase"] * 2 + ["transfer"] * 4,
        "category": ["c", "d", "c", "c", "d", "d"],
    }
)
SOURCES = np.array([-1, -1, 0, 0, 1, 1])
PERIODS = 20
seeds = given(st.integers(0, 10**6))


def network() -> Network:
    economics = Economics(np.full(6, 0.1), np.full(6, 2.0), np.ones(6), np.full(6, 0.5))
    return Network(np.array([4, 3, 1, 2, 1, 2]), economics, SOURCES)


def future(seed: int) -> Future:
    random = np.random.default_rng(seed)
    shape = (6, PERIODS)
    demand = random.poisson(3, shape).astype(float) * (SOURCES >= 0)[:, None]
    money = {name: random.uniform(0.1, 2, shape) for name in ("price", "freight", "fuel", "duty")}
    due = random.integers(0, 9, (6, 4)).astype(float)
    shares = {name: random.uniform(0.1, 0.5, 6) for name in ("fuel_share", "duty_share")}
    return Future(
        rows=ROWS,
        hours=24.0,
        demand=demand,
        lead_times=network().lead_time[:, None] + random.integers(0, 2, shape),
        due=due,
        arriving=due,
        tariffs=Tariffs(**money, **shares),
    )


def run(future: Future, policy: object = None) -> SimulationResult:
    levels = np.array([60.0, 60, 12, 15, 12, 15])
    return simulate(
        network(),
        policy or CappedBaseStock(level=levels, cap=np.inf),  # type: ignore[arg-type]
        future.demand,
        np.array([30.0, 30, 8, 8, 8, 8]),
        pipeline=future.due,
        arriving=future.arriving,
        lead_times=future.lead_times,
    )


def scenario(
    kind: str, scope: dict[str, str], starts: float, ends: float, size: float = 1.0
) -> Scenario:
    return Scenario(kind, kind, (Effect(kind, scope, starts, ends, size),))


def same(a: SimulationResult, b: SimulationResult) -> bool:
    return all((a.books[name] == b.books[name]).all() for name in a.books)


@settings(max_examples=30, deadline=None)
@seeds
def test_a_block_that_no_goods_meet_changes_nothing(seed: int) -> None:
    calm = future(seed)
    quiet = replace(calm, due=np.zeros((6, 4)), arriving=np.zeros((6, 4)))
    # Nothing of y is ever asked for, and enough lies there: its supplier's lane stays empty.
    quiet = replace(quiet, demand=quiet.demand * (ROWS["item_id"] == "x").to_numpy()[:, None])
    for event in (
        scenario("lane_blocked", {"from_id": "S2", "location_id": "DC"}, 0, 24.0 * PERIODS),
        scenario("supplier_down", {"supplier_id": "S2"}, 0, 24.0 * PERIODS),
    ):
        enough = CappedBaseStock(level=np.array([60.0, 0, 12, 15, 8, 8]), cap=np.inf)
        assert same(run(quiet, enough), run(happens(event, quiet), enough))
    # A block between midnights, where goods set out and arrive at midnight, meets none either.
    between = scenario("hub_blocked", {"location_id": "DC"}, 24 * 3 + 1, 24 * 3 + 23)
    assert same(run(calm), run(happens(between, calm)))


def dated(seed: int, shut: str) -> tuple[Future, Waits]:
    """The same future from a Monday on; the lanes to A leave on Wednesdays and Saturdays, and B
    takes nothing in on a day of the week."""
    calm, days = future(seed), [date(2024, 3, 4) + timedelta(k) for k in range(PERIODS)]
    planned = network().lead_time
    rows = ROWS.with_columns(
        lead_time_days=pl.Series(planned.astype(float)),
        lead_time_periods=pl.Series(planned),
        departure_days=pl.when(pl.col("location_id") == "A").then(pl.lit("wed, sat")),
    )
    open_days = Days(frozenset(range(1, 8)) - weekdays(shut))
    found = waits(SupplyCalendar(takes={"B": open_days}), rows, days, days)
    return replace(calm, waits=found), found


@settings(max_examples=30, deadline=None)
@seeds
def test_a_block_holds_goods_on_the_day_they_leave_and_until_the_next_they_can(seed: int) -> None:
    calm, found = dated(seed, "sun")
    to_a = (ROWS["location_id"] == "A").to_numpy()
    lane = {"from_id": "DC", "location_id": "A"}
    # Tuesday: nothing leaves on it, nothing sent on the Saturday before comes on it
    early = replace(calm, lead_times=np.ones_like(calm.lead_times))
    idle = happens(scenario("lane_blocked", lane, 24.0, 47.0), early)
    assert (idle.lead_times == early.lead_times).all()
    # until Thursday: what was decided on Monday to Wednesday waits for Saturday
    held = happens(scenario("lane_blocked", lane, 47.0, 73.0), calm)
    there = calm.lead_times + found.longer
    moved = held.lead_times + found.longer
    assert (moved[~to_a] == there[~to_a]).all()
    for day, saturday in ((0, 5), (1, 4), (2, 3)):
        assert (moved[to_a, day] == saturday + calm.lead_times[to_a, day]).all()
    later = np.arange(PERIODS) > 2
    assert (moved[to_a][:, later] >= there[to_a][:, later]).all()


@settings(max_examples=30, deadline=None)
@seeds
def test_no_event_brings_dated_goods_sooner(seed: int) -> None:
    calm, found = dated(seed, "mon")
    random = np.random.default_rng(seed)
    starts = float(random.uniform(0, 200))
    ends = starts + float(random.uniform(1, 100))
    for kind, scope in (
        ("lane_blocked", {"from_id": "DC", "location_id": "A"}),
        ("hub_blocked", {"location_id": "DC"}),
        ("supplier_down", {"supplier_id": "S1"}),
        ("lead_time_delay", {"location_id": "B"}),
    ):
        changed = happens(scenario(kind, scope, starts, ends), calm)
        assert (changed.lead_times >= calm.lead_times).all(), kind
    free = replace(calm, waits=None)
    zero = replace(calm, waits=Waits(found.longer * 0, found.gaps * 0))
    event = scenario("hub_blocked", {"location_id": "DC"}, starts, ends)
    assert (happens(event, free).lead_times == happens(event, zero).lead_times).all()


@settings(max_examples=30, deadline=None)
@seeds
def test_dearer_fuel_changes_money_and_no_quantity(seed: int) -> None:
    calm = future(seed)
    dear = happens(scenario("fuel_factor", {}, 0, 24.0 * PERIODS, 1.1), calm)
    before, after = run(calm), run(dear)
    assert same(before, after)
    tariffs = calm.tariffs
    more = 0.1 * (tariffs.freight * tariffs.fuel_share[:, None] + tariffs.fuel)
    assert dear.tariffs.total == pytest.approx(tariffs.total + more)
    price = np.full(6, 20.0)
    outcomes = [
        outcome(network(), one, result, price) for one, result in ((calm, before), (dear, after))
    ]
    lost = (
        before.sold * (unit_cost_at_shelf(network(), dear) - unit_cost_at_shelf(network(), calm))
    ).sum()
    assert lost > 0
    assert outcomes[1].margin.sum() == pytest.approx(outcomes[0].margin.sum() - lost)
    assert outcomes[1].freight.sum() == pytest.approx(
        outcomes[0].freight.sum() + (before.shipped * more).sum()
    )


@dataclass(frozen=True)
class Scheduled:
    """Orders the same units every period, whatever happens: what blocks do cannot hide behind what
    a policy does.
    """

    units: Floats
    name: str = "scheduled"

    def order(self, situation: Situation) -> Floats:
        return self.units


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0, 24.0 * 12),
    st.floats(0.1, 100),
    st.floats(0, 100),
    st.sampled_from(["hub_blocked", "lane_blocked", "supplier_down"]),
)
def test_a_longer_block_never_helps(
    seed: int, starts: float, first: float, more: float, kind: str
) -> None:
    calm = future(seed)
    scope = {
        "hub_blocked": {"location_id": "DC"},
        "lane_blocked": {"from_id": "DC", "location_id": "A"},
        "supplier_down": {"supplier_id": "S1"},
    }[kind]
    short, long = (
        happens(scenario(kind, scope, starts, starts + hours), calm)
        for hours in (first, first + more)
    )
    assert (short.lead_times >= calm.lead_times).all() and (
        long.lead_times >= short.lead_times
    ).all()
    policy = Scheduled(np.array([9.0, 9, 3, 3, 3, 3]))
    results = [run(one, policy) for one in (calm, short, long)]
    for better, worse in pairwise(results):
        shelf = slice(2, 6) if kind != "supplier_down" else slice(0, 2)
        came = better.received[shelf].cumsum(axis=1) - worse.received[shelf].cumsum(axis=1)
        # a hub that is short now may share out more later
        if kind == "lane_blocked" or shelf.start == 0:
            assert (came >= -1e-9).all()
            assert (
                worse.lost[shelf].cumsum(axis=1) - better.lost[shelf].cumsum(axis=1) >= -1e-9
            ).all()


def test_hours_are_not_rounded_to_days_before_goods_reach_a_shelf() -> None:
    calm = replace(future(1), lead_times=np.repeat(network().lead_time[:, None], PERIODS, axis=1))
    # Day 2, 20:00 until day 4, 20:00: what sets out at the midnights of days 3 and 4 waits.
    blocked = happens(
        scenario("hub_blocked", {"location_id": "DC"}, 2 * 24 + 20, 4 * 24 + 20), calm
    )
    extra = blocked.lead_times - calm.lead_times
    assert extra[2].tolist() == [0, 0, 0, 2, 1] + [0] * 15  # 44 and 20 hours late
    # Toward DC from S1, four days away: what would come on days 3 and 4 comes on day 5.
    came = np.arange(PERIODS) + blocked.lead_times[0]
    assert came[:3].tolist() == [5, 5, 6] and (extra[0, 1:] == 0).all()
    assert blocked.arriving[0, :4].tolist() == [*calm.due[0, :3], 0.0]
    assert blocked.arriving[0, 5] == calm.due[0, 3]


def hubbed(seed: int, after: float | None) -> Future:
    """A future in which what goes to A passes PORT, so many hours after it set out."""
    calm = future(seed)
    is_a = pl.col("location_id") == "A"
    hub, hours = pl.lit(["PORT"]), pl.lit([after], dtype=pl.List(pl.Float64))
    nothing = pl.lit([], dtype=pl.List(pl.String)), pl.lit([], dtype=pl.List(pl.Float64))
    rows = ROWS.with_columns(
        hubs=pl.when(is_a).then(hub).otherwise(nothing[0]),
        hub_hours=pl.when(is_a).then(hours).otherwise(nothing[1]),
    )
    return replace(calm, rows=rows, lead_times=np.full_like(calm.lead_times, 2))


@seeds
@settings(max_examples=25, deadline=None)
def test_what_would_pass_a_blocked_hub_waits_before_it_and_nothing_else_does(seed: int) -> None:
    calm = hubbed(seed, 30.0)  # of 48 hours on the way
    event = scenario("hub_blocked", {"location_id": "PORT"}, 20 + 96, 68 + 96)  # hour 20 of day 4
    after = happens(event, calm)
    is_a = (ROWS["location_id"] == "A").to_numpy()
    assert np.array_equal(after.lead_times[~is_a], calm.lead_times[~is_a])
    # at the hub at hours 30, 54, 78, 102 | 126, 150 | 174: the 126th waits 38 hours, the 150th 14
    assert (after.lead_times[is_a][:, :7] == [2, 2, 2, 2, 4, 3, 2]).all()
    # what comes in day 5 passed the hub at hour 102, in day 6 at 126, in day 7 at 150
    long = np.zeros((6, 9))
    long[:, 5:8] = [[1.0, 2.0, 4.0]]
    moved = happens(event, replace(calm, due=long, arriving=long)).arriving
    assert np.array_equal(moved[~is_a, :9], long[~is_a])
    assert (moved[is_a][:, 5:9] == [1.0, 0.0, 0.0, 6.0]).all()


@seeds
@settings(max_examples=25, deadline=None)
def test_a_blocked_hub_that_nothing_passes_meanwhile_changes_nothing(seed: int) -> None:
    calm = hubbed(seed, None)  # half-way: at hours 24, 48, ...
    between = happens(scenario("hub_blocked", {"location_id": "PORT"}, 97, 119), calm)
    assert np.array_equal(between.lead_times, calm.lead_times)
    assert np.array_equal(run(between).on_hand, run(calm).on_hand)


def test_policies_expect_open_orders_on_their_old_day_until_it_has_passed() -> None:
    calm = future(3)
    late = happens(scenario("lead_time_delay", {"supplier_id": "S1"}, 48, 72, 5), calm)
    seen: list[float] = []

    class Watching(Scheduled):
        def order(self, situation: Situation) -> Floats:
            seen.append(float(situation.pipeline[0].sum()))
            return self.units

    calm_seen: list[float] = []
    run(late, Watching(np.zeros(6)))
    seen, calm_seen = [], seen
    run(calm, Watching(np.zeros(6)))
    assert calm_seen[:2] == seen[:2] and calm_seen[2] == seen[2] + calm.due[0, 2]


def test_a_surge_is_asked_for_where_and_when_it_is_said() -> None:
    calm = future(2)
    surge = happens(
        scenario("demand_factor", {"location_id": "A", "item_id": "x"}, 24, 72, 3.0), calm
    )
    assert (surge.demand[2, 1:3] == 3 * calm.demand[2, 1:3]).all()
    changed = surge.demand != calm.demand
    assert changed[2].sum() <= 2 and not np.delete(changed, 2, axis=0).any()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (scenario("hub_blocked", {"location_id": "DC9"}, 0, 9), "no location_id is called 'DC9'"),
        (scenario("supplier_down", {"supplier_id": "S7"}, 0, 9), "no supplier_id is called 'S7'"),
        (scenario("fuel_factor", {}, 24.0 * PERIODS, 9999, 1.1), "outside the 20 periods"),
        (scenario("fuel_factor", {}, -48, 0, 1.1), "outside the 20 periods"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused(event: Scenario, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        happens(event, future(0))


@pytest.mark.parametrize("waits", [0.0, 1.0, 0.4])
def test_every_unit_a_customer_gets_is_earned_once_when_it_is_handed_over(waits: float) -> None:
    calm = future(5)
    nothing = np.zeros((6, PERIODS))
    free = replace(calm.tariffs, price=nothing, freight=nothing, fuel=nothing, duty=nothing)
    costs = (np.zeros(6), np.ones(6), np.ones(6), np.zeros(6))
    economics = Economics(*costs, "backlog" if waits else "lost", waits)
    place = Network(network().lead_time, economics, SOURCES)
    scarce = CappedBaseStock(level=np.full(6, 7.0), cap=np.inf)
    result = simulate(place, scarce, calm.demand, np.zeros(6))
    found = outcome(place, replace(calm, tariffs=free), result, np.full(6, 3.0))
    missed = result.owed[:, -1] + (1 - waits) * result.lost.sum(axis=1)
    assert missed.sum() > 0
    assert found.sold == pytest.approx(calm.demand.sum(axis=1) - missed)
    assert found.margin == pytest.approx(3.0 * found.sold)


def test_what_lanes_emit_is_counted_where_they_say_so() -> None:
    told = np.array([0.5, np.nan, 0.1, 0.2, np.nan, np.nan])
    calm = future(3)
    calm = replace(calm, tariffs=replace(calm.tariffs, co2=told))
    event = happens(scenario("hub_blocked", {"location_id": "DC"}, 30, 140), calm)
    results = [run(one) for one in (calm, event)]
    base, changed = (
        outcome(network(), one, result, np.full(6, 20.0))
        for one, result in zip((calm, event), results, strict=True)
    )
    found = compare([base], [changed])["co2_kg"]
    sent = [np.nansum(result.shipped.sum(axis=1) * told) for result in results]
    assert [found["before"], found["after"]] == pytest.approx(sent)


def test_the_tables_add_up_to_the_totals() -> None:
    price = np.full(6, 20.0)
    futures = [future(seed) for seed in range(6)]
    event = scenario("hub_blocked", {"location_id": "DC"}, 30, 140)
    base, changed = (
        [outcome(network(), one, run(one), price) for one in futures]
        for futures in (futures, [happens(event, one) for one in futures])
    )
    totals, table = compare(base, changed), by_row(ROWS, base, changed)
    assert "co2_kg" not in totals, "no lane says what it emits"
    assert table.height == 4 and table["lost_after"].sum() == pytest.approx(totals["lost"]["after"])
    assert totals["lost"]["difference"] == pytest.approx(
        totals["lost"]["after"] - totals["lost"]["before"]
    )
    assert totals["lost"]["lower"] <= totals["lost"]["difference"] <= totals["lost"]["upper"]
    depth = stock_depth(ROWS, range(PERIODS), base, changed)
    assert depth.height == 3 * PERIODS
    assert depth["before"].sum() == pytest.approx(np.mean([one.stock_at.sum() for one in base]))
    assert depth["lost_after"].sum() == pytest.approx(totals["lost"]["after"])
    sells = (ROWS["location_id"] != "DC").to_numpy()
    served = np.mean([one.cost_to_serve[sells].sum() for one in changed])
    assert table["cost_to_serve_after"].sum() == pytest.approx(served)
    for name in ("margin", "cost_to_serve"):
        for word, outcomes in (("before", base), ("after", changed)):
            money = np.array([getattr(one, name)[sells] for one in outcomes])
            for end, share in (("lower", 0.025), ("upper", 0.975)):
                at = np.sort(np.quantile(money, share, axis=0))
                assert table[f"{name}_{word}_{end}"].sort().to_numpy() == pytest.approx(at)
    assert totals["cash"]["after"] == pytest.approx(
        np.mean([one.cash_so_far[-1] for one in changed])
    )
    lines = orders(ROWS, range(PERIODS)[:: network().review], base, changed)
    lanes = flows(ROWS, base, changed)
    assert lines["difference"].sum() == pytest.approx((lanes["after"] - lanes["before"]).sum())
    assert lines.height and (lines["before"] != lines["after"]).any()
    assert orders(ROWS, range(PERIODS)[:: network().review], base, base).is_empty()
    mean = totals["lost"]
    assert mean["mean_lower"] <= mean["difference"] <= mean["mean_upper"]
