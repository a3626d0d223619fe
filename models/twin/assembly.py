"""A network of stages that assemble what they need from all their suppliers, run period by period
at base-stock levels: what a placement of safety stock really serves and holds.

In each period: 1 what was started a lead time ago comes in, 2 customers ask and every stage hears
of it at once, 3 stages ship what they have, from the first suppliers down, 4 stock is booked. It
stands beside models/twin/simulator.py, which orders after a period and not in it and knows no
assembly; where stages have one supplier each, a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats, Integers
from models.replenishment.guaranteed_service import Placement, Stages


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What became of N stages over T periods and P paths. on_hand, owed: (T, N, P) units ready at
    each stage, and owed to customers outside, at the end of each period. started: (T, N, P) units
    whose making began. inputs: (T, N, P) units of suppliers that wait at a stage for the others'.
    """

    on_hand: Floats
    owed: Floats
    started: Floats
    inputs: Floats
    demand: Floats

    def on_time(self, promised: Floats, warm: int) -> Floats:
        """(N,) share of demand from period `warm` on that was served within what was promised;
        nan where nobody asked. promised: (N,) whole periods."""
        periods, stages, _ = self.demand.shape
        asked = self.demand.cumsum(axis=0)
        served = asked - self.owed
        found = np.full(stages, np.nan)
        for stage in np.flatnonzero(asked[-1].sum(axis=1) > 0):
            wait = int(np.floor(promised[stage]))
            first = max(warm, wait + 1)
            due = asked[first - wait : periods - wait, stage]
            before = asked[first - wait - 1 : periods - wait - 1, stage]
            late = np.clip(due - np.maximum(served[first:, stage], before), 0.0, None)
            found[stage] = 1 - late.sum() / max(float((due - before).sum()), 1e-12)
        return found


