"""Where safety stock belongs in a network whose stages promise each other times: the guaranteed
service model of Simpson (1958) and Graves and Willems (2000).

Each stage promises what it supplies a service time S and is promised SI by the slowest of its own
suppliers; it covers demand over the net replenishment time tau = SI + T - S with a stock of
z sigma sqrt(tau) beyond the mean. What a stage does not hold, its customers wait for and hold.
Trees of whole lead times are solved by dynamic programming, all others by a mixed integer program
whose pieces of the square root are refined until the bound below meets the cost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, hstack

from models.domain import Floats, Integers

#: A placement is called best where no other can cost less by more than this share.
GAP = 0.005
#: Rounds of refinement, and steps of a descent, that nothing ever needed.
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class Stages:
    """N stages and who supplies whom.

    arcs: (E, 2) from a stage to the one that needs what it makes. lead_time: (N,) periods from the
    last input to the output, T. holding: (N,) money a unit of safety stock. bound: (N,) units by
    which a period's demand may exceed its mean and still be served, z sigma; over tau periods it
    grows with the root. longest_promise: (N,) the most that a stage may promise, infinite where
    nobody asks. Raises ValueError for sizes that do not fit, for negative times and for a circle.
    """

    names: Sequence[str]
    arcs: Integers
    lead_time: Floats
    holding: Floats
    bound: Floats
    longest_promise: Floats

    def __post_init__(self) -> None:
        for name in ("lead_time", "holding", "bound", "longest_promise"):
            values = getattr(self, name)
            if values.shape != (len(self.names),):
                raise ValueError(f"{name} has {values.size} entries for {len(self.names)} stages")
            if odd := [k for k, value in enumerate(values) if not value >= 0]:
                raise ValueError(f"{name} of {self.names[odd[0]]} is {values[odd[0]]:g}, below 0")
        _ = self.order

    @property
    def size(self) -> int:
        """The number of stages, N."""
        return len(self.names)

    @cached_property
    def suppliers(self) -> list[list[int]]:
        """By stage, the stages that supply it."""
        found: list[list[int]] = [[] for _ in self.names]
        for above, below in self.arcs.tolist():
            found[below].append(above)
        return found

    @cached_property
    def customers(self) -> list[list[int]]:
        """By stage, the stages that it supplies."""
        found: list[list[int]] = [[] for _ in self.names]
        for above, below in self.arcs.tolist():
            found[above].append(below)
        return found

    @cached_property
    def order(self) -> list[int]:
        """The stages from the first suppliers down; raises ValueError for a circle."""
        waiting = [len(above) for above in self.suppliers]
        found = [k for k, count in enumerate(waiting) if not count]
        for stage in found:
            for below in self.customers[stage]:
                waiting[below] -= 1
                if not waiting[below]:
                    found.append(below)
        if len(found) < self.size:
            stuck = [self.names[k] for k, count in enumerate(waiting) if count]
            raise ValueError(f"stages supply each other in a circle: {', '.join(stuck[:5])}")
        return found

    @cached_property
    def longest(self) -> Floats:
        """(N,) the time to the output of a stage where nobody on the way holds stock."""
        found = np.zeros(self.size)
        for stage in self.order:
            above = max((found[k] for k in self.suppliers[stage]), default=0.0)
            found[stage] = above + self.lead_time[stage]
        return found

    @cached_property
    def is_tree(self) -> bool:
        """Whether there is one way at most between any two stages, whatever the direction."""
        root = list(range(self.size))

        def top(stage: int) -> int:
            while root[stage] != stage:
                root[stage] = root[root[stage]]
                stage = root[stage]
            return stage

        for above, below in self.arcs.tolist():
            if top(above) == top(below):
                return False
            root[top(above)] = top(below)
        return True

    @property
    def is_whole(self) -> bool:
        """Whether all times are whole periods."""
        promised = self.longest_promise[np.isfinite(self.longest_promise)]
        return not ((self.lead_time % 1).any() or (promised % 1).any())

    def cost(self, net: Floats) -> Floats:
        """(N,) money of the safety stock for net replenishment times."""
        return self.holding * self.stock(net)

    def stock(self, net: Floats) -> Floats:
        """(N,) units of safety stock for net replenishment times."""
        return self.bound * np.sqrt(np.maximum(net, 0.0))


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where safety stock stands. service_time, inbound, net: S, SI and tau of each stage, (N,)
    periods. at_least: what no placement can cost less than, money. method: how it was found."""

    stages: Stages
    service_time: Floats
    inbound: Floats
    at_least: float
    method: str

    @property
    def net(self) -> Floats:
        """(N,) net replenishment times tau, periods."""
        return np.maximum(self.inbound + self.stages.lead_time - self.service_time, 0.0)

    @property
    def safety_stock(self) -> Floats:
        """(N,) units."""
        return self.stages.stock(self.net)

    @property
    def cost(self) -> float:
        """Money of all safety stock."""
        return float(self.stages.cost(self.net).sum())

    @property
    def gap(self) -> float:
        """The share by which another placement might be cheaper at most."""
        return max(1 - self.at_least / self.cost, 0.0) if self.cost > 0 else 0.0


