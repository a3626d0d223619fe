"""What no policy can beat at one location: optima computed exactly, to measure others against.

All follow the clock contract of models/domain.py: receive, decide, demand, book; an order of period
t arrives at the start of t + L. Costs are long-run means a period, money.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats, Integers
from models.learning import demands

#: Bounds on the optimal cost are this close when value iteration ends.
TOLERANCE = 1e-5
MOST_ROUNDS = 5000
#: More states times orders than this are refused: a machine's memory, not mathematics.
MOST_STATES = 60_000_000


@dataclass(frozen=True)
class Optimum:
    """The least cost a period, proved within +/- slack, and the orders that reach it.

    orders: whole units by state; lost sales: (on hand, due in 1, ..., due in L - 1), backlog: by
    stock position, whose first entry is `lowest`.
    """

    cost: float
    slack: float
    orders: Integers
    lowest: int = 0


def newsvendor(pmf: Floats, holding: float, shortage: float) -> tuple[int, float]:
    """The stock that costs least for one demand, and that cost: the fractile p / (p + h)."""
    pmf = demands.check(pmf)
    level = demands.quantile(pmf, shortage / (shortage + holding))
    return level, float(mismatch(pmf, np.array([level]), holding, shortage)[0])


def mismatch(pmf: Floats, levels: Integers, holding: float, shortage: float) -> Floats:
    """Expected cost of units left over and units short for each of these stocks, (S,)."""
    left = levels[:, None] - np.arange(pmf.size)
    return np.where(left > 0, holding * left, -shortage * left) @ pmf


def base_stock(pmf: Floats, lead_time: int, holding: float, shortage: float) -> tuple[int, float]:
    """The optimal order-up-to level under backlog and its cost: a newsvendor over L + 1 periods."""
    return newsvendor(demands.over(demands.check(pmf), lead_time + 1), holding, shortage)


def clairvoyant(demand: Floats, holding: float, order_cost: float) -> float:
    """What serving known demand (T,) without any shortage costs at least: Wagner and Whitin 1958.

    Total cost of one location over T periods that starts empty and is supplied in time; 0 where an
    order costs nothing.
    """
    periods = demand.size
    best = np.full(periods + 1, np.inf)
    best[0] = 0.0
    for start in range(periods):
        early = np.arange(periods - start) * demand[start:] * holding
        until = best[start] + order_cost * (demand[start:].cumsum() > 0) + early.cumsum()
        best[start + 1 :] = np.minimum(best[start + 1 :], until)
    return float(best[-1])


# --- lost sales ----------------------------------------------------------------------------------


def lost_sales(
    pmf: Floats,
    lead_time: int,
    holding: float,
    shortage: float,
    *,
    orders: Integers | None = None,
) -> Optimum:
    """The optimal policy under lost sales by value iteration over all states, lead time 1 and up.

    orders: evaluate this policy instead, by state as in Optimum. The largest order is raised until
    the optimal policy never wants it; no position above the fractile p / (p + h) of demand over
    L + 1 periods is worth ordering up to (Morton 1969). Source: Zipkin, Operations Research 56(4),
    2008. Raises ValueError for a problem too large to enumerate.
    """
    pmf = demands.check(pmf)
    if lead_time < 1:
        raise ValueError("lost sales: lead time must be at least 1; with 0 it is a newsvendor")
    most = demands.quantile(demands.over(pmf, lead_time + 1), shortage / (shortage + holding))
    if orders is not None:
        return _iterate(pmf, holding, shortage, orders.shape, orders)
    largest = int(np.ceil(1.3 * demands.mean(pmf))) + 1
    while True:
        shape = (most + 1, *[largest + 1] * (lead_time - 1))
        solution = _iterate(pmf, holding, shortage, shape, None, largest)
        seen = solution.orders[tuple(_reachable(pmf, solution.orders).T)]
        if largest >= most or seen.max(initial=0) < largest:
            return solution
        largest += 3


def _iterate(
    pmf: Floats,
    holding: float,
    shortage: float,
    shape: tuple[int, ...],
    orders: Integers | None,
    largest: int = 0,
) -> Optimum:
    """Relative value iteration; bounds by MacQueen. shape: states; largest: the greatest order."""
    choices = (largest if orders is None else shape[1] - 1 if len(shape) > 1 else orders.max()) + 1
    if int(np.prod(shape, dtype=np.float64)) * choices > MOST_STATES:
        raise ValueError(
            f"{np.prod(shape, dtype=np.float64):,.0f} states with {choices} orders each are too"
            " many to enumerate: shorten the lead time or scale demand down"
        )
    stock = np.arange(shape[0])
    now = mismatch(pmf, stock, holding, shortage).reshape(-1, *[1] * (len(shape) - 1))
    steps = _steps(pmf, shape[0], choices)
    value = np.zeros(shape)
    for _ in range(MOST_ROUNDS):
        ahead = (steps @ value.reshape(shape[0], -1)).reshape(shape[0], choices, *shape[1:])
        if orders is None:
            new = now + ahead.min(axis=-1)
        else:
            new = now + np.take_along_axis(ahead, orders[..., None], axis=-1)[..., 0]
        change = new - value
        low, high = float(change.min()), float(change.max())
        value = new - new.flat[0]
        if high - low < 2 * TOLERANCE:
            best = ahead.argmin(axis=-1) if orders is None else orders
            return Optimum((low + high) / 2, (high - low) / 2, best)
    raise ValueError(f"value iteration did not settle in {MOST_ROUNDS} rounds")


def _steps(pmf: Floats, stocks: int, choices: int) -> Floats:
    """Chances to go from a stock to the next by what arrives then, (stocks * choices, stocks)."""
    after = np.zeros((stocks, stocks))
    for stock in range(stocks):
        left = np.maximum(stock - np.arange(pmf.size), 0)
        after[stock] = np.bincount(left, weights=pmf, minlength=stocks)
    steps = np.zeros((stocks, choices, stocks))
    for arriving in range(choices):
        to = np.minimum(np.arange(stocks) + arriving, stocks - 1)
        for kept in range(stocks):
            steps[:, arriving, to[kept]] += after[:, kept]
    return steps.reshape(stocks * choices, stocks)


def _reachable(pmf: Floats, orders: Integers) -> Integers:
    """The states that a policy comes to from an empty system, (n, L)."""
    seen = np.zeros(orders.shape, dtype=bool)
    new = np.zeros((1, orders.ndim), dtype=np.int64)
    demand = np.flatnonzero(pmf > 0)
    while new.size:
        seen[tuple(new.T)] = True
        due = np.column_stack([new[:, 1:], orders[tuple(new.T)]])
        left = np.maximum(new[:, :1] - demand, 0) + due[:, :1]
        to = np.concatenate(
            [
                np.minimum(left, orders.shape[0] - 1).reshape(-1, 1),
                np.repeat(due[:, 1:], demand.size, axis=0),
            ],
            axis=1,
        )
        new = np.unique(to[~seen[tuple(to.T)]], axis=0)
    return np.argwhere(seen)


# --- backlog -------------------------------------------------------------------------------------


def backlog(
    pmf: Floats, lead_time: int, holding: float, shortage: float, order_cost: float = 0.0
) -> Optimum:
    """The optimal policy under backlog by value iteration over the stock position, any lead time.

    What is on the way needs no state: the cost an order decides on falls L periods later.
    """
    pmf = demands.check(pmf)
    window = demands.over(pmf, lead_time + 1)
    level = demands.quantile(window, shortage / (shortage + holding))
    batch = np.sqrt(2 * order_cost * demands.mean(pmf) / holding)
    high = int(level + np.ceil(2 * batch)) + 1
    # Below the lowest position every policy orders: demand beyond it is folded there.
    low = min(-pmf.size, level - 2 * window.size // (lead_time + 1) - int(2 * batch)) - 1
    positions = np.arange(low, high + 1)
    cost = mismatch(window, positions, holding, shortage)
    size = positions.size
    value, orders = np.zeros(size), np.zeros(size, dtype=np.int64)
    for _ in range(MOST_ROUNDS):
        padded = np.concatenate([np.full(pmf.size - 1, value[0]), value])
        kept = cost + np.convolve(padded, pmf, mode="valid")
        best = np.minimum.accumulate(kept[::-1])[::-1]  # over every position at or above
        new = np.minimum(kept, order_cost + best)
        change = new - value
        least, most = float(change.min()), float(change.max())
        value = new - new[0]
        if most - least < 2 * TOLERANCE:
            target = np.array([k + int(kept[k:].argmin()) for k in range(size)])
            orders = np.where(kept <= order_cost + best, 0, target - np.arange(size))
            return Optimum((least + most) / 2, (most - least) / 2, orders, int(low))
    raise ValueError(f"value iteration did not settle in {MOST_ROUNDS} rounds")


def s_S(
    pmf: Floats, lead_time: int, holding: float, shortage: float, order_cost: float
) -> tuple[int, int, float]:
    """The optimal reorder point s, order-up-to level S and cost under backlog: at a position of s
    or less, order up to S.

    Exact for discrete demand. Source: Zheng and Federgruen, Operations Research 39(4), 1991.
    """
    pmf = demands.check(pmf)
    window = demands.over(pmf, lead_time + 1)

    def expected(position: int) -> float:
        return float(mismatch(window, np.array([position]), holding, shortage)[0])

    renewal = _Renewal(pmf)

    def average(point: int, level: int) -> float:
        return renewal.cost(point, level, expected, order_cost)

    least = demands.quantile(window, shortage / (shortage + holding))
    point = least - 1
    while average(point, least) > expected(point):
        point -= 1
    best, top = average(point, least), least
    level = least + 1
    while expected(level) <= best:
        if average(point, level) < best:
            while average(point, level) <= expected(point + 1) and point + 1 < least:
                point += 1
            best, top = average(point, level), level
        level += 1
    return point, top, best


class _Renewal:
    """Expected visits to each position between two orders."""

    def __init__(self, pmf: Floats) -> None:
        self._pmf, self._visits = pmf, [1.0 / (1.0 - pmf[0])]

    def _until(self, distance: int) -> Floats:
        visits, pmf = self._visits, self._pmf
        while len(visits) < distance:
            k = len(visits)
            sizes = np.arange(1, min(k, pmf.size - 1) + 1)
            visits.append(float(pmf[sizes] @ np.array(visits)[k - sizes]) / (1.0 - pmf[0]))
        return np.array(visits[:distance])

    def cost(self, point: int, level: int, expected, order_cost: float) -> float:  # type: ignore[no-untyped-def]
        visits = self._until(level - point)
        costs = np.array([expected(level - k) for k in range(visits.size)])
        return float((order_cost + visits @ costs) / visits.sum())
