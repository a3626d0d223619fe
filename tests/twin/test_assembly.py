"""Laws of networks that assemble: promises are kept as long as demand keeps its bound, no unit is
lost, and where nothing is assembled the physics is the simulator's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats
from models.replenishment.guaranteed_service import Stages, place
from models.replenishment.policies import CappedBaseStock
from models.twin.assembly import run_stages
from models.twin.network import Network
from models.twin.simulator import simulate

seeds = given(st.integers(0, 10**6))
PERIODS = 40


def drawn(seed: int, size: int, *, is_chained: bool = False) -> Stages:
    """A random network; where it is chained, every stage but the first has one supplier."""
    random = np.random.default_rng(seed)
    if is_chained:
        arcs = [(int(random.integers(k)), k) for k in range(1, size)]
    else:
        arcs = [(a, b) for b in range(size) for a in range(b) if random.random() < 0.4]
    pairs = np.array(arcs, dtype=np.int64).reshape(-1, 2)
    is_last = ~np.isin(np.arange(size), pairs[:, 0])
    return Stages(
        names=[f"s{k}" for k in range(size)],
        arcs=pairs,
        lead_time=random.integers(1 if is_chained else 0, 4, size).astype(float),
        holding=random.uniform(1, 9, size),
        bound=np.zeros(size),
        longest_promise=np.where(is_last, random.integers(0, 3, size), np.inf),
    )


def upstream(stages: Stages, own: Floats) -> Floats:
    """Units of customers' demand that every stage has to make, (N, ...)."""
    total = own.copy()
    for stage in reversed(stages.order):
        for above in stages.suppliers[stage]:
            total[above] += total[stage]
    return total


def kept_within(random: np.random.Generator, mean: float, bound: float) -> Floats:
    """A path that asks as much as its bound allows whenever luck wants it to."""
    path = np.zeros(PERIODS)
    for t in range(PERIODS):
        windows = np.arange(1, t + 2)
        before = np.concatenate([[0.0], path[:t][::-1].cumsum()])
        room = (mean * windows + bound * np.sqrt(windows) - before).min()
        path[t] = max(min(random.choice([0.0, mean, mean + bound]), room), 0.0)
    return path


@settings(max_examples=40, deadline=None)
@seeds
def test_promises_are_kept_while_demand_keeps_its_bound(seed: int) -> None:
    stages, random = drawn(seed, 5), np.random.default_rng(seed)
    is_last = ~np.isin(np.arange(5), stages.arcs[:, 0])
    mean, bound = np.where(is_last, random.uniform(1, 5, 5), 0.0), np.where(is_last, 4.0, 0.0)
    # bounds that are added up and not pooled hold at every stage, whatever customers do
    stages = Stages(
        names=stages.names,
        arcs=stages.arcs,
        lead_time=stages.lead_time,
        holding=stages.holding,
        bound=upstream(stages, bound),
        longest_promise=stages.longest_promise,
    )
    demand = np.zeros((PERIODS, 5, 3))
    for stage in np.flatnonzero(is_last):
        for path in range(3):
            demand[:, stage, path] = kept_within(random, mean[stage], bound[stage])
    made = place(stages, gap=1e-4)
    level = upstream(stages, mean) * made.net + made.safety_stock
    found = run_stages(stages, level, demand)
    assert found.on_time(made.service_time, 0)[is_last] == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@seeds
def test_no_unit_is_lost_or_made_of_nothing(seed: int) -> None:
    stages, random = drawn(seed, 6), np.random.default_rng(seed)
    demand = random.poisson(3, (PERIODS, 6, 2)).astype(float)
    level = random.integers(0, 30, 6).astype(float)
    found = run_stages(stages, level, demand)
    begun = found.started.cumsum(axis=0)
    ready = np.zeros(begun.shape)
    for stage, lead in enumerate(stages.lead_time.astype(int)):
        ready[lead:, stage] = begun[: PERIODS - lead, stage]
    needs = np.array([len(above) for above in stages.suppliers])[None, :, None]
    served = demand.cumsum(axis=0) - found.owed
    left = found.on_hand + found.inputs + needs * begun + served
    assert (level[None, :, None] + ready).sum(axis=1) == pytest.approx(left.sum(axis=1))
    for book in (found.on_hand, found.owed, found.inputs, found.started):
        assert book.min() >= -1e-9


@settings(max_examples=25, deadline=None)
@seeds
def test_where_nothing_is_assembled_it_is_the_simulator(seed: int) -> None:
    """The simulator hears of demand one period later; a last stage's goods are on their way one
    period less for that."""
    stages, random = drawn(seed, 6, is_chained=True), np.random.default_rng(seed)
    above = np.array([s[0] if s else -1 for s in stages.suppliers])
    is_last = ~np.isin(np.arange(6), stages.arcs[:, 0])
    demand = np.where(is_last[:, None], random.poisson(4, (6, PERIODS)), 0).astype(float)
    own = random.integers(0, 25, 6).astype(float)
    lead = stages.lead_time.astype(np.int64) - is_last
    network = Network(
        lead,
        Economics(np.ones(6), np.ones(6), np.ones(6), np.zeros(6), unmet="backlog"),
        above,
        order_multiple=np.zeros(6),
    )
    policy = CappedBaseStock(level=upstream(stages, own), cap=np.inf)
    theirs = simulate(network, policy, demand, own)
    ours = run_stages(stages, own, demand.T[:, :, None], is_oldest_first=False)
    np.testing.assert_allclose(ours.owed[:, is_last, 0].T, theirs.owed[is_last], atol=1e-9)
    np.testing.assert_allclose(ours.on_hand[:, is_last, 0].T, theirs.on_hand[is_last], atol=1e-9)
    np.testing.assert_allclose(ours.started[:-1, :, 0].T, theirs.shipped[:, 1:], atol=1e-9)