def pooled_bound(stages: Stages, own: Floats, pooling: Floats) -> Floats:
    """(N,) units by which a period's demand of each stage may exceed its mean: its customers' and
    its own together, (sum of bound^p)^(1/p).

    own: (N,) units by which what customers outside ask of it may. pooling: (N,) p, 2 where demands
    are independent, 1 where they rise together.
    """
    bound = np.zeros(stages.size)
    for stage in reversed(stages.order):
        parts = [*(bound[below] for below in stages.customers[stage]), own[stage]]
        bound[stage] = float(np.linalg.norm(parts, pooling[stage]))
    return bound


def place(stages: Stages, *, seconds: float = 60.0, gap: float = GAP) -> Placement:
    """The placement of safety stock that costs least, or the best found in so many seconds with
    how much cheaper another could be."""
    if stages.is_tree and stages.is_whole:
        return _by_tree(stages)
    return _by_pieces(stages, seconds, gap)


# --- trees ----------------------------------------------------------------------------------------


class _Rooted:
    """A forest in which every stage but the roots has one neighbour that comes after it."""

    def __init__(self, stages: Stages) -> None:
        around = [
            [*((k, True) for k in stages.customers[i]), *((k, False) for k in stages.suppliers[i])]
            for i in range(stages.size)
        ]
        self.parent = [-1] * stages.size
        self.supplies_parent = [False] * stages.size
        self.children: list[list[int]] = [[] for _ in around]
        self.downwards: list[int] = []
        seen = [False] * stages.size
        for root in range(stages.size):
            if seen[root]:
                continue
            seen[root], reached = True, [root]
            for stage in reached:
                for other, is_below in around[stage]:
                    if not seen[other]:
                        seen[other] = True
                        self.parent[other], self.supplies_parent[other] = stage, not is_below
                        self.children[stage].append(other)
                        reached.append(other)
            self.downwards += reached


def _by_tree(stages: Stages) -> Placement:
    """Dynamic programming over service times in whole periods: a stage and all beyond it cost so
    much, given what it and the neighbour that comes after it promise each other."""
    forest = _Rooted(stages)
    best: list[Floats] = [np.zeros(0)] * stages.size
    tables: list[Floats] = [np.zeros((0, 0))] * stages.size
    for stage in reversed(forest.downwards):
        tables[stage] = _costs(stages, forest, stage, best)
        # by the time promised to whom it supplies, or by the time it is promised
        best[stage] = tables[stage].min(axis=1 if forest.supplies_parent[stage] else 0)
    service, inbound = np.zeros(stages.size), np.zeros(stages.size)
    for stage in forest.downwards:
        table, above = tables[stage], forest.parent[stage]
        if above < 0:
            promises, promised = divmod(int(table.argmin()), table.shape[1])
        elif forest.supplies_parent[stage]:
            promises = int(best[stage][: int(inbound[above]) + 1].argmin())
            promised = int(table[promises].argmin())
        else:
            least = int(service[above])
            promised = least + int(best[stage][least:].argmin())
            promises = int(table[:, promised].argmin())
        service[stage], inbound[stage] = promises, promised
    net = inbound + stages.lead_time - service
    return Placement(
        stages=stages,
        service_time=service,
        inbound=inbound,
        at_least=float(stages.cost(net).sum()),
        method="dynamic program over a tree",
    )


