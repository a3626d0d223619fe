"""The echelon view: a shipping node decides for everything downstream of it, not for the orders it
happens to see.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from models.domain import Floats, Integers, Situation, recent_mean

#: The recent periods that say how much a location usually sells.
RECENT = 26


class Echelons:
    """Who supplies whom, through any number of levels and with several sources a node.

    supplied_from: (E,) the shipping node of each lane, -1 for a supplier. to: (E,) the node it
    leads to; left out, lane i leads to node i. share: (E,) the part of a node's need that comes
    this way; left out, all of it. nodes: N; left out, E. Raises ValueError for a lane from a node
    that is not there and for a circle, by naming nodes.
    """

    def __init__(
        self,
        supplied_from: Integers,
        to: Integers | None = None,
        share: Floats | None = None,
        *,
        nodes: int | None = None,
    ) -> None:
        used = supplied_from >= 0 if share is None else (supplied_from >= 0) & (share > 0)
        lanes = np.flatnonzero(used)
        self.nodes = supplied_from.size if nodes is None else nodes
        self._lanes, self._source = lanes, supplied_from[lanes]
        self._to = lanes if to is None else to[lanes]
        self._share = np.ones(lanes.size) if share is None else share[lanes].astype(np.float64)
        last = self._source.max(initial=-1)
        if last >= self.nodes:
            raise ValueError(
                f"supplied_from points at node {last}, but there are only {self.nodes} nodes"
            )
        self._direct = csr_array(
            (self._share, (self._source, self._to)), shape=(self.nodes, self.nodes)
        )
        self._refuse_circles()
        self.parents: Integers = np.unique(self._source)

    def _refuse_circles(self) -> None:
        if not self._lanes.size:
            return
        linked = csr_array(
            (np.ones(self._lanes.size), (self._source, self._to)), shape=self._direct.shape
        )
        _, group = connected_components(linked, directed=True, connection="strong")
        size = np.bincount(group)
        itself = np.flatnonzero(self._source == self._to)
        first = self._to[itself[:1]] if itself.size else np.flatnonzero(size[group] > 1)
        if first.size:
            circle = np.flatnonzero(group == group[first[0]])[:5]
            raise ValueError(
                "goods go round in a circle: node(s) "
                + ", ".join(map(str, circle.tolist()))
                + " supply themselves"
            )

    @cached_property
    def below(self) -> csr_array:
        """The share of each node's need that comes through each parent, (P, N), over all levels."""
        reach = power = self._direct
        while power.nnz:
            power = power @ self._direct
            power.eliminate_zeros()
            reach = reach + power
        return csr_array(reach[self.parents])

    @cached_property
    def _levels(self) -> list[Integers]:
        """The lanes within the network in the order in which their sources can be summed up from
        below.
        """
        height = np.zeros(self.nodes, dtype=np.int64)
        while True:
            raised = height.copy()
            np.maximum.at(raised, self._source, height[self._to] + 1)
            if (raised == height).all():
                break
            height = raised
        return [np.flatnonzero(height[self._source] == k) for k in range(1, int(height.max()) + 1)]

    def way_down(self, lead_time: Integers) -> Integers:
        """Periods from each node to the farthest shelf below it, (N, ...) for lead times of lanes,
        (E, ...).
        """
        way = np.zeros((self.nodes, *lead_time.shape[1:]), dtype=lead_time.dtype)
        for level in self._levels:
            took = lead_time[self._lanes[level]] + way[self._to[level]]
            np.maximum.at(way, self._source[level], took)
        return way

    def stock(self, on_hand: Floats, position: Floats) -> Floats:
        """Each node's stock, a parent's with all that is on hand and on the way downstream,
        (N,).
        """
        lifted = on_hand.astype(np.float64)
        lifted[self.parents] += self.below @ position
        return lifted

    def demand(self, demand: Floats) -> Floats:
        """Known demand, a parent's with all that is sold downstream, (N, ...)."""
        lifted = demand.astype(np.float64)
        lifted[self.parents] += self.below @ demand
        return lifted

    def history(self, history: Floats) -> Floats:
        """As `demand`, for what is not known of some periods: it counts as the node's usual, (N,
        T).
        """
        unknown = np.isnan(history)
        if not unknown.any():
            return self.demand(history)
        lifted = history.copy()
        filled = np.where(unknown, recent_mean(history, RECENT)[:, None], history)
        lifted[self.parents] = self.below @ filled + filled[self.parents]
        return lifted

    def paths(self, paths: Floats) -> Floats:
        """Sampled demand, a parent's with all that is asked downstream, (N, S, H)."""
        lifted = paths.copy()
        summed = self.below @ paths.reshape(self.nodes, -1)
        lifted[self.parents] += summed.reshape(-1, *paths.shape[1:]).astype(paths.dtype)
        return lifted

    def equal_shortage(self, shortage: Floats) -> Floats | None:
        """`shortage` where all nodes below each parent have the same cost, (N,); None where some
        differ.
        """
        each, starts = shortage[self.below.indices], self.below.indptr[:-1]
        least = np.minimum.reduceat(each, starts)
        if (least != np.maximum.reduceat(each, starts)).any():
            return None
        lifted = shortage.astype(np.float64)
        lifted[self.parents] = least
        return lifted

    def shortage(self, shortage: Floats, history: Floats, paths: Floats | None) -> Floats:
        """What a missing unit costs, a parent's as the mean downstream weighted by demand, (N,);
        what it sells itself is taken to cost as much."""
        equal = self.equal_shortage(shortage)
        if equal is not None:
            return equal
        lifted = shortage.astype(np.float64)
        weight = self._weights(history, paths)
        lifted[self.parents] = (self.below @ (weight * shortage)) / (self.below @ weight)
        return lifted

    def _weights(self, history: Floats, paths: Floats | None) -> Floats:
        mean: Floats = np.zeros(self.nodes)
        if paths is not None:
            mean = paths.mean(axis=(1, 2), dtype=np.float64)
        elif history.shape[1]:
            mean = recent_mean(history, RECENT)
        # A location that sells nothing yet still has a say where no other does.
        weight = np.maximum(mean, 1e-9)
        weight[self.parents] = np.maximum(mean[self.parents], 1e-18)
        return weight


def echelon_view(situation: Situation, supplied_from: Integers) -> Situation:
    """The situation with every shipping node's row lifted to its echelon; all other rows unchanged.

    Stock: its own + on hand and on the way downstream. Demand and paths: the sum of what is asked
    downstream (and of itself). Lead time: its own + the longest way down, so that the window is
    supplier lead + lanes + review. Shortage cost: the mean of what is downstream, weighted by
    demand. Unknown demand of one location counts as that location's recent mean.
    supplied_from: (N,) the node that ships to each, -1 for a supplier.
    """
    echelons = Echelons(supplied_from)
    if not echelons.parents.size:
        return situation
    economics, sampled = situation.economics, situation.lead_time_paths
    history, paths = situation.history, situation.paths
    return replace(
        situation,
        on_hand=echelons.stock(situation.on_hand, situation.position),
        history=echelons.history(history),
        paths=None if paths is None else echelons.paths(paths),
        lead_time=situation.lead_time + echelons.way_down(situation.lead_time),
        lead_time_paths=sampled + echelons.way_down(sampled) if sampled.size else sampled,
        economics=replace(
            economics, shortage=echelons.shortage(economics.shortage, history, paths)
        ),
        customer_orders=echelons.demand(situation.customer_orders)
        if situation.customer_orders.size
        else situation.customer_orders,
    )
