"""Sample paths of stock: what will be left when an order placed now arrives, and how much more
would have paid.

Symbols: L lead time, R review interval, X stock on a path when the order arrives (start of period t
+ L), D_r demand from t + L up to and with period t + L + r. The order acts on the periods t + L ..
t + L + R - 1 and on no others, so it is judged on these alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.domain import Floats, Integers, Situation

#: Rows projected at once: bounds memory at about a hundred megabytes for 500 paths of 30 periods.
CHUNK = 2048


def required_horizon(situation: Situation) -> int:
    """The number of periods a forecast must cover for this decision: the longest lead time plus the
    review interval."""
    longest = situation.lead_time_paths if situation.lead_time_paths.size else situation.lead_time
    return int(np.max(longest, initial=0)) + situation.review


def within_reach(situation: Situation) -> Situation:
    """The same situation with sampled lead times no longer than its forecast reaches, less a review
    interval."""
    if situation.paths is None or not situation.lead_time_paths.size:
        return situation
    return replace(
        situation,
        lead_time_paths=np.minimum(
            situation.lead_time_paths, situation.paths.shape[2] - situation.review
        ),
    )


def shortfalls(situation: Situation) -> Floats:
    """How much stock each sampled future would have lacked, at each period the order can still
    help: D_r - X, shape (N, S, R).

    Negative values are stock left over. Under lost sales X never falls below zero on a path: a
    customer who left needs no unit later. Raises ValueError where the forecast is shorter than the
    window.
    """
    paths = _paths(situation)
    count, samples, horizon = paths.shape
    needed = required_horizon(situation)
    if horizon < needed:
        raise ValueError(
            f"the forecast covers {horizon} periods, but lead time + review need {needed}: "
            "forecast with a longer horizon"
        )
    lead = (
        situation.lead_time_paths
        if situation.lead_time_paths.size
        else situation.lead_time[:, None]
    )
    owed = situation.backlog if situation.backlog.size else 0.0
    stock = np.repeat((situation.on_hand - owed)[:, None], samples, axis=1)
    is_lost = situation.economics.unmet == "lost"
    demand = np.ascontiguousarray(np.moveaxis(paths[:, :, :needed], 2, 0))
    left = np.empty((needed, count, samples))
    for k in range(needed):
        if 1 <= k <= situation.pipeline.shape[1]:
            stock = stock + situation.pipeline[:, k - 1, None]
        np.subtract(stock, demand[k], out=left[k])
        # Inside the interval the order's own size is still open, so nothing is cut at zero there.
        stock = np.where(k < lead, np.maximum(left[k], 0.0), left[k]) if is_lost else left[k]
        left[k] = stock
    within = np.broadcast_to(lead, (count, samples)) + np.arange(situation.review)[:, None, None]
    return -np.moveaxis(np.take_along_axis(left, within, axis=0), 0, 2)


def critical_order(situation: Situation, shortage: Floats) -> Floats:
    """The quantity at which one more unit starts to cost more than it saves, shape (N,); negative
    where stock is beyond that point.

    One more unit costs h in every period of the interval it is still there, and saves p: once, if
    the interval runs short (lost sales), or in every period it is owed (backlog). With R = 1 this
    is the quantile p / (p + h) of demand beyond the projected stock. Both sides are weights on the
    same sorted sample, so the answer is a weighted quantile.
    """
    count = situation.on_hand.shape[0]
    answer = np.zeros(count)
    for start in range(0, count, CHUNK):
        rows = slice(start, min(start + CHUNK, count))
        part = rows_of(situation, rows)
        answer[rows] = _weighted_quantile(
            shortfalls(part), part.economics.holding, shortage[rows], part.economics.unmet == "lost"
        )
    return answer


def expected_cost(situation: Situation, quantity: Floats) -> Floats:
    """Expected holding and shortage cost of the periods an order acts on, if these quantities are
    ordered; (N, B) for (N, B) quantities."""
    answer = np.zeros(quantity.shape)
    for start in range(0, quantity.shape[0], CHUNK):
        rows = slice(start, min(start + CHUNK, quantity.shape[0]))
        part = rows_of(situation, rows)
        lacking = shortfalls(part)
        h, p = part.economics.holding, part.economics.shortage
        for b in range(quantity.shape[1]):
            net = quantity[rows, b, None, None] - lacking
            held = np.maximum(net, 0.0).sum(axis=2).mean(axis=1)
            unmet = np.maximum(-net, 0.0)
            missed = (
                unmet[:, :, -1] if part.economics.unmet == "lost" else unmet.sum(axis=2)
            ).mean(axis=1)
            answer[rows, b] = h * held + p * missed
    return answer


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


def rows_of(situation: Situation, rows: slice | Integers) -> Situation:
    """The same situation for some of its rows."""
    economics = situation.economics
    return replace(
        situation,
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
        economics=replace(
            economics,
            holding=economics.holding[rows],
            shortage=economics.shortage[rows],
            unit_cost=economics.unit_cost[rows],
            order_cost=economics.order_cost[rows],
        ),
    )


def window_demand(situation: Situation) -> Floats:
    """Demand of the decision window t .. t + L + R - 1 on every sample path, shape (N, S), with
    each path's own lead time."""
    paths = _paths(situation)
    lead = (
        situation.lead_time_paths
        if situation.lead_time_paths.size
        else situation.lead_time[:, None]
    )
    inside = np.arange(paths.shape[2])[None, None, :] < (lead + situation.review)[:, :, None]
    return np.where(inside, paths, 0.0).sum(axis=2, dtype=np.float64)


def _weighted_quantile(lacking: Floats, holding: Floats, shortage: Floats, is_lost: bool) -> Floats:
    count, samples, review = lacking.shape
    # a lost unit is saved once, an owed one in every period
    saves = np.ones(review) if not is_lost else np.eye(review)[-1]
    weight = holding[:, None, None] + shortage[:, None, None] * saves[None, None, :]
    values = lacking.reshape(count, samples * review)
    order = np.argsort(values, axis=1)
    spread = np.broadcast_to(weight, lacking.shape).reshape(count, samples * review)
    cumulated = np.take_along_axis(spread, order, axis=1).cumsum(axis=1)
    # 1e-9 below the threshold: p / (p + h) of the sample must not slip one rank through rounding.
    reached = cumulated >= (shortage * samples * saves.sum())[:, None] * (1 - 1e-9)
    rank = np.argmax(reached, axis=1)
    return np.take_along_axis(np.take_along_axis(values, order, axis=1), rank[:, None], axis=1)[
        :, 0
    ]


def _paths(situation: Situation) -> Floats:
    if situation.paths is None:
        raise ValueError(
            "this policy needs sample paths of demand: pass a forecast, or choose a policy that "
            "works from history"
        )
    return situation.paths