def _costs(stages: Stages, forest: _Rooted, stage: int, best: Sequence[Floats]) -> Floats:
    """What a stage and all before it cost by what it promises and is promised, (S, SI); infinite
    where that cannot be."""
    lead, longest = int(stages.lead_time[stage]), int(stages.longest[stage])
    promises = np.arange(longest + 1)[:, None]
    promised = np.arange((longest - lead if stages.suppliers[stage] else 0) + 1)[None, :]
    net = promised + lead - promises
    weight = stages.holding[stage] * stages.bound[stage]
    table: Floats = np.where(net >= 0, weight * np.sqrt(np.maximum(net, 0)), np.inf)
    table[stages.longest_promise[stage] + 1e-9 < promises[:, 0]] = np.inf
    for child in forest.children[stage]:
        if forest.supplies_parent[child]:  # it may promise less than the slowest supplier does
            least = np.minimum.accumulate(best[child])
            table += least[np.minimum(promised, least.size - 1)]
        else:  # it may be kept waiting longer by another supplier
            table += np.minimum.accumulate(best[child][::-1])[::-1][promises]
    return table


# --- any network ----------------------------------------------------------------------------------


class _Program:
    """The rules that service times keep, as a linear program over S, SI and tau, (3N,)."""

    def __init__(self, stages: Stages) -> None:
        count, arcs = stages.size, np.arange(len(stages.arcs))
        columns = np.r_[stages.arcs[:, 0], count + stages.arcs[:, 1]]
        values = np.r_[np.ones(arcs.size), -np.ones(arcs.size)]
        self.slower = coo_array(
            (values, (np.r_[arcs, arcs], columns)), shape=(arcs.size, 3 * count)
        ).tocsr()
        own, ones = np.arange(count), np.ones(count)
        self.balance = coo_array(
            (np.r_[ones, ones, -ones], (np.tile(own, 3), np.r_[own, 2 * count + own, count + own])),
            shape=(count, 3 * count),
        ).tocsr()
        self.stages = stages
        is_first = np.array([not above for above in stages.suppliers])
        self.most = np.r_[
            np.minimum(stages.longest_promise, stages.longest),
            np.where(is_first, 0.0, stages.longest),
            stages.longest,
        ]
        self.weight = stages.holding * stages.bound

    def descend(self, net: Floats) -> Floats:
        """Times (3N,) that cost no more than those with these tau: the root is replaced by a line
        through what it is there until nothing gets cheaper."""
        count, least, best = self.stages.size, np.inf, np.zeros(0)
        longest = np.maximum(self.stages.longest, 1e-9)
        for _ in range(MOST_ROUNDS):
            at = np.where(net > 1e-9, net, longest)
            slope = self.weight / np.sqrt(at)
            found = linprog(
                np.r_[np.zeros(2 * count), slope],
                self.slower,
                np.zeros(self.slower.shape[0]),
                self.balance,
                self.stages.lead_time,
                np.c_[np.zeros(3 * count), self.most],
            )
            net = np.maximum(found.x[2 * count :], 0.0)
            cost = float((self.weight * np.sqrt(net)).sum())
            if cost >= least * (1 - 1e-9):
                return best
            least, best = cost, found.x
        return best


