"""The network the twin simulates: nodes that hold stock, lanes that bring it, what both cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from models.domain import Economics, Floats, Integers
from models.replenishment.agreed_shares import Lanes
from models.replenishment.echelon import Echelons


def _none() -> Floats:
    return np.zeros(0)


def _nowhere() -> Integers:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Network:
    """Items at locations as nodes 0 .. N-1 and the lanes 0 .. E-1 that supply them, any number of
    levels deep.

    By lane, (E,): supplied_from, the shipping node, -1 for a supplier who never runs out; to, the
    node it leads to (left out, lane i leads to node i: a tree); share, the part of a node's need
    that comes this way (left out where each node has one lane; sums to 1 at every node); lead_time,
    planned whole periods from order to stock; moq, order_multiple: units (multiple 1 = whole units,
    0 = any quantity); freight_per_unit: money a unit shipped, shown and never part of what a policy
    is judged by. By node, (N,): economics; its order_cost is booked on every order line. review:
    periods between decisions. Raises ValueError for sizes that do not fit, for nodes without a lane
    and for nodes that supply themselves in a circle.
    """

    lead_time: Integers
    economics: Economics
    supplied_from: Integers = field(default_factory=_nowhere)
    review: int = 1
    moq: Floats = field(default_factory=_none)
    order_multiple: Floats = field(default_factory=_none)
    freight_per_unit: Floats = field(default_factory=_none)
    to: Integers = field(default_factory=_nowhere)
    share: Floats = field(default_factory=_none)

    def __post_init__(self) -> None:
        self._check_economics()
        defaults = {"supplied_from": -1, "moq": 0.0, "order_multiple": 1.0, "freight_per_unit": 0.0}
        lanes = self.lead_time.size
        if self.to.size == 0:
            if lanes != self.size:
                raise ValueError(
                    f"network: lead_time has {lanes} entries for {self.size} nodes of"
                    " economics.holding; say where each lane leads with `to`"
                )
            object.__setattr__(self, "to", np.arange(lanes))
        for name, default in (defaults | {"share": 1.0, "to": 0}).items():
            given = getattr(self, name)
            if given.size == 0:
                object.__setattr__(self, name, np.full(lanes, default))
            elif given.size != lanes:
                raise ValueError(f"network: {name} has {given.size} entries for {lanes} lanes")
        if self.review < 1 or (lanes and self.lead_time.min() < 0):
            raise ValueError(
                "network: review must be at least one period and no lead time negative"
            )
        self._check_lanes()
        _ = self.echelons  # refuses a circle

    def _check_economics(self) -> None:
        count = self.size
        for name in ("holding", "shortage", "unit_cost", "order_cost"):
            values = getattr(self.economics, name)
            if values.shape != (count,):
                raise ValueError(
                    f"network: economics.{name} has shape {values.shape} for {count} nodes"
                )
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(
                    f"network: economics.{name} must be a finite number, 0 or more, at every node"
                )

        if not 0 <= self.economics.waiting_share <= 1:
            raise ValueError(
                "network: economics.waiting_share is a share from 0 to 1, not "
                f"{self.economics.waiting_share:g}"
            )

    def _check_lanes(self) -> None:
        if self.to.size and not (self.to.min() >= 0 and self.to.max() < self.size):
            raise ValueError(
                f"network: a lane leads to node {self.to.max()}, of only {self.size} nodes"
            )
        if not (np.isfinite(self.share) & (self.share >= 0)).all():
            raise ValueError("network: share must be a finite number, 0 or more, on every lane")
        total = np.bincount(self.to, weights=self.share, minlength=self.size)
        odd = np.flatnonzero(np.abs(total - 1.0) > 1e-9)
        if odd.size and not (self.to == odd[0]).any():
            raise ValueError(f"network: no lane leads to node {odd[0]}")
        if odd.size:
            raise ValueError(
                f"network: the shares of the lanes to node {odd[0]} add up to {total[odd[0]]:g}"
            )

    @property
    def size(self) -> int:
        """The number of nodes, N."""
        return int(self.economics.holding.size)

    @cached_property
    def is_tree(self) -> bool:
        """True where lane i leads to node i: one source a node."""
        return bool(self.to.size == self.size and (self.to == np.arange(self.size)).all())

    @cached_property
    def is_parent(self) -> np.ndarray:
        """True at nodes that ship to other nodes, shape (N,)."""
        flags = np.zeros(self.size, dtype=bool)
        flags[self.supplied_from[self.supplied_from >= 0]] = True
        return flags

    @cached_property
    def echelons(self) -> Echelons:
        """Who is downstream of whom, by share."""
        return Echelons(self.supplied_from, self.to, self.share, nodes=self.size)

    def along_the_way(self, own: Floats) -> Floats:
        """What a unit at each node costs by the way it comes, (N, ...), of what each lane adds to
        it, (E, ...), from the supplier on; of several lanes by share."""
        if self.is_tree:
            cost, above = own.copy(), self.supplied_from.copy()
            while (above >= 0).any():
                inner = above >= 0
                cost[inner] += own[above[inner]]
                above[inner] = self.supplied_from[above[inner]]
            return cost
        inner = self.supplied_from >= 0
        by_share = (self.share[inner], (self.to[inner], self.supplied_from[inner]))
        above = power = csr_array(by_share, shape=(self.size, self.size))
        share = self.share.reshape(-1, *[1] * (own.ndim - 1))
        here = cost = self.by_node(own * share)
        while power.nnz:
            cost = cost + power @ here
            power = power @ above
        return cost

    @cached_property
    def lanes(self) -> Lanes:
        """Which lane leads where, with its share."""
        return Lanes(self.to, self.share, self.size)

    def by_node(self, values: Floats) -> Floats:
        """Values of lanes, (E, ...) added up by the node they lead to, (N, ...)."""
        return values if self.is_tree else self.lanes.by_node(values)

    @property
    def slowest(self) -> Integers:
        """The planned lead time of each node's slowest lane, (N,)."""
        return self.longest_by_node(self.lead_time)

    def by_lane(self, values: Floats) -> Floats:
        """Values of nodes, (N, ...), split over their lanes by share, (E, ...): of open orders,
        nobody says from which of several sources they come."""
        return values if self.is_tree else self.lanes.shared(values)

    def single_sourced(self) -> Network:
        """The same with the first lane of each node alone, as orders of a node that say not from
        where they come."""
        if self.is_tree:
            return self
        first = np.unique(self.to, return_index=True)[1]
        names = ("lead_time", "supplied_from", "moq", "order_multiple", "freight_per_unit")
        kept = {name: getattr(self, name)[first] for name in names}
        return replace(self, **kept, to=np.zeros(0, dtype=np.int64), share=np.zeros(0))

    def longest_by_node(self, values: Integers) -> Integers:
        """The greatest of a node's lanes that have a share, (N, ...) of (E, ...)."""
        return values if self.is_tree else self.lanes.longest(values)

    def where_single(self, values: Floats) -> Floats:
        """Values of lanes as a node's policy sees them, (N,): 0 where it has several."""
        return values if self.is_tree else self.lanes.where_single(values)
