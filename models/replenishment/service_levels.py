"""How well an item is to be served: the service level that costs imply, the cost a service level
implies, and the usual classes."""

from __future__ import annotations

import numpy as np

from models.domain import ABC, Floats, Integers

#: Demand of a review interval with a coefficient of variation up to 0.5 is X (steady), up to 1 Y,
#: above Z (erratic).
XYZ = (0.5, 1.0)


def implied_shortage_cost(
    service_level: Floats | float, holding: Floats, periods: Floats | Integers | int = 1
) -> Floats:
    """The cost of a lost unit that would make this service level the cheapest: h x periods x level
    / (1 - level).

    periods: how long a unit too many is held before the next order can take it into account: the
    review interval under lost sales, 1 under backlog, where a unit owed costs in every period as
    well. Raises ValueError for a level outside 0 .. 1: no finite cost justifies never running out.
    """
    level = np.asarray(service_level, dtype=np.float64)
    if not ((level >= 0) & (level < 1)).all():
        raise ValueError(
            "a service level is at least 0 and below 1, not "
            f"{level[~((level >= 0) & (level < 1))].flat[0]:g}"
        )
    return np.asarray(holding * periods * level / (1 - level))


def implied_service_level(
    shortage: Floats, holding: Floats, periods: Floats | Integers | int = 1
) -> Floats:
    """The service level these costs ask for: p / (p + h x periods); 1 where neither costs
    anything."""
    total = shortage + holding * periods
    return np.divide(shortage, total, out=np.ones_like(total), where=total > 0)


def classes(value: Floats, history: Floats, review: int) -> list[str]:
    """ABC by share of the value, XYZ by how steadily it is asked for, such as "AX"; a row without
    two known intervals has no letter.

    value: (N,) money a period. history: (N, T) demand, NaN unknown; added up by review interval,
    unknown periods left out.
    """
    order = np.argsort(-value, kind="stable")
    before = np.concatenate([[0.0], value[order].cumsum()[:-1]]) / max(float(value.sum()), 1e-12)
    rank = np.empty(value.size, dtype=np.int64)
    rank[order] = np.searchsorted(ABC, before, side="right")
    whole = history.shape[1] // review * review
    if not whole:
        return ["ABC"[r] for r in rank]
    intervals = history[:, history.shape[1] - whole :].reshape(value.size, -1, review)
    known = ~np.isnan(intervals).any(axis=2)
    sums = np.where(known, np.nan_to_num(intervals).sum(axis=2), 0.0)
    count = np.maximum(known.sum(axis=1), 1)
    mean = sums.sum(axis=1) / count
    spread = np.sqrt((np.where(known, sums - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    variation = np.divide(spread, mean, out=np.full(value.size, np.inf), where=mean > 0)
    letter = np.where(known.sum(axis=1) > 1, np.searchsorted(XYZ, variation, side="left"), 3)
    return ["ABC"[r] + ("X", "Y", "Z", "")[v] for r, v in zip(rank, letter, strict=True)]
