"""From a wanted quantity to one that can be bought: minimum, multiple, and what a distribution centre has to give."""

from __future__ import annotations

import math

import numpy as np

from models.domain import Floats, Integers


def smallest_order(moq: Floats, multiple: Floats) -> Floats:
    """The least quantity a supplier accepts: the smallest multiple at or above the minimum (MOQ 10, multiple 15: 15)."""
    moq, multiple = np.asarray(moq, dtype=np.float64), np.asarray(multiple, dtype=np.float64)
    step = np.where(multiple > 0, multiple, 1.0)
    return np.where(multiple > 0, step * np.maximum(np.ceil(moq / step - 1e-9), 1.0), moq)


def feasible(quantity: Floats, moq: Floats, multiple: Floats) -> Floats:
    """Round wanted quantities up to what can be ordered: 0 where nothing is wanted, else a multiple at or above the minimum.

    multiple 1 means whole units, 0 means any quantity. Raises ValueError for a quantity that is not finite.
    """
    quantity = np.asarray(quantity, dtype=np.float64)
    if not np.isfinite(quantity).all():
        raise ValueError(f"order quantity of row {int(np.flatnonzero(~np.isfinite(quantity))[0])} is not a finite number")
    multiple = np.asarray(multiple, dtype=np.float64)
    step = np.where(multiple > 0, multiple, 1.0)
    rounded = np.where(multiple > 0, step * np.ceil(quantity / step - 1e-9), quantity)
    return np.where(quantity > 1e-9, np.maximum(rounded, smallest_order(moq, multiple)), 0.0)


def orderable(wanted: float, moq: float, multiple: float) -> float:
    """One line's least quantity at or above what is wanted that a supplier takes: at least the MOQ, in whole multiples (> 0)."""
    return math.ceil(round(max(wanted, moq) / multiple, 9)) * multiple


def up_to_price_break(
    quantity: Floats, starts: Floats, prices: Floats, *, moq: Floats, multiple: Floats, demand: Floats, holding: Floats, review: int
) -> Floats:
    """Raise an order to where the supplier's next price begins, if the lower price saves more than holding what comes too early costs.

    starts, prices: (N, B) quantity from which a unit price holds, NaN where there is none. demand: (N,) mean a period, holding: money
    a unit and period. The price is paid on all units; the E units too many wait a review interval and are then used up at the rate of
    demand: E x h x (R + E / 2d). Source: the all-units discount, Hadley and Whitin 1963.
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
    """The unit price of an order of this size, (N,): that of the highest step it reaches, of the lowest where it reaches none."""
    reached = np.where(np.isnan(starts) | (starts > quantity[:, None] + 1e-9), -np.inf, starts)
    lowest = np.where(np.isnan(starts), np.inf, starts)
    step = np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), lowest.argmin(axis=1))
    return np.asarray(prices[np.arange(quantity.size), step])


def allocate(requested: Floats, supplied_from: Integers, available: Floats, multiple: Floats) -> Floats:
    """Share out each shipping node's stock over what is asked of it: in full where it suffices, else in proportion, in whole
    multiples.

    requested, multiple: (N,). available: (N,) stock of each node. Rows with supplied_from -1 get what they ask (the supplier
    never runs out). What proportion leaves over goes out one multiple at a time, largest remainder first, lowest row first among
    equals.
    """
    shipped = np.where(supplied_from < 0, requested, 0.0)
    asking = np.flatnonzero((supplied_from >= 0) & (requested > 0))
    if not asking.size:
        return shipped
    source = supplied_from[asking]
    total = np.bincount(source, weights=requested[asking], minlength=available.size)
    share = np.minimum(np.divide(np.maximum(available, 0.0), total, out=np.ones_like(total), where=total > 0), 1.0)[source]
    step = np.asarray(multiple, dtype=np.float64)[asking]
    whole = np.where(step > 0, step, 1.0)
    wanted = requested[asking] * share
    given = np.where((step > 0) & (share < 1), whole * np.floor(wanted / whole + 1e-9), wanted)

    left = available - np.bincount(source, weights=given, minlength=available.size)
    short = np.flatnonzero((step > 0) & (share < 1) & (given + whole <= requested[asking] + 1e-9))
    for i in short[np.lexsort((short, -(wanted - given)[short] / whole[short]))]:
        if left[source[i]] >= whole[i] - 1e-9:
            given[i] += whole[i]
            left[source[i]] -= whole[i]
    shipped[asking] = given
    return shipped