def run_stages(
    stages: Stages, level: Floats, demand: Floats, *, is_oldest_first: bool = True
) -> Assembled:
    """Run base-stock levels through demand; every stage starts with its level and nothing on the
    way.

    level: (N,) units, what a stage has and has ordered less what it owes. demand: (T, N, P) units
    that customers outside ask of each stage. Lead times are rounded up to whole periods. When a
    stage is short, who asked first gets first, and who asked in the same period gets the same
    share; else whoever waits gets the same share of all that he waits for.
    """
    periods, count, paths = demand.shape
    lead = np.ceil(stages.lead_time - 1e-9).astype(np.int64)
    length = int(lead.max(initial=0)) + 1
    making = np.zeros((length, count, paths))
    stock = np.repeat(level[:, None], paths, axis=1).astype(np.float64)
    arcs = _Arcs(stages, _heard(stages, demand), demand, is_oldest_first=is_oldest_first)
    books = {name: np.zeros(demand.shape) for name in ("on_hand", "owed", "started", "inputs")}
    for t in range(periods):
        now = t % length
        stock += making[now]
        making[now] = 0.0
        for stage in stages.order:
            start = arcs.take(stage, t)
            books["started"][t, stage] = start
            if lead[stage]:
                making[(t + lead[stage]) % length, stage] += start
            else:
                stock[stage] += start
            stock[stage] -= arcs.ship(stage, t, stock[stage])
        books["on_hand"][t] = stock
        books["owed"][t] = arcs.asked_outside[t + 1] - arcs.served
        books["inputs"][t] = arcs.waiting()
    return Assembled(demand=demand, **books)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How a placement of safety stock did, by stage, (N,): the share of customers' demand served
    within what was promised (nan where none ask), mean units ready, and mean units of inputs that
    wait for others."""

    on_time: Floats
    on_hand: Floats
    inputs_waiting: Floats


def try_out(
    placement: Placement,
    mean: Floats,
    deviation: Floats,
    *,
    periods: int,
    futures: int,
    seed: int = 0,
) -> Trial:
    """Run a placement's base-stock levels through demand that is gamma, knows no bound, and is
    never expedited; periods are counted once all stages have filled.

    mean, deviation: (N,) units that customers outside ask of each stage a period.
    """
    stages = placement.stages
    warm = int(np.ceil(stages.longest.max())) + 1
    demand = np.zeros((warm + periods, stages.size, futures))
    random = np.random.default_rng(seed)
    for stage in np.flatnonzero(mean > 0).tolist():
        shape = (mean[stage] / max(deviation[stage], 1e-9)) ** 2
        demand[:, stage] = random.gamma(shape, mean[stage] / shape, (warm + periods, futures))
    need = _heard(stages, mean[None, :])[0]
    result = run_stages(stages, need * placement.net + placement.safety_stock, demand)
    return Trial(
        on_time=result.on_time(placement.service_time, warm),
        on_hand=result.on_hand[warm:].mean(axis=(0, 2)),
        inputs_waiting=result.inputs[warm:].mean(axis=(0, 2)),
    )


def _heard(stages: Stages, asked: Floats) -> Floats:
    """What every stage has to make for what customers ask, (T, N, P) or (T, N)."""
    need = asked.copy()
    for stage in reversed(stages.order):
        for above in stages.suppliers[stage]:
            need[:, above] += need[:, stage]
    return need


class _Arcs:
    """Who has asked whom for how much so far, what was sent, and what lies before a stage."""

    def __init__(
        self, stages: Stages, need: Floats, demand: Floats, *, is_oldest_first: bool
    ) -> None:
        self.asked, self.asked_outside = (
            np.concatenate([np.zeros_like(part[:1]), part.cumsum(axis=0)])
            for part in (need, demand)
        )  # (T + 1, N, P), from the first period on
        count, paths = len(stages.arcs), demand.shape[2]
        self.sent, self.lies = np.zeros((count, paths)), np.zeros((count, paths))
        self.served = np.zeros(demand.shape[1:])
        self.begun = np.zeros((stages.size, paths), dtype=np.int64)  # period whose asking is served
        self.above, self.below = stages.arcs[:, 0], stages.arcs[:, 1]
        self.into = [np.flatnonzero(self.below == k) for k in range(stages.size)]
        self.out = [np.flatnonzero(self.above == k) for k in range(stages.size)]
        self.is_oldest_first = is_oldest_first

    def take(self, stage: int, t: int) -> Floats:
        """What all inputs of a stage suffice for is taken into the making, (P,); a stage without
        suppliers makes what it is asked for."""
        arcs = self.into[stage]
        if not arcs.size:
            made: Floats = self.asked[t + 1, stage] - self.asked[t, stage]
            return made
        whole: Floats = self.lies[arcs].min(axis=0)
        self.lies[arcs] -= whole
        return whole

    def ship(self, stage: int, t: int, stock: Floats) -> Floats:
        """Share what a stage has among the stages and the customers that wait, and say how much
        left, (P,)."""
        arcs = self.out[stage]
        before = self.sent[arcs].sum(axis=0) + self.served[stage]
        after = np.minimum(self.asked[t + 1, stage], before + stock)
        below = self.below[arcs]
        if self.is_oldest_first:
            until, part = self._reached(stage, t, after)
            paths = np.arange(after.size)
            sent, served = (
                book[until, at, paths] * (1 - part) + book[until + 1, at, paths] * part
                for book, at in (
                    (self.asked, below[:, None]),
                    (self.asked_outside, np.array([[stage]])),
                )
            )
        else:
            owed = self.asked[t + 1, stage] - before
            part = (after - before) / np.where(owed > 0, owed, 1.0)
            sent = self.sent[arcs] + part * (self.asked[t + 1, below] - self.sent[arcs])
            served = self.served[stage] + part * (
                self.asked_outside[t + 1, stage] - self.served[stage]
            )
        self.lies[arcs] += sent - self.sent[arcs]
        self.sent[arcs] = sent
        self.served[stage] = served
        return after - before

    def _reached(self, stage: int, t: int, units: Floats) -> tuple[Integers, Floats]:
        """By path the period up to whose beginning so many units suffice for all that was asked,
        and the part of what was asked in it that they suffice for."""
        asked, until, paths = self.asked, self.begun[stage], np.arange(units.size)
        while True:
            is_served = (until < t) & (asked[until + 1, stage, paths] <= units)
            if not is_served.any():
                break
            until += is_served
        span = asked[until + 1, stage, paths] - asked[until, stage, paths]
        more = units - asked[until, stage, paths]
        return until, np.clip(more / np.where(span > 0, span, 1.0), 0.0, 1.0)

    def waiting(self) -> Floats:
        """Units that lie before each stage, (N, P)."""
        found = np.zeros_like(self.served)
        np.add.at(found, self.below, self.lies)
        return found
