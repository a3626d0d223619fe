"""Sample paths of stock: what will be left when an order placed now arrives, and how much more
would have paid.

Symbols: L lead time, R review interval, X stock on a path when the order arrives (start of period t
+ L), D_r demand from t + L up to and with period t + L + r. The order acts on the periods t + L ..
t + L + R - 1 and on no others, so it is judged on these alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.domain import Floats, Integers, Situation

#: Rows projected at once: bounds memory at about a hundred megabytes for 500 paths of 30 periods.
CHUNK = 2048


def required_horizon(situation: Situation) -> int:
    """The number of periods a forecast must cover for this decision: the longest lead time plus the
    review interval."""
    sampled = situation.lead_time_paths
    longest = sampled.max(axis=1) if sampled.size else situation.lead_time
    return int(np.max(longest + situation.interval, initial=situation.review))


def drawn_out(paths: Floats, periods: int, review: int) -> Floats:
    """Sampled futures (N, S, H) that go on for so many more periods, (N, S, H + periods): each
    repeats its own last review interval."""
    tail = paths[:, :, -review:]
    more = np.tile(tail, (1, 1, -(-periods // tail.shape[2])))[:, :, :periods]
    return np.concatenate([paths, more], axis=2)


def within_reach(situation: Situation) -> Situation:
    """The same situation with sampled lead times no longer than its forecast reaches, less a review
    interval."""
    if situation.paths is None or not situation.lead_time_paths.size:
        return situation
    return replace(
        situation,
        lead_time_paths=np.minimum(
            situation.lead_time_paths, (situation.paths.shape[2] - situation.interval)[:, None]
        ),
    )


def shortfalls(situation: Situation) -> Floats:
    """How much stock each sampled future would have lacked, at each period the order can still
    help: D_r - X, shape (N, S, R).

    Negative values are stock left over. Under lost sales X never falls below zero on a path: a
    customer who left needs no unit later. Raises ValueError where the forecast is shorter than the
    window.
    """
    key = _state(situation)
    if (known := _remembered(situation, "shortfalls", key)) is not None:
        return known
    needed = required_horizon(situation)
    if _paths(situation).shape[2] < needed:
        raise ValueError(
            f"the forecast covers {_paths(situation).shape[2]} periods, but lead time + review "
            f"need {needed}: forecast with a longer horizon"
        )
    asked = _remembered(situation, "asked", key[:3])
    result = _shortfalls(situation, Asked.of(situation) if asked is None else asked)
    if situation.memo is not None:
        situation.memo["shortfalls"] = (key, result)
    return result


def _state(situation: Situation) -> tuple[object, ...]:
    """The arrays that a projection follows from; the first three are those that no stock is in."""
    return (
        situation.paths,
        situation.lead_time,
        situation.lead_time_paths,
        situation.on_hand,
        situation.pipeline,
        situation.backlog,
    )


def _remembered(situation: Situation, name: str, key: tuple[object, ...]) -> Any:
    """What was worked out from exactly these arrays before, or None."""
    known, value = (situation.memo or {}).get(name, ((), None))
    is_same = len(known) == len(key) and all(a is b for a, b in zip(known, key, strict=True))
    return value if is_same else None


def remembering(situation: Situation, asked: Asked | None = None) -> Situation:
    """The same situation, which works out its shortfalls once; asked: what its futures ask for,
    where that is known already.
    """
    memo = {} if asked is None else {"asked": (_state(situation)[:3], asked)}
    return replace(situation, memo=memo)


@dataclass(frozen=True)
class Asked:
    """What the sampled futures ask for, added up: the part of a projection that is the same
    whatever stock there is.

    total: (H + 1, N, S) units asked for before each period, counted from any moment on: base is
    what it begins with. lead: (N, S) whole periods, the lead
    time on each path. window: (R + 1, N, S) units asked for before the lead time is over, and by
    the end of each period of the review interval after it.
    """

    total: Floats
    lead: Integers
    window: Floats

    @property
    def base(self) -> Floats:
        """(N, S) units counted before the first period."""
        return self.total[0]

    @classmethod
    def of(cls, situation: Situation) -> Asked:
        """Added up for a situation's paths and lead times."""
        paths = _paths(situation)
        total = np.zeros((paths.shape[2] + 1, *paths.shape[:2]))
        np.cumsum(np.moveaxis(paths, 2, 0), axis=0, out=total[1:])
        sampled = situation.lead_time_paths
        lead = np.broadcast_to(
            sampled if sampled.size else situation.lead_time[:, None], paths.shape[:2]
        )
        return cls(total, lead, totals_at(total, lead, situation.review))

    def rows(self, rows: slice | Integers) -> Asked:
        """The same for some rows."""
        return Asked(self.total[:, rows], self.lead[rows], self.window[:, rows])


