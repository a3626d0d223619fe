"""What is on the way: when it will truly arrive, and when the planner believes it will."""

from __future__ import annotations

import numpy as np

from models.domain import Floats, Integers
from models.twin.network import Network


class Calendar:
    """Units by period due and node, a window that moves with time; a lead time is an index, so
    nothing is shifted.

    nodes: N. reach: the most periods ahead. The rows lie in a buffer twice as long as the window,
    which is copied to its front only when its end is reached.
    """

    def __init__(self, nodes: int, reach: int) -> None:
        self._reach = reach
        self._nodes = np.arange(nodes)
        self._units = np.zeros((2 * (reach + 1), nodes))
        self._flat = self._units.reshape(-1)
        self._now = -1

    def advance(self) -> Floats:
        """Start the next period: the units due in it, (N,), valid until the next call."""
        self._now += 1
        if self._now + self._reach >= len(self._units):
            self._units[: self._reach] = self._units[self._now :]
            self._units[self._reach :] = 0.0
            self._now = 0
        return self._units[self._now]

    def ahead(self) -> Floats:
        """Units due in the coming periods, (K, N), row 0 the next period; a view."""
        return self._units[self._now + 1 : self._now + 1 + self._reach]

    def add(self, units: Floats, periods: Integers | int, nodes: Integers | None = None) -> None:
        """Put units so many periods ahead: (N,) units for all nodes, or (n,) for `nodes`, none of
        them twice.
        """
        if nodes is None and isinstance(periods, int):
            self._units[self._now + periods] += units
        else:
            to = self._nodes if nodes is None else nodes
            self._flat[(self._now + periods) * self._nodes.size + to] += units


class Pipeline:
    """Open orders of all nodes by the period they arrive in, and by the promised one where the two
    may differ.

    Policies see promises only: a late order stays due next period until it comes. network: its
    lanes and planned lead times; planned: (T, E) by period where a calendar makes them differ,
    with `actual`. longest: periods of the longest actual lead time or open order;
    actual: (T, E) the lead time an order of each period really takes, None where all take the
    planned one.
    """

    def __init__(
        self,
        network: Network,
        longest: int,
        actual: Integers | None,
        planned: Integers | None = None,
    ) -> None:
        self._dated, planned = planned, network.lead_time
        self._turns = [(None, None)] if network.is_tree else network.lanes.turns
        self._planned: Integers | int = planned
        if planned.size and planned.min() == planned.max():
            self._planned = int(planned[0])
        self._to, self._actual, self._period = network.to, actual, -1
        self._has_instant = bool((planned == 0).any() if actual is None else (actual == 0).any())
        self._arrivals = Calendar(network.size, longest)
        self._promises, self._late = None, np.zeros(network.size)
        self._early: dict[int, list[tuple[Integers, Integers, Floats]]] = {}
        if actual is not None:
            ahead = planned if self._dated is None else self._dated
            self._promises = Calendar(network.size, max(longest, int(ahead.max(initial=0)), 1))

    def load(self, due: Floats, arriving: Floats) -> None:
        """Take over orders already open: due (N, K), column k is promised for the start of period
        k; arriving (N, K'): the same units as they come, which may be later where lead times vary.
        """
        for k in range(arriving.shape[1]):
            self._arrivals.add(arriving[:, k], k + 1)
        if self._promises is not None:
            for k in range(due.shape[1]):
                self._promises.add(due[:, k], k + 1)

    def advance(self) -> Floats:
        """Start the next period and hand over what has arrived, shape (N,)."""
        self._period += 1
        arrived = self._arrivals.advance()
        if self._promises is not None:
            self._late += self._promises.advance() - arrived
            for nodes, due, units in self._early.pop(self._period, []):
                self._promises.add(-units, due - self._period, nodes)
                self._late[nodes] += units
            np.maximum(self._late, 0.0, out=self._late)
        return arrived

    def takes(self, later: int = 0) -> Integers:
        """Periods that orders of this period really take that leave so much later, (E,) by lane."""
        return np.broadcast_to(self._took(later), self._to.shape)

    def _took(self, later: int) -> Integers | int:
        if self._actual is None:
            return self._planned + later
        return self._actual[min(self._period + later, len(self._actual) - 1)] + later

    def send(self, shipped: Floats, later: int = 0) -> Floats | None:
        """Send off this period's orders, (E,) by lane, which leave so many periods later and are
        promised all the same; returns what arrives at once, (E,), or None.
        """
        at_once = None
        actual = self._took(later)
        if self._has_instant:
            at_once = np.where(actual == 0, shipped, 0.0)
            shipped = shipped - at_once
        for lanes, nodes in self._turns:
            took = actual if lanes is None or isinstance(actual, int) else actual[lanes]
            part = shipped if lanes is None else shipped[lanes]
            self._arrivals.add(part, took, nodes)
            if self._promises is not None:
                planned = self._planned if self._dated is None else self._dated[self._period]
                if lanes is not None and not isinstance(planned, int):
                    planned = planned[lanes]
                self._promise(self._promises, part, took, planned, nodes)
        return at_once

    def _promise(
        self,
        promises: Calendar,
        units: Floats,
        took: Integers | int,
        planned: Integers | int,
        nodes: Integers | None,
    ) -> None:
        at = np.arange(units.size) if nodes is None else nodes
        soon = np.broadcast_to(planned, units.shape)
        real = np.broadcast_to(took, units.shape)
        self._late[at] += np.where(soon == 0, units, 0.0)  # promised for now and not here
        promises.add(np.where(soon > 0, units, 0.0), planned, nodes)
        early = (real < soon) & (units > 0)
        for period in np.unique(real[early]):
            rows = early & (real == period)
            entry = (at[rows], self._period + soon[rows], units[rows])
            self._early.setdefault(self._period + int(period), []).append(entry)

    def seen(self) -> Floats:
        """What the planner sees: units due at the start of the coming periods by promise, shape (N,
        K), column 0 the next period."""
        if self._promises is None:
            return self._arrivals.ahead().T
        seen = self._promises.ahead().copy()
        seen[0] += self._late
        return seen.T

    def total(self) -> Floats:
        """All units on the way, shape (N,)."""
        return self._arrivals.ahead().sum(axis=0)
