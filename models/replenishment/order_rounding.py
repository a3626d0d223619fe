"""From a wanted quantity to one that can be bought: minimum, multiple, and what a distribution
centre has to give.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array

from models.domain import Floats, Integers


def smallest_order(moq: Floats, multiple: Floats) -> Floats:
    """The least quantity a supplier accepts: the smallest multiple at or above the minimum (MOQ 10,
    multiple 15: 15).
    """
    moq, multiple = np.asarray(moq, dtype=np.float64), np.asarray(multiple, dtype=np.float64)
    step = np.where(multiple > 0, multiple, 1.0)
    return np.where(multiple > 0, step * np.maximum(np.ceil(moq / step - 1e-9), 1.0), moq)


class Lots:
    """The quantities each row can be ordered in, worked out once for many decisions: the rounding
    rule of `feasible`.
    """

    def __init__(self, moq: Floats, multiple: Floats) -> None:
        multiple = np.asarray(multiple, dtype=np.float64)
        self._is_stepped, self._step = multiple > 0, np.where(multiple > 0, multiple, 1.0)
        self._smallest = smallest_order(moq, multiple)
        # Whole units and no minimum: what most rows of most companies have, in a third of the time.
        self._are_units = bool((multiple == 1).all() and (self._smallest <= 1).all())

    def round_up(self, quantity: Floats) -> Floats:
        """0 where nothing is wanted, else the least multiple at or above the wanted quantity and
        the minimum, (N,).

        Raises ValueError for a quantity that is not finite.
        """
        quantity = np.asarray(quantity, dtype=np.float64)
        if not np.isfinite(quantity.sum()) and not np.isfinite(quantity).all():
            row = int(np.flatnonzero(~np.isfinite(quantity))[0])
            raise ValueError(f"order quantity of row {row} is not a finite number")
        if self._are_units:
            units = np.asarray(quantity - 1e-9)  # one row's is a number, which takes no `out`
            return np.ceil(np.maximum(units, 0.0, out=units), out=units)
        rounded = self._step * np.ceil(quantity / self._step - 1e-9)
        rounded = np.where(self._is_stepped, rounded, quantity)
        return np.where(quantity > 1e-9, np.maximum(rounded, self._smallest), 0.0)

    def round_off(self, quantity: Floats) -> Floats:
        """What can be ordered that is nearest to the wanted quantity, 0 included, (N,)."""
        quantity = np.asarray(quantity, dtype=np.float64)
        whole = self._step * np.floor(quantity / self._step + 0.5 + 1e-9)
        nearest = np.where(self._is_stepped, whole, quantity)
        least = np.where(quantity >= self._smallest / 2, self._smallest, 0.0)
        return np.where(quantity >= self._smallest, np.maximum(nearest, self._smallest), least)


def feasible(quantity: Floats, moq: Floats, multiple: Floats) -> Floats:
    """Round wanted quantities up to what can be ordered: 0 where nothing is wanted, else a multiple
    at or above the minimum.

    multiple 1 means whole units, 0 means any quantity. Raises ValueError for a quantity that is not
    finite.
    """
    return Lots(moq, multiple).round_up(quantity)


def orderable(quantity: float, moq: float, multiple: float) -> float:
    """One line's least quantity at or above what is needed that a supplier takes: at least the MOQ,
    in whole multiples (> 0).
    """
    return math.ceil(round(max(quantity, moq) / multiple, 9)) * multiple


def up_to_price_break(
    quantity: Floats,
    starts: Floats,
    prices: Floats,
    *,
    moq: Floats,
    multiple: Floats,
    demand: Floats,
    holding: Floats,
    review: Integers | int,
) -> Floats:
    """Raise an order to where the supplier's next price begins, if the lower price saves more than
    holding what comes too early costs.

    starts, prices: (N, B) quantity from which a unit price holds, NaN where there is none. demand:
    (N,) mean a period, holding: money a unit and period. The price is paid on all units; the E
    units too many wait a review interval and are then used up at the rate of demand: E x h x (R + E
    / 2d). Source: the all-units discount, Hadley and Whitin 1963.
    """
    usual = price_at(quantity, starts, prices)
    best, most = quantity.astype(np.float64), np.zeros(quantity.shape)
    for tier in range(starts.shape[1]):
        raised = feasible(np.nan_to_num(starts[:, tier]), moq, multiple)
        early = raised - quantity
        with np.errstate(divide="ignore", invalid="ignore"):
            waiting = early * holding * (review + early / (2 * demand))
            saved = (usual - price_at(raised, starts, prices)) * raised - waiting
        is_better = (quantity > 0) & (early > 0) & (saved > most)
        best, most = np.where(is_better, raised, best), np.where(is_better, saved, most)
    return best


def price_at(quantity: Floats, starts: Floats, prices: Floats) -> Floats:
    """The unit price of an order of this size, (N,): that of the highest step it reaches, of the
    lowest where it reaches none.
    """
    reached = np.where(np.isnan(starts) | (starts > quantity[:, None] + 1e-9), -np.inf, starts)
    lowest = np.where(np.isnan(starts), np.inf, starts)
    step = np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), lowest.argmin(axis=1))
    return np.asarray(prices[np.arange(quantity.size), step])


class Sharing:
    """Who draws on whose stock, worked out once for many decisions: the rule of `allocate`."""

    def __init__(self, supplied_from: Integers, multiple: Floats) -> None:
        inner = np.flatnonzero(supplied_from >= 0)
        self._rows = inner[np.argsort(supplied_from[inner], kind="stable")]  # source by source
        self._step = np.asarray(multiple, dtype=np.float64)[self._rows]
        self.sources, starts, self._asking = np.unique(
            supplied_from[self._rows], return_index=True, return_counts=True
        )
        pointers = np.append(starts, self._rows.size)
        self._drawn = csr_array(
            (np.ones(self._rows.size), self._rows, pointers),
            shape=(self.sources.size, supplied_from.size),
        )

    def leaving(self, shipped: Floats) -> Floats:
        """The units of these orders, (E,), that leave each of the sources, (P,)."""
        total: Floats = self._drawn @ shipped
        return total

    def share_out(self, requested: Floats, available: Floats) -> Floats:
        """What is sent of what is asked, (E,), from the stock of each node, (N,)."""
        if not self.sources.size:
            return requested
        total = self.leaving(requested)
        stock = available[self.sources]
        is_short = total > stock
        if not is_short.any():
            return requested
        short = np.flatnonzero(np.repeat(is_short, self._asking))
        source = np.repeat(np.arange(int(is_short.sum())), self._asking[is_short])
        rows, step = self._rows[short], self._step[short]
        asked, has_step, stock = requested[rows], step > 0, stock[is_short]
        whole = np.where(has_step, step, 1.0)
        share = asked * (np.maximum(stock, 0.0) / total[is_short])[source]
        given = np.where(has_step, whole * np.floor(share / whole + 1e-9), share)
        left = stock - np.bincount(source, weights=given)
        queue = np.flatnonzero(has_step & (given + whole <= asked + 1e-9))
        # Sources are in order and a remainder is a share of one multiple, so one key sorts by both;
        # rounded, so that remainders that are equal but for the last bit count as equal.
        key = source[queue] - 0.999 * np.round((share - given)[queue] / whole[queue], 9)
        _hand_out(given, left, queue[np.argsort(key, kind="stable")], source, whole)
        shipped = requested.copy()
        shipped[rows] = given
        return shipped


def allocate(
    requested: Floats, supplied_from: Integers, available: Floats, multiple: Floats
) -> Floats:
    """Share out each shipping node's stock over what is asked of it: in full where it suffices,
    else in proportion, in whole multiples.

    requested, multiple: (E,) by row or lane. supplied_from: (E,) the node that ships. available:
    (N,) stock of each node. Rows with supplied_from -1 get what they ask (the supplier never runs
    out). What proportion leaves over goes out one multiple at a time, largest remainder first,
    lowest row first among equals.
    """
    return Sharing(supplied_from, multiple).share_out(requested, available)


def _hand_out(
    given: Floats, left: Floats, queue: Integers, source: Integers, whole: Floats
) -> None:
    """Give one multiple to each row of the queue, source by source, while its source has one left;
    changes `given`.
    """
    if not queue.size:
        return
    from_, step = source[queue], whole[queue]
    is_first = np.ones(queue.size, dtype=bool)
    np.not_equal(from_[1:], from_[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    lengths = np.diff(starts, append=queue.size)
    is_even = np.ones(queue.size, dtype=bool)
    if step.min() < step.max():
        least, most = (bound.reduceat(step, starts) for bound in (np.minimum, np.maximum))
        is_even = np.repeat(least == most, lengths)
    place = np.arange(1, queue.size + 1) - np.repeat(starts, lengths)
    enough = queue[is_even & (place * step <= left[from_] + 1e-9)]
    given[enough] += whole[enough]
    # multiples that differ: a smaller one may still fit where a larger one does not
    for i in queue[~is_even]:
        if left[source[i]] >= whole[i] - 1e-9:
            given[i] += whole[i]
            left[source[i]] -= whole[i]
