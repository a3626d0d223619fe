"""Lanes that take only so much at a time: first come, first served, and every unit kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats, Situation
from models.twin.ageing import Shelf
from models.twin.lane_queues import Departures, LaneQueue
from models.twin.network import Network
from models.twin.simulator import simulate

PERIODS = 12


@dataclass
class Given:
    """Orders that were written down before."""

    units: Floats
    name: str = "given"
    _at: list[int] = field(default_factory=lambda: [0])

    def order(self, situation: Situation) -> Floats:
        self._at[0] += 1
        return self.units[:, self._at[0] - 1]


def queues(random: np.random.Generator, lanes: int) -> list[LaneQueue]:
    """One way for some of the lanes, or one for each half of them."""
    half = np.arange(lanes) < lanes // 2
    found = []
    for number, mine in enumerate([half, ~half][: int(random.integers(1, 3))]):
        use = np.where(mine, random.choice([0.5, 1.0, 2.0], lanes), 0.0)
        room = random.integers(0, 12, PERIODS).astype(float)
        found.append(LaneQueue(f"way {number}", use, room))
    return found


def left_by_loops(ways: list[LaneQueue], sent: Floats, review: int) -> Floats:
    """What leaves on each lane in each period, (E, T), by a queue that is really kept: what came
    first goes first, and of what came together each lane's in proportion."""
    lanes, left = sent.shape[0], np.zeros((sent.shape[0], PERIODS))
    waiting: list[list[float]] = []
    for t in range(PERIODS):
        waiting.append([float(units) for units in sent[:, t]])
        room = [float(way.room[t]) if t % review == 0 else 0.0 for way in ways]
        for batch in waiting:
            wanted = [sum(way.use[e] * batch[e] for e in range(lanes)) for way in ways]
            for e in range(lanes):
                mine = [k for k, way in enumerate(ways) if way.use[e] > 0]
                if not mine:
                    share = 1.0
                else:
                    k = mine[0]
                    share = min(1.0, room[k] / wanted[k]) if wanted[k] > 0 else 0.0
                left[e, t] += batch[e] * share
                batch[e] *= 1 - share
            room = [max(r - min(w, r), 0.0) for r, w in zip(room, wanted, strict=True)]
    return left


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99_999))
def test_who_came_first_leaves_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    lanes, review = int(random.integers(2, 6)), int(random.integers(1, 3))
    ways = queues(random, lanes)
    sent = random.integers(0, 9, (lanes, PERIODS)) * (np.arange(PERIODS) % review == 0)
    booked = Departures(ways, np.arange(PERIODS) % review == 0)
    left = np.zeros((lanes, PERIODS + 1))
    for t in range(PERIODS):
        if t % review == 0:
            for later, part in booked.book(t, sent[:, t].astype(float)):
                left[:, t + later] += part
    assert left[:, :PERIODS] == pytest.approx(left_by_loops(ways, sent, review), abs=1e-6)
    assert left.sum(axis=1) == pytest.approx(sent.sum(axis=1))
    for way in ways:
        assert (way.use @ left[:, :PERIODS] <= way.room + 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99_999))
def test_what_waits_comes_later_by_so_much_and_no_unit_is_lost(seed: int) -> None:
    random = np.random.default_rng(seed)
    nodes = 4
    took = random.integers(0, 3, nodes)
    network = Network(
        took,
        Economics(*(np.ones(nodes) for _ in range(4))),
        np.array([-1, -1, 0, 1]),
        order_multiple=np.zeros(nodes),
    )
    ways = queues(random, nodes)
    units = random.integers(0, 6, (nodes, PERIODS)).astype(float)
    stock = np.array([1e4, 1e4, 5, 5])
    lead_times = random.integers(0, 3, (nodes, PERIODS)) if random.random() < 0.5 else None
    keeps = Shelf(life=np.array([np.inf, np.inf, 6, np.inf]))
    done = simulate(
        network,
        Given(units),
        random.integers(0, 4, (nodes, PERIODS)).astype(float),
        stock,
        lead_times=lead_times,
        queues=ways,
        shelf=keeps if random.random() < 0.5 else None,
    )
    actual = np.repeat(took[:, None], PERIODS, axis=1) if lead_times is None else lead_times
    came = np.zeros((nodes, PERIODS))
    left = left_by_loops(ways, done.shipped, 1)
    for node in range(nodes):
        for t in range(PERIODS):
            if t + actual[node, t] < PERIODS:
                came[node, t + actual[node, t]] += left[node, t]
    assert done.received == pytest.approx(came, abs=1e-6)
    sent = [done.shipped[network.supplied_from == node].sum() for node in range(nodes)]
    begun = done.initial_stock + done.shipped.sum(axis=1) - sent
    held = done.on_hand[:, -1] + done.on_order[:, -1] + done.spoiled.sum(axis=1)
    assert begun - done.sold.sum(axis=1) == pytest.approx(held)


def test_a_lane_with_room_enough_changes_nothing() -> None:
    random = np.random.default_rng(3)
    network = Network(np.array([2, 1]), Economics(*(np.ones(2) for _ in range(4))))
    demand = random.poisson(4, (2, PERIODS)).astype(float)
    units = random.poisson(4, (2, PERIODS)).astype(float)
    wide = LaneQueue("wide", np.ones(2), np.full(PERIODS, 1e6))
    usual, queued = (
        simulate(network, Given(units), demand, np.full(2, 9.0), queues=ways)
        for ways in ((), (wide,))
    )
    assert (usual.on_hand == queued.on_hand).all() and (usual.on_order == queued.on_order).all()


def test_the_planner_counts_what_waits_as_on_order() -> None:
    seen: list[float] = []

    class Watching(Given):
        def order(self, situation: Situation) -> Floats:
            seen.append(float(situation.position[0]))
            return super().order(situation)

    network = Network(np.array([1]), Economics(*(np.ones(1) for _ in range(4))))
    units = np.zeros((1, PERIODS))
    units[0, 0] = 10.0
    narrow = LaneQueue("narrow", np.ones(1), np.full(PERIODS, 3.0))
    done = simulate(network, Watching(units), np.zeros((1, PERIODS)), np.zeros(1), queues=[narrow])
    assert done.received[0, :6].tolist() == [0, 3, 3, 3, 1, 0]
    assert seen[1:] == [10.0] * (PERIODS - 1)
