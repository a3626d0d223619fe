"""Laws of every kind of event, of chance and of what depends on what."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats
from models.replenishment.constraints import Constraint, room_on
from models.replenishment.decision import Terms
from models.replenishment.policies import POLICIES, CappedBaseStock, QuantileOrderUpTo
from models.twin.event_effects import Future, Tariffs, happens
from models.twin.network import Network
from models.twin.outlook import Outlook
from models.twin.scenarios import Effect, Scenario, together
from models.twin.simulator import SimulationResult, simulate
from models.twin.what_if import outcome

ROWS = pl.DataFrame(
    {
        "item_id": ["x", "y", "x", "x", "y", "y"],
        "location_id": ["DC", "DC", "A", "B", "A", "B"],
        "from_id": ["S1", "S2", "DC", "DC", "DC", "DC"],
        "kind": ["purchase"] * 2 + ["transfer"] * 4,
        "category": ["c", "d", "c", "c", "d", "d"],
        "mode": ["sea", "air", "road", "road", "road", "road"],
        "unit_cost": [2.0] * 6,
    }
)
SOURCES = np.array([-1, -1, 0, 0, 1, 1])
PERIODS, SAMPLES = 16, 30
LIMITS = [Constraint("capacity of A", 40.0, "units", {"location_id": "A"}, counts_stock=True)]
seeds = given(st.integers(0, 10**6))


def network() -> Network:
    economics = Economics(np.full(6, 0.1), np.full(6, 2.0), np.ones(6), np.full(6, 0.5))
    return Network(np.array([4, 3, 1, 2, 1, 2]), economics, SOURCES)


def future(seed: int) -> Future:
    random = np.random.default_rng(seed)
    shape = (6, PERIODS)
    due = random.integers(0, 9, (6, 4)).astype(float)
    nothing = np.zeros(shape)
    return Future(
        rows=ROWS,
        hours=24.0,
        demand=random.poisson(3, shape).astype(float) * (SOURCES >= 0)[:, None],
        lead_times=network().lead_time[:, None] + random.integers(0, 2, shape),
        due=due,
        arriving=due,
        tariffs=Tariffs(
            price=nothing + 2,
            freight=nothing + 1,
            fuel=nothing,
            duty=nothing,
            fuel_share=np.full(6, 0.3),
            duty_share=np.zeros(6),
        ),
        terms=(Terms.of(ROWS, constraints=LIMITS),) * PERIODS,
    )


def run(future: Future, paths: Floats | None = None) -> SimulationResult:
    usual = CappedBaseStock(level=np.array([60.0, 60, 12, 15, 12, 15]), cap=np.inf)
    drawn = np.random.default_rng(0).poisson(3, (6, SAMPLES, 8)) * (SOURCES >= 0)[:, None, None]
    place = network()
    return simulate(
        place,
        future.policy or usual,
        future.demand,
        np.array([30.0, 30, 8, 8, 8, 8]),
        pipeline=future.due,
        arriving=future.arriving,
        history=np.full((6, 4), 3.0),
        forecaster=Outlook(drawn.astype(np.float32) if paths is None else paths, place),
        lead_times=future.lead_times,
        terms=future.terms,
        withdrawn=future.withdrawn,
        queues=future.queues,
    )


def event(
    kind: str, size: float = 1.0, starts: float = 48, ends: float = 240, **said: str
) -> Effect:
    words = {name: said.pop(name) for name in ("policy", "resource", "supplier") if name in said}
    return Effect(kind, said, starts, ends, size, words)


def of(*effects: Effect, probability: float = 1.0) -> Scenario:
    return Scenario("s", "s", effects, probability)


def same(a: SimulationResult, b: SimulationResult) -> bool:
    return all((a.books[name] == b.books[name]).all() for name in a.books)


@settings(max_examples=15, deadline=None)
@seeds
def test_events_of_no_size_change_nothing(seed: int) -> None:
    calm = future(seed)
    before = run(calm)
    for effect in (
        event("demand_factor", 1.0),
        event("lead_time_delay", 0.0),
        event("port_delay", 0.0, mode="sea"),
        event("capacity_cut", 0.0, location_id="A"),
        event("recall", 0.0, item_id="x"),
        event("new_constraint", 1e9, location_id="B"),
        event("price_factor", 1.0),
        event("duty_added", 0.0),
    ):
        assert same(before, run(happens(of(effect), calm))), effect.kind


@settings(max_examples=15, deadline=None)
@seeds
def test_a_port_holds_what_would_come_meanwhile_and_nothing_else(seed: int) -> None:
    calm = future(seed)
    held = happens(of(event("port_delay", 3.0, starts=24 * 5, ends=24 * 8, mode="sea")), calm)
    arrives = np.arange(PERIODS) + calm.lead_times
    inside = (arrives >= 5) & (arrives < 8) & (ROWS["mode"] == "sea").to_numpy()[:, None]
    assert (held.lead_times == calm.lead_times + 3 * inside).all()
    assert held.arriving.sum() == calm.arriving.sum()


@settings(max_examples=15, deadline=None)
@seeds
def test_a_recall_takes_the_stock_once_and_units_stay_conserved(seed: int) -> None:
    calm = future(seed)
    gone = happens(of(event("recall", 1.0, starts=24 * 6 - 5, item_id="x")), calm)
    result, place = run(gone), network()
    mine = (ROWS["item_id"] == "x").to_numpy()
    assert not result.withdrawn[~mine].any() and not np.delete(result.withdrawn, 6, axis=1).any()
    before = run(calm)
    assert (result.on_hand[:, :6] == before.on_hand[:, :6]).all()
    assert result.withdrawn[mine, 6].sum() > 0
    for node in range(6):
        came = result.shipped[place.to == node].sum(axis=0)
        went = result.shipped[place.supplied_from == node].sum(axis=0)
        held = result.on_hand[node] + result.on_order[node]
        begun = np.concatenate([[result.initial_stock[node]], held[:-1]])
        left = begun + came - went - result.sold[node] - result.withdrawn[node]
        assert left == pytest.approx(held)
    found = outcome(place, gone, result, np.full(6, 9.0))
    at_shelf = np.array([3.0, 3, 6, 6, 6, 6])
    assert found.written_off == pytest.approx(result.withdrawn.sum(axis=1) * at_shelf)
    assert found.margin.sum() == pytest.approx(
        (result.sold * (9 - at_shelf[:, None])).sum()
        - result.holding.sum()
        - found.written_off.sum()
    )


@settings(max_examples=15, deadline=None)
@seeds
def test_a_delisted_item_is_neither_asked_for_nor_ordered_meanwhile(seed: int) -> None:
    result = run(happens(of(event("item_delisted", item_id="y")), future(seed)))
    mine = (ROWS["item_id"] == "y").to_numpy()
    assert not result.demand[mine, 2:10].any() and not result.requested[mine, 2:10].any()
    assert result.demand[mine, 10:].any() and result.demand[~mine, 2:10].any()


@settings(max_examples=15, deadline=None)
@seeds
def test_limits_hold_while_they_last(seed: int) -> None:
    calm = future(seed)
    capped = run(happens(of(event("new_constraint", 2.0, location_id="B")), calm))
    here = (ROWS["location_id"] == "B").to_numpy()
    assert (capped.shipped[here, 2:10].sum(axis=0) <= 2.0 + 1e-9).all()
    cut = run(happens(of(event("capacity_cut", 0.5, location_id="A")), calm))
    at = (ROWS["location_id"] == "A").to_numpy()
    held = np.concatenate([[cut.initial_stock[at].sum()], cut.on_hand[at].sum(axis=0)])
    for t in range(2, 10):  # what is ordered fits beside what is there
        if cut.shipped[at, t].sum() > 0:
            assert cut.shipped[at, t].sum() + held[t] <= 20 + 9 * 4 + 1e-9
    lane = Constraint(room_on("DC", "B"), 8.0, "units", {"from_id": "DC", "location_id": "B"})
    narrow = replace(calm, terms=(Terms.of(ROWS, constraints=[*LIMITS, lane]),) * PERIODS)
    sent = run(narrow).shipped[here].sum(axis=0)
    assert (sent <= 8.0 + 1e-9).all()
    wide = run(calm)
    assert (cut.shipped[at].sum() <= wide.shipped[at].sum()) or (
        cut.shipped[at, 2:10].sum() <= wide.shipped[at, 2:10].sum()
    )


@settings(max_examples=15, deadline=None)
@seeds
def test_what_a_cut_lane_does_not_take_waits_and_leaves_first_next_time(seed: int) -> None:
    lane = Constraint(room_on("DC", "B"), 8.0, "units", {"from_id": "DC", "location_id": "B"})
    usual = replace(future(seed), terms=(Terms.of(ROWS, constraints=[*LIMITS, lane]),) * PERIODS)
    here = (ROWS["location_id"] == "B").to_numpy()

    def cut(share: float, days: float = 8) -> SimulationResult:
        event_ = event("capacity_cut", share, ends=24 * (2 + days), location_id="B", from_id="DC")
        return run(happens(of(event_), usual))

    before, after = run(usual), cut(0.75)
    assert same(before, cut(0.0))
    # nothing more has come than left: 2 units in each period of the cut, 8 in each of the others
    came = after.received[here].sum(axis=0).cumsum()
    open_ = float(usual.arriving[here].sum())
    left = np.array([2.0 if 2 <= t < 10 else 8.0 for t in range(PERIODS)]).cumsum()
    assert (came <= open_ + left + 1e-6).all()
    for node in np.flatnonzero(here):  # and none is lost on the way
        begun = after.initial_stock[node] + after.shipped[node].sum()
        held = after.on_hand[node, -1] + after.on_order[node, -1]
        assert begun - after.sold[node].sum() == pytest.approx(held)
    assert cut(0.9, 12).lost.sum() >= cut(0.9, 4).lost.sum() - 8  # a longer cut never helps much
    assert happens(of(event("capacity_cut", 0.5, location_id="B", from_id="DC")), usual).terms == (
        usual.terms
    )


def test_a_new_policy_decides_and_a_new_supplier_is_not_blocked_with_the_old_one() -> None:
    calm = future(3)
    changed = happens(of(event("new_policy", policy="min_max")), calm)
    assert changed.policy is POLICIES["min_max"] and not changed.moves_goods_like(calm)
    down = event("supplier_down", supplier_id="S1", starts=0, ends=24 * 12)
    other = event("new_supplier", 2.0, starts=0, ends=24 * 12, supplier="S9", supplier_id="S1")
    blocked, replaced = (happens(of(*events), calm) for events in ((down,), (down, other)))
    assert (blocked.lead_times[0, :9] > 4).all()
    assert (replaced.lead_times[0, :12] == 2).all()
    assert (replaced.lead_times[1:] == calm.lead_times[1:]).all()


def test_chance_is_drawn_from_the_seed_and_what_depends_comes_only_after_it() -> None:
    port = Effect("port_delay", {"mode": "sea"}, 0, 48, 2.0, probability=0.5, name="port")
    rush = Effect("demand_factor", {}, 24, 72, 1.5, probability=0.5, after="port")
    both = Scenario("s", "s", (port, rush), 0.8)
    drawn = [both.in_future(1, number) for number in range(2000)]
    assert drawn == [both.in_future(1, number) for number in range(2000)]
    counts = [sum(len(one.effects) == size for one in drawn) for size in range(3)]
    assert counts[1] == pytest.approx(2000 * 0.8 * 0.25, rel=0.2)
    assert counts[2] == pytest.approx(2000 * 0.8 * 0.25, rel=0.2)
    assert all(one.effects[0].kind == "port_delay" for one in drawn if one.effects)
    assert drawn != [both.in_future(2, number) for number in range(2000)]
    assert replace(both, effects=()).in_future(1, 5).effects == ()


def test_scenarios_together_are_all_their_events() -> None:
    one = Scenario("one", "One", (event("fuel_factor", 1.1),))
    port = Effect("port_delay", {"mode": "sea"}, 0, 48, 2.0, probability=0.5, name="port")
    two = Scenario(
        "two", "Two", (port, Effect("demand_factor", {}, 24, 72, 2.0, after="port")), 0.5
    )
    all_of_it = together([one, two])
    assert (all_of_it.name, len(all_of_it.effects), all_of_it.probability) == (
        "one_and_two",
        3,
        0.5,
    )
    assert all_of_it.effects[2].after == "two.port"
    assert together([two, one]) == all_of_it  # a study is asked again in the order of its files


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (event("capacity_cut", 0.5, location_id="B"), "what B can hold is not known"),
        (
            event("capacity_cut", 0.5, location_id="B", from_id="DC"),
            "what the lane from DC to B can take is not known: feed lanes.capacity_kg",
        ),
        (event("new_policy", policy="best"), "there is no policy 'best'; there are quantile"),
        (event("port_delay", 2.0, mode="rail"), "no mode is called 'rail'"),
        (event("recall", 1.0, item_id="z"), "no item_id is called 'z'"),
        (event("new_constraint", 2.0, resource="weight_kg", location_id="B"), "weight_kg"),
    ],
)
def test_what_cannot_happen_here_is_refused(effect: Effect, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        happens(of(effect), future(0))


def test_two_events_of_one_name_and_circles_are_refused() -> None:
    def named(name: str, after: str) -> Effect:
        return replace(event("fuel_factor", 1.1), name=name, after=after)

    with pytest.raises(ValueError, match="two events are called 'a'"):
        of(named("a", ""), named("a", ""))
    with pytest.raises(ValueError, match=r"in a circle: b → a|in a circle: a → b"):
        of(named("a", "b"), named("b", "a"))
    with pytest.raises(ValueError, match="no event here has that `name`; there are a"):
        of(named("a", ""), named("b", "c"))


@settings(max_examples=10, deadline=None)
@seeds
def test_an_outlook_that_is_shared_decides_as_one_that_is_worked_out_anew(seed: int) -> None:
    random, calm, place = np.random.default_rng(seed), future(seed), network()
    paths = (random.poisson(3, (6, SAMPLES, 8)) * (SOURCES >= 0)[:, None, None]).astype(np.float32)
    shared = Outlook(paths, place)

    def live(forecaster: object) -> SimulationResult:
        return simulate(
            place,
            QuantileOrderUpTo(),
            calm.demand,
            np.full(6, 9.0),
            history=np.full((6, 4), 3.0),
            forecaster=forecaster,  # type: ignore[arg-type]
            terms=calm.terms[0],
        )

    anew = live(partial(shared))
    assert same(anew, live(shared)) and same(anew, live(shared))
    with pytest.raises(ValueError, match="the network that it was made for"):
        shared.lifted(0, network())