def totals_at(total: Floats, lead: Integers, review: int) -> Floats:
    """(H + 1, N, S) totals at the end of the lead time and of each of the R periods after it."""
    within = lead + np.arange(review + 1)[:, None, None]
    return np.take_along_axis(total, within, axis=0)


def _shortfalls(situation: Situation, asked: Asked) -> Floats:
    """D_r - X in one step: a path whose stock was zero once has forgotten what it began with.

    X after m periods is A_m - D_m + max(x, D_i - A_i over i <= m), with A what has arrived and D
    what was asked for; D_i - A_i is greatest just before something arrives, or at the end.
    """
    count = asked.lead.shape[0]
    owed = situation.backlog if situation.backlog.size else 0.0
    begun = asked.base + (situation.on_hand - owed)[:, None]
    arrived = np.zeros((count, asked.total.shape[0]))  # column k: before period k
    columns = min(situation.pipeline.shape[1], arrived.shape[1] - 2)
    arrived[:, 2 : 2 + columns] = situation.pipeline[:, :columns]
    arrivals = _events(arrived)
    np.cumsum(arrived, axis=1, out=arrived)
    if situation.economics.unmet == "lost":
        rows = np.arange(count)
        for period in arrivals:  # (N,) the period of each row's next arrival
            dry = asked.total[period, rows] - arrived[rows, period][:, None]
            np.maximum(begun, np.where(period[:, None] <= asked.lead, dry, -np.inf), out=begun)
        at_end = asked.window[0] - np.take_along_axis(arrived, asked.lead, axis=1)
        np.maximum(begun, np.where(asked.lead > 0, at_end, -np.inf), out=begun)
    within = asked.lead[:, :, None] + np.arange(1, situation.review + 1)
    received = np.take_along_axis(arrived, within.reshape(count, -1), axis=1).reshape(within.shape)
    return np.moveaxis(asked.window[1:], 0, 2) - received - begun[:, :, None]


def _events(arrived: Floats) -> list[Integers]:
    """By turn, the period at whose start something arrives, (N,) each; the last where a row has no
    more.
    """
    row, period = np.nonzero(arrived)
    if not row.size:
        return []
    turn = np.arange(row.size) - np.searchsorted(row, row)
    never = arrived.shape[1] - 1  # after every lead time
    events = np.full((int(turn.max()) + 1, len(arrived)), never, dtype=np.int64)
    events[turn, row] = period - 1
    return list(events)


def critical_order(situation: Situation, shortage: Floats) -> Floats:
    """The quantity at which one more unit starts to cost more than it saves, shape (N,); negative
    where stock is beyond that point.

    One more unit costs h in every period of the interval it is still there, and saves p: once, if
    the interval runs short (lost sales), or in every period it is owed (backlog). With R = 1 this
    is the quantile p / (p + h) of demand beyond the projected stock. Both sides are weights on the
    same sorted sample, so the answer is a weighted quantile.
    """
    answer = np.zeros(situation.on_hand.shape[0])
    for rows, part in alike(situation):
        is_lost = part.economics.unmet == "lost"
        whole, last = _in_order(part)
        answer[rows] = _weighted_quantile(
            whole, last if is_lost else None, part.economics.holding, shortage[rows]
        )
    return answer


