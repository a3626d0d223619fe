"""From a wanted quantity to one that can be bought: minimum, multiple, and what a distribution centre has to give."""

from __future__ import annotations

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