def _by_pieces(stages: Stages, seconds: float, gap: float) -> Placement:
    """Refine pieces below the root until what they cost meets what their times really cost."""
    program, count, until = _Program(stages), stages.size, time.monotonic() + seconds
    cuts = [np.unique([0.0, most]) for most in program.most[2 * count :]]
    best = program.descend(np.maximum(stages.longest, 1e-9))
    _cut(program, cuts, best[2 * count :], 0.0)
    at_least = 0.0
    for _ in range(MOST_ROUNDS):
        left = until - time.monotonic()
        cost = _real(program, best)
        if left <= 0 or cost - at_least <= gap * cost:
            break
        found = _pieced(program, cuts, left, gap / 4)
        if found is None:
            break
        times, below = found
        at_least = max(at_least, below)
        for one in (times, program.descend(np.maximum(times[2 * count :], 0.0))):
            if _real(program, one) < _real(program, best):
                best = one
        _cut(program, cuts, times[2 * count :], gap / 4 * cost / count)
    return Placement(
        stages=stages,
        service_time=np.maximum(best[:count], 0.0),
        inbound=np.maximum(best[count : 2 * count], 0.0),
        at_least=min(at_least, _real(program, best)),
        method="mixed integer program",
    )


def _real(program: _Program, times: Floats) -> float:
    """What times (3N,) really cost."""
    net = np.maximum(times[2 * program.stages.size :], 0.0)
    return float((program.weight * np.sqrt(net)).sum())


def _cut(program: _Program, cuts: list[Floats], net: Floats, tolerance: float) -> None:
    """Cut the pieces where they lie further below the root than that, at these tau, in place."""
    for stage, at in enumerate(np.maximum(net, 0.0)):
        ends, weight = cuts[stage], program.weight[stage]
        below = np.interp(at, ends, weight * np.sqrt(ends))
        if weight * np.sqrt(at) - below > tolerance:
            cuts[stage] = np.unique(np.r_[ends, round(float(at), 6)])


def _pieced(
    program: _Program, cuts: list[Floats], seconds: float, gap: float
) -> tuple[Floats, float] | None:
    """The times (3N,) that cost least by pieces, and what none costs less than; None where nothing
    was found in time.

    A stage's tau lies in one of its pieces (y), so far from its beginning as a share of it (x <=
    y); it costs what the piece does there.
    """
    count = program.stages.size
    priced = [k for k in range(count) if program.weight[k] > 0 and cuts[k].size > 1]
    row = np.repeat(np.arange(len(priced)), [cuts[k].size - 1 for k in priced])
    if not row.size:
        return None
    begins = np.concatenate([cuts[k][:-1] for k in priced])
    ends = np.concatenate([cuts[k][1:] for k in priced])
    weight = program.weight[priced][row]
    at_begin, at_end = weight * np.sqrt(begins), weight * np.sqrt(ends)
    pieces, own, stages = np.arange(row.size), np.arange(len(priced)), len(priced)
    y, x = 3 * count + pieces, 3 * count + row.size + pieces
    size = 3 * count + 2 * row.size
    one = coo_array((np.ones(row.size), (row, y)), shape=(stages, size))
    tau = coo_array(
        (
            np.r_[begins, ends - begins, -np.ones(stages)],
            (np.r_[row, row, own], np.r_[y, x, 2 * count + np.array(priced)]),
        ),
        shape=(stages, size),
    )
    within = coo_array(
        (np.r_[np.ones(row.size), -np.ones(row.size)], (np.r_[pieces, pieces], np.r_[x, y])),
        shape=(row.size, size),
    )
    rules = [
        LinearConstraint(_wide(program.slower, size), -np.inf, 0.0),
        LinearConstraint(
            _wide(program.balance, size), program.stages.lead_time, program.stages.lead_time
        ),
        LinearConstraint(one, 1.0, 1.0),
        LinearConstraint(tau, 0.0, 0.0),
        LinearConstraint(within, -np.inf, 0.0),
    ]
    has_choice = np.bincount(row)[row] > 1
    found = milp(
        np.r_[np.zeros(3 * count), at_begin, at_end - at_begin],
        constraints=rules,
        integrality=np.r_[np.zeros(3 * count), has_choice, np.zeros(row.size)],
        bounds=Bounds(np.zeros(size), np.r_[program.most, np.ones(2 * row.size)]),
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    if found.x is None:
        return None
    below = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
    return found.x[: 3 * count], float(below)


def _wide(rules: csr_array, columns: int) -> csr_array:
    """Rules of the times alone, among more columns."""
    return hstack([rules, csr_array((rules.shape[0], columns - rules.shape[1]))]).tocsr()