def expected_cost(situation: Situation, quantity: Floats) -> Floats:
    """Expected holding and shortage cost of the periods an order acts on, if these quantities are
    ordered; (N, B) for (N, B) quantities."""
    answer = np.zeros(quantity.shape)
    for rows, part in alike(situation):
        whole, last = _in_order(part)
        economics, tried = part.economics, quantity[rows]
        held = _beyond(whole, tried)
        # What some paths lack is what all lack together, less what the others have left.
        missing = last if economics.unmet == "lost" else whole
        lacking = missing.sum(axis=1)[:, None] - missing.shape[1] * tried
        missed = _beyond(missing, tried) + lacking
        cost = economics.holding[:, None] * held + economics.shortage[:, None] * missed
        answer[rows] = cost / _paths(part).shape[1]
    return answer


def mean_demand(situation: Situation) -> Floats:
    """Mean demand of a period over the futures, (N,)."""
    paths = _paths(situation)
    asked = _remembered(situation, "asked", _state(situation)[:3])
    if asked is None:
        return paths.mean(axis=(1, 2), dtype=np.float64)
    return (asked.total[-1] - asked.total[0]).mean(axis=1) / paths.shape[2]


def _in_order(situation: Situation) -> tuple[Floats, Floats]:
    """The shortfalls of each row in order, of the whole interval (N, S x R) and of its last period
    (N, S).
    """
    key = _state(situation)
    if (known := _remembered(situation, "in_order", key)) is not None:
        return known
    lacking = shortfalls(situation)
    in_order = (
        np.sort(lacking.reshape(len(lacking), -1), axis=1),
        np.sort(lacking[:, :, -1], axis=1),
    )
    if situation.memo is not None:
        situation.memo["in_order"] = (key, in_order)
    return in_order


def _beyond(ordered: Floats, at: Floats) -> Floats:
    """By how much `at` lies above the values below it, added up: (N, B) of ordered values (N, M)
    and at (N, B).
    """
    total = np.concatenate([np.zeros((len(ordered), 1)), ordered.cumsum(axis=1)], axis=1)
    below = np.array([np.searchsorted(row, q) for row, q in zip(ordered, at, strict=True)])
    below = below.reshape(at.shape)
    return below * at - np.take_along_axis(total, below, axis=1)


def project(situation: Situation, periods: int) -> tuple[Floats, Floats]:
    """Let the stock run down on every path with no further order: end stock and unmet demand, (N,
    S, periods) each.

    What is on the way arrives as due. Under backlog end stock is net of what is owed, never below
    zero, and unmet is what is owed.
    """
    paths = _paths(situation)
    if paths.shape[2] < periods:
        raise ValueError(f"the forecast covers {paths.shape[2]} periods, {periods} are asked for")
    owed = situation.backlog if situation.backlog.size else 0.0
    net = np.repeat((situation.on_hand - owed)[:, None], paths.shape[1], axis=1)
    stock, unmet = np.zeros((*net.shape, periods)), np.zeros((*net.shape, periods))
    for k in range(periods):
        if 1 <= k <= situation.pipeline.shape[1]:
            net = net + situation.pipeline[:, k - 1, None]
        net = net - paths[:, :, k]
        stock[:, :, k], unmet[:, :, k] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        if situation.economics.unmet == "lost":
            net = np.maximum(net, 0.0)
    return stock, unmet


def alike(situation: Situation) -> Iterator[tuple[slice | Integers, Situation]]:
    """The rows, at most CHUNK at once, whose orders have to last equally long, that long being the
    review interval of the part."""
    count = situation.on_hand.shape[0]
    if not situation.gap.any():
        for start in range(0, count, CHUNK):
            rows = slice(start, min(start + CHUNK, count))
            yield rows, situation if count <= CHUNK else rows_of(situation, rows)
        return
    plain = replace(situation, memo=None, gap=np.zeros(0, dtype=np.int64))
    for interval in np.unique(situation.interval):
        same = np.flatnonzero(situation.interval == interval)
        for start in range(0, same.size, CHUNK):
            some = same[start : start + CHUNK]
            yield some, replace(rows_of(plain, some), review=int(interval))


