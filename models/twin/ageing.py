"""Goods that spoil inside a simulation: which units are oldest, who gets them, and what is thrown
away because nobody bought it in time.

Beside the units that a node holds stands when each can be sold for the last time. What leaves it,
to a customer or to another place, is what spoils first (first expired, first out: where goods keep
equally long and come in the order they were sent, first in, first out). Goods keep their date on
the way, and get no later one where they arrive. Nothing here decides: policies see units, as the
line does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.domain import Floats, Integers
from models.twin.network import Network


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """How long goods keep at N nodes, and until when the stock there can be sold.

    life: (N,) whole periods in which goods can be sold at most, from that of their arrival on;
    infinite where they keep, one at least. What another node sends may have less left. lots:
    (N, K) units on hand before the first period, by the last period in which they can be sold,
    column k period k. The rest of the stock is as fresh as what arrives. Raises ValueError for
    lives and lots that do not fit, or are negative.
    """

    life: Floats
    lots: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if np.isnan(self.life).any() or (self.life < 0).any():
            raise ValueError("shelf: goods keep for 0 periods or more, infinite where they keep")
        if self.lots.size and len(self.lots) != self.life.size:
            raise ValueError(f"shelf: lots has {len(self.lots)} rows for {self.life.size} nodes")
        if not (np.isfinite(self.lots) & (self.lots >= 0)).all():
            raise ValueError("shelf: lots must be finite units, 0 or more")

    def spoils(self, network: Network, periods: int) -> Integers:
        """The nodes at which anything can spoil within so many periods, and those below them."""
        flags = self.life <= periods
        if self.lots.size:
            flags = flags | self.lots[:, :periods].any(axis=1)
        while True:
            inner = network.supplied_from >= 0
            reached = flags.copy()
            # of several senders any; by index alone the last one would decide
            np.logical_or.at(reached, network.to[inner], flags[network.supplied_from[inner]])
            if (reached == flags).all():
                return np.flatnonzero(flags)
            flags = reached

    def expiring(self, stock: Floats, due: Floats, periods: int) -> Floats:
        """Units of the stock, (N,), and of what is due, (N, K) by period, that can be sold for the
        last time in each of so many periods, where nobody buys them before, (N, periods)."""
        known = self.lots if self.lots.size else np.zeros((stock.size, 0))
        dated, units = np.zeros((stock.size, periods)), known.sum(axis=1)
        dated[:, : known.shape[1]] = known[:, :periods]
        # what a count had and is no longer there was the oldest
        older = np.maximum(dated.cumsum(axis=1) - np.maximum(units - stock, 0.0)[:, None], 0.0)
        found = np.diff(older, axis=1, prepend=0.0)
        came = [(0, np.maximum(stock - units, 0.0)), *enumerate(due.T)]
        for period, fresh in came:
            until = period + np.maximum(self.life, 1.0) - 1
            here = np.flatnonzero(until < periods)
            found[here, until[here].astype(np.int64)] += fresh[here]
        return found

    def start(self, network: Network, stock: Floats, periods: int) -> Ageing | None:
        """The state of a simulation of so many periods that begins with this stock, (N,); None
        where nothing can spoil in it. Raises ValueError for another number of nodes."""
        if self.life.size != network.size:
            raise ValueError(f"shelf: {self.life.size} lives for {network.size} nodes")
        nodes = self.spoils(network, periods)
        return Ageing(self, network, nodes, stock, periods) if nodes.size else None


class Ageing:
    """Units at hand and on the way between nodes by the last period in which they can be sold;
    its steps follow those of the simulator and change it in place.
    """

    def __init__(
        self, shelf: Shelf, network: Network, nodes: Integers, stock: Floats, periods: int
    ) -> None:
        self.nodes, self._network = nodes, network
        self._last = periods  # the row of what keeps beyond the last period
        self._life = np.maximum(shelf.life[nodes], 1.0)
        self._units = np.zeros((periods + 1, nodes.size))
        self._coming: dict[int, list[tuple[int, Integers, Floats]]] = {}
        known = shelf.lots[nodes].T if shelf.lots.size else np.zeros((0, nodes.size))
        self._units[: len(known)] = known[: periods + 1]
        self._units[-1] += known[periods + 1 :].sum(axis=0)
        # what a count had and is no longer there was the oldest
        self.take(0, np.maximum(self._units.sum(axis=0) - stock[nodes], 0.0))
        self._add_fresh(0, np.maximum(stock[nodes] - self._units.sum(axis=0), 0.0))
        self._lanes = _SendingLanes(network, nodes)

    def receive(self, t: int, arrived: Floats) -> Floats:
        """Put away what arrived, (N,); what was sent by another node keeps its date. Returns the
        units of it past their date, (S,) by node that spoils."""
        fresh, late = arrived[self.nodes], np.zeros(self.nodes.size)
        for sent, columns, lots in self._coming.pop(t, []):
            np.subtract.at(fresh, columns, lots.sum(axis=0))
            np.add.at(late, columns, lots[: t - sent].sum(axis=0))
            self._put(t, columns, lots[t - sent :])
        self._add_fresh(t, np.maximum(fresh, 0.0))
        return late

    def take(self, t: int, wanted: Floats) -> None:
        """So many units, (S,), leave the nodes, those that spoil first before others."""
        left = wanted.copy()
        for row in range(t, self._last + 1):
            part = np.minimum(self._units[row], left)
            self._units[row] -= part
            left -= part
            if not left.any():
                return

    def ship(self, t: int, shipped: Floats, took: Integers) -> None:
        """Goods leave on their lanes, (E,) units that take so many periods, (E,): those that spoil
        first, one lane after the other, each period beginning with another."""
        lanes = self._lanes
        if not lanes.size:
            return
        starts, total = lanes.queue(t, shipped)
        ends, gone = starts + shipped[lanes.lane], np.zeros(total.size)
        carried = np.zeros((self._last + 1 - t, lanes.size))
        for row in range(t, self._last + 1):
            part = np.minimum(self._units[row, lanes.source], total - gone)
            self._units[row, lanes.source] -= part
            until = np.minimum(ends, (gone + part)[lanes.giver])
            carried[row - t] = np.maximum(until - np.maximum(starts, gone[lanes.giver]), 0.0)
            gone = gone + part
            if (gone >= total).all():
                break
        self._send(t, carried, took[lanes.lane])

    def _send(self, t: int, carried: Floats, took: Integers) -> None:
        full = np.flatnonzero(carried.any(axis=0))
        for periods in np.unique(took[full]).tolist():
            lanes = full[took[full] == periods]
            columns, lots = self._lanes.receiver[lanes], carried[:, lanes]
            if periods == 0:
                self._put(t, columns, lots)
            else:
                self._coming.setdefault(t + periods, []).append((t, columns, lots))

    def bring(self, t: int, at_once: Floats) -> None:
        """Put away what suppliers bring in the period it is ordered in, (E,) units of all lanes."""
        units = at_once.copy()
        units[self._lanes.lane] = 0.0  # their own goods are there, with their date
        self._add_fresh(t, self._network.by_node(units)[self.nodes])

    def spoil(self, t: int) -> Floats:
        """The end of a period: the units, (S,), that could be sold in it for the last time."""
        gone = self._units[t].copy()
        self._units[t] = 0.0
        return gone

    def _put(self, t: int, columns: Integers, lots: Floats) -> None:
        """Put away units by the last period, from t on, in which they could be sold, (K, n): at
        most for as long as they keep in these columns."""
        most = self._fresh_until(t)[columns]
        is_longer = np.arange(t, self._last + 1)[:, None] > most
        np.add.at(self._units[t:].T, columns, np.where(is_longer, 0.0, lots).T)
        np.add.at(self._units, (most, columns), np.where(is_longer, lots, 0.0).sum(axis=0))

    def _fresh_until(self, t: int) -> Integers:
        """The last period, (S,), in which what arrives now can be sold; the one after the last of
        all where that is later."""
        return np.minimum(t + self._life - 1, self._last).astype(np.int64)

    def _add_fresh(self, t: int, units: Floats) -> None:
        self._units[self._fresh_until(t), np.arange(self.nodes.size)] += units


class _SendingLanes:
    """The lanes on which nodes that spoil send goods, lane by lane of each sender.

    lane: (n,) numbers of lanes. source: (P,) columns of the senders; giver: (n,) which of them;
    receiver: (n,) columns of the nodes that get them.
    """

    def __init__(self, network: Network, nodes: Integers) -> None:
        column = np.full(network.size + 1, -1)
        column[nodes] = np.arange(nodes.size)
        sender = column[network.supplied_from]  # a supplier, -1, is the last
        lanes = np.flatnonzero(sender >= 0)
        self.lane = lanes[np.argsort(sender[lanes], kind="stable")]
        self.source, self._first, self.giver, self._count = np.unique(
            sender[self.lane], return_index=True, return_inverse=True, return_counts=True
        )
        self.receiver = column[network.to[self.lane]]
        self.size = int(self.lane.size)

    def queue(self, turn: int, shipped: Floats) -> tuple[Floats, Floats]:
        """Where each lane's units begin in the queue at its sender, (n,), and the length of each
        sender's queue, (P,); which lane is first changes turn by turn."""
        units = shipped[self.lane]
        before = np.concatenate([[0.0], units.cumsum()])
        start = before[self._first]
        total = before[self._first + self._count] - start
        pivot = before[self._first + turn % self._count] - start
        place = before[:-1] - (start + pivot)[self.giver]
        return np.where(place < -1e-9, place + total[self.giver], np.maximum(place, 0.0)), total