def expected_shortfall(situation: Situation) -> Floats:
    """How much stock is lacking on average at the end of the window, (N,); negative where some is
    left over."""
    answer = np.zeros(situation.on_hand.shape[0])
    for rows, part in alike(situation):
        answer[rows] = shortfalls(part)[:, :, -1].mean(axis=1)
    return answer


def rows_of(situation: Situation, rows: slice | Integers) -> Situation:
    """The same situation for some of its rows."""
    economics = situation.economics
    some = replace(
        situation,
        memo=None,
        on_hand=situation.on_hand[rows],
        pipeline=situation.pipeline[rows],
        history=situation.history[rows],
        paths=None if situation.paths is None else situation.paths[rows],
        lead_time=situation.lead_time[rows],
        backlog=situation.backlog[rows] if situation.backlog.size else situation.backlog,
        lead_time_paths=situation.lead_time_paths[rows]
        if situation.lead_time_paths.size
        else situation.lead_time_paths,
        moq=situation.moq[rows] if situation.moq.size else situation.moq,
        order_multiple=situation.order_multiple[rows]
        if situation.order_multiple.size
        else situation.order_multiple,
        service_level=situation.service_level[rows]
        if situation.service_level.size
        else situation.service_level,
        gap=situation.gap[rows] if situation.gap.size else situation.gap,
        customer_orders=situation.customer_orders[rows]
        if situation.customer_orders.size
        else situation.customer_orders,
        economics=replace(
            economics,
            holding=economics.holding[rows],
            shortage=economics.shortage[rows],
            unit_cost=economics.unit_cost[rows],
            order_cost=economics.order_cost[rows],
        ),
    )
    return some if situation.memo is None else _remembering_rows(situation, some, rows)


def _remembering_rows(whole: Situation, some: Situation, rows: slice | Integers) -> Situation:
    memo: dict[str, tuple[tuple[object, ...], Any]] = {}
    key = _state(whole)
    if (lacking := _remembered(whole, "shortfalls", key)) is not None:
        memo["shortfalls"] = (_state(some), lacking[rows])
        if (ordered := _remembered(whole, "in_order", key)) is not None:
            memo["in_order"] = (_state(some), (ordered[0][rows], ordered[1][rows]))
    elif (asked := _remembered(whole, "asked", key[:3])) is not None:
        memo["asked"] = (_state(some)[:3], asked.rows(rows))
    return replace(some, memo=memo)


def window_demand(situation: Situation) -> Floats:
    """Demand of the decision window t .. t + L + R - 1 on every sample path, shape (N, S), with
    each path's own lead time."""
    paths = _paths(situation)
    lead = (
        situation.lead_time_paths
        if situation.lead_time_paths.size
        else situation.lead_time[:, None]
    )
    until = lead + situation.interval[:, None]
    inside = np.arange(paths.shape[2])[None, None, :] < until[:, :, None]
    return np.where(inside, paths, 0.0).sum(axis=2, dtype=np.float64)


def _weighted_quantile(
    values: Floats, last: Floats | None, holding: Floats, shortage: Floats
) -> Floats:
    """The value up to which the sample weighs what a unit saves, (N,): each of the ordered values
    (N, S x R) weighs h, and p where it is a last one (N, S), or any where none are given.
    """
    count, size = values.shape
    # A lost unit is saved once, in the last period; an owed one in every period.
    saved = size if last is None else last.shape[1]
    # 1e-9 below the threshold: p / (p + h) of the sample must not slip one rank through rounding.
    needed = shortage * saved * (1 - 1e-9)
    low, high = np.zeros(count, dtype=np.int64), np.full(count, size - 1)
    rows = np.arange(count)
    while (low < high).any():
        middle = (low + high) // 2
        # Of equal values any may stand for all: the answer is their value.
        of_saved = middle + 1 if last is None else (last <= values[rows, middle][:, None]).sum(1)
        enough = holding * (middle + 1) + shortage * of_saved >= needed
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + 1)
    return values[rows, low]


def _paths(situation: Situation) -> Floats:
    if situation.paths is None:
        raise ValueError(
            "this policy needs sample paths of demand: pass a forecast, or choose a policy that "
            "works from history"
        )
    return situation.paths
