"""Sample paths of stock: what will be left when an order placed now arrives, and how much more
would have paid.

Symbols: L lead time, R review interval, X stock on a path when the order arrives (start of period t
+ L), D_r demand from t + L up to and with period t + L + r. The order acts on the periods t + L ..
t + L + R - 1 and on no others, so it is judged on these alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
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


def remembering(situation: Situation, asked: Asked | None = None) -> Situation:
    """The same situation, which works out its shortfalls once. asked: what its futures ask for,
    where that is known already.
    """
    memo = {} if asked is None else {"asked": (_coming(situation), asked)}
    return replace(situation, memo=memo)


def _coming(situation: Situation) -> tuple[object, ...]:
    """The arrays that what the futures ask for follows from; no stock is in them."""
    return situation.paths, situation.lead_time, situation.lead_time_paths


def _state(situation: Situation) -> tuple[object, ...]:
    """What the parts of a situation follow from."""
    stock = situation.on_hand, situation.pipeline, situation.backlog
    return *_coming(situation), *stock, situation.gap, situation.review, situation.economics


def _remembered(situation: Situation, name: str, key: tuple[object, ...]) -> Any:
    """What was worked out from exactly these before, or None."""
    known, value = (situation.memo or {}).get(name, ((), None))
    is_same = len(known) == len(key) and all(a is b for a, b in zip(known, key, strict=True))
    return value if is_same else None


@dataclass(frozen=True)
class Asked:
    """What the sampled futures ask for, added up: the part of a projection that is the same
    whatever stock there is.

    total: (H + 1, N, S) units asked for before each period, none before the first. lead: (N, S)
    whole periods, the lead time on each path.
    """

    total: Floats
    lead: Integers
    _windows: dict[tuple[int, bytes], Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, situation: Situation) -> Asked:
        """Added up for a situation's paths and lead times."""
        paths, sampled = _paths(situation), situation.lead_time_paths
        lead = sampled if sampled.size else situation.lead_time[:, None]
        return cls(added_up(paths), np.broadcast_to(lead, paths.shape[:2]))

    def window(self, rows: Integers, review: int, *, is_kept: bool) -> Floats:
        """(R + 1, n, S) units that some rows ask for before the lead time is over, and by the end
        of each of the R periods after it; kept for whoever asks for the same rows again.
        """
        key = review, rows.tobytes()
        if key in self._windows:
            return self._windows[key]
        within = self.lead[rows] + np.arange(review + 1)[:, None, None]
        found: Floats = self.total[within, rows[:, None], np.arange(self.total.shape[2])]
        if is_kept:
            self._windows[key] = found
        return found


def added_up(paths: Floats) -> Floats:
    """Demand before each period, (H + 1, N, S), of sampled futures (N, S, H)."""
    total = np.zeros((paths.shape[2] + 1, *paths.shape[:2]))
    np.cumsum(np.moveaxis(paths, 2, 0), axis=0, out=total[1:])
    return total


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows whose orders have to last equally long, and what each of their futures lacks, worked
    out once.

    rows: (n,) their numbers, rising. review: R, whole periods, gap included. on_hand: (n,) units,
    net of what is owed. pipeline: (n, K). asked: of which `at` says where the rows stand. is_kept:
    whether others will ask for the same rows.
    """

    rows: Integers
    review: int
    on_hand: Floats
    pipeline: Floats
    holding: Floats
    is_lost: bool
    asked: Asked
    at: Integers
    is_kept: bool

    @cached_property
    def shortfalls(self) -> Floats:
        """How much stock each future would have lacked, at each period the order can still help:
        D_r - X, (n, R, S); negative values are stock left over.

        Under lost sales X never falls below zero on a path: a customer who left needs no unit
        later. It takes one step, as a path whose stock was zero once has forgotten what it began
        with.

        X after m periods is A_m - D_m + max(x, D_i - A_i over i <= m), with A what has arrived and
        D what was asked for; D_i - A_i is greatest just before something arrives, or at the end.
        """
        count, total, lead = self.at.size, self.asked.total, self.asked.lead[self.at]
        window = self.asked.window(self.at, self.review, is_kept=self.is_kept)
        begun = np.repeat(self.on_hand[:, None], lead.shape[1], axis=1)
        arrived = np.zeros((count, total.shape[0]))  # column k: before period k
        columns = min(self.pipeline.shape[1], arrived.shape[1] - 2)
        arrived[:, 2 : 2 + columns] = self.pipeline[:, :columns]
        arrivals = _arrivals(arrived)
        np.cumsum(arrived, axis=1, out=arrived)
        ends = lead + (np.arange(count) * arrived.shape[1])[:, None]  # in `arrived`, laid flat
        if self.is_lost:
            for rows, period in arrivals:
                dry = total[period, self.at[rows]] - arrived[rows, period][:, None]
                dry[period[:, None] > lead[rows]] = -np.inf
                begun[rows] = np.maximum(begun[rows], dry)
            at_end = window[0] - arrived.take(ends)
            np.maximum(begun, at_end, out=begun, where=lead > 0)
        lacking = np.empty((count, self.review, lead.shape[1]))
        for k in range(self.review):
            np.subtract(window[k + 1], begun, out=lacking[:, k])
            lacking[:, k] -= arrived.take(ends + (k + 1))
        return lacking

    @cached_property
    def whole(self) -> Floats:
        """The shortfalls of the whole interval in order, (n, R x S)."""
        return np.sort(self.shortfalls.reshape(self.at.size, -1), axis=1)

    @cached_property
    def last(self) -> Floats:
        """The shortfalls of its last period in order, (n, S)."""
        return np.sort(self.shortfalls[:, -1], axis=1)

    @cached_property
    def whole_added_up(self) -> Floats:
        """The sum of so many of the smallest shortfalls of the interval, (n, R x S + 1)."""
        return _from_zero(self.whole)

    @cached_property
    def last_added_up(self) -> Floats:
        """The sum of so many of the smallest shortfalls of its last period, (n, S + 1)."""
        return _from_zero(self.last)

    def cost(self, some: Integers, quantity: Floats, shortage: Floats) -> Floats:
        """Expected holding and shortage cost of some of the rows if they order so much, (k, B) for
        (k, B) quantities; shortage: (k,) what a lost unit costs.
        """
        held = _beyond(self.whole, self.whole_added_up, some, quantity)
        # What some paths lack is what all lack together, less what the others have left.
        missing = self.last if self.is_lost else self.whole
        added_up = self.last_added_up if self.is_lost else self.whole_added_up
        lacking = added_up[some, -1][:, None] - missing.shape[1] * quantity
        missed = _beyond(missing, added_up, some, quantity) + lacking
        cost = self.holding[some][:, None] * held + shortage[:, None] * missed
        return cost / self.last.shape[1]


def parts(situation: Situation, rows: Integers | None = None) -> Iterable[Part]:
    """A situation's rows, or some of them, by how long their orders have to last.

    What a situation remembers (`remembering`) has all its rows, whichever are asked for. Raises
    ValueError where the forecast is shorter than the window.
    """
    key = _state(situation)
    if (known := _remembered(situation, "parts", key)) is not None:
        return known
    if rows is not None:
        return _parts(situation, np.sort(rows), _asked(situation))
    count = situation.on_hand.size
    made = _parts(situation, np.arange(count), _asked(situation), is_kept=True)
    if situation.memo is None or count > CHUNK:
        return made
    kept = list(made)
    situation.memo["parts"] = (key, kept)
    return kept


def _asked(situation: Situation) -> Asked | None:
    """What is asked for in all rows, where that is known or fits and is worth keeping."""
    key = _coming(situation)
    asked: Asked | None = _remembered(situation, "asked", key)
    if asked is None and situation.memo is not None and situation.on_hand.size <= CHUNK:
        asked = Asked.of(situation)
        situation.memo["asked"] = (key, asked)
    return asked


def _parts(
    situation: Situation, rows: Integers, asked: Asked | None, *, is_kept: bool = False
) -> Iterator[Part]:
    needed = required_horizon(situation)
    if _paths(situation).shape[2] < needed:
        raise ValueError(
            f"the forecast covers {_paths(situation).shape[2]} periods, but lead time + review "
            f"need {needed}: forecast with a longer horizon"
        )
    owed = situation.backlog if situation.backlog.size else np.zeros(situation.on_hand.size)
    interval = situation.interval[rows]
    for review in np.unique(interval):
        same = rows[interval == review]
        for start in range(0, same.size, CHUNK):
            some = same[start : start + CHUNK]
            yield Part(
                rows=some,
                review=int(review),
                on_hand=situation.on_hand[some] - owed[some],
                pipeline=situation.pipeline[some],
                holding=situation.economics.holding[some],
                is_lost=situation.economics.unmet == "lost",
                asked=Asked.of(rows_of(situation, some)) if asked is None else asked,
                at=np.arange(some.size) if asked is None else some,
                is_kept=is_kept,
            )


def _arrivals(arrived: Floats) -> list[tuple[Integers, Integers]]:
    """By turn, the rows to which goods come once more, and the period before whose end they do."""
    row, period = np.nonzero(arrived)
    turn = np.arange(row.size) - np.searchsorted(row, row)
    return [(row[turn == k], period[turn == k] - 1) for k in range(int(turn.max(initial=-1)) + 1)]


def critical_order(situation: Situation, shortage: Floats) -> Floats:
    """The quantity at which one more unit starts to cost more than it saves, shape (N,); negative
    where stock is beyond that point.

    One more unit costs h in every period of the interval it is still there, and saves p: once, if
    the interval runs short (lost sales), or in every period it is owed (backlog). With R = 1 this
    is the quantile p / (p + h) of demand beyond the projected stock. Both sides are weights on the
    same sorted sample, so the answer is a weighted quantile.
    """
    answer = np.zeros(situation.on_hand.shape[0])
    for part in parts(situation):
        last = part.last if part.is_lost else None
        answer[part.rows] = _weighted_quantile(part.whole, last, part.holding, shortage[part.rows])
    return answer


def expected_cost(
    situation: Situation,
    quantity: Floats,
    rows: Integers | None = None,
    *,
    shortage: Floats | None = None,
) -> Floats:
    """Expected holding and shortage cost of the periods an order acts on, if these quantities are
    ordered; (k, B) for (k, B) quantities of k rows, all where none are named.

    shortage: (k,) what a lost unit costs; left out, what the situation says.
    """
    asked = np.arange(situation.on_hand.size) if rows is None else rows
    lost = situation.economics.shortage[asked] if shortage is None else shortage
    answer = np.zeros(quantity.shape)
    for part in parts(situation, rows):
        here = np.flatnonzero(np.isin(asked, part.rows))
        some = np.searchsorted(part.rows, asked[here])
        answer[here] = part.cost(some, quantity[here], lost[here])
    return answer


def mean_demand(situation: Situation) -> Floats:
    """Mean demand of a period over the futures, (N,)."""
    paths = _paths(situation)
    asked = _remembered(situation, "asked", _coming(situation))
    if asked is None:
        return paths.mean(axis=(1, 2), dtype=np.float64)
    return asked.total[-1].mean(axis=1) / paths.shape[2]


def _from_zero(ordered: Floats) -> Floats:
    total = np.zeros((ordered.shape[0], ordered.shape[1] + 1))
    np.cumsum(ordered, axis=1, out=total[:, 1:])
    return total


def _beyond(ordered: Floats, added_up: Floats, rows: Integers, at: Floats) -> Floats:
    """By how much `at` lies above the values below it, added up: (k, B) of some rows of ordered
    values (n, M) and at (k, B).
    """
    below = np.empty(at.shape, dtype=np.int64)
    for k, row in enumerate(rows):
        below[k] = ordered[row].searchsorted(at[k])
    return below * at - added_up[rows[:, None], below]


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


def expected_shortfall(situation: Situation) -> Floats:
    """How much stock is lacking on average at the end of the window, (N,); negative where some is
    left over."""
    answer = np.zeros(situation.on_hand.shape[0])
    for part in parts(situation):
        answer[part.rows] = part.shortfalls[:, -1].mean(axis=1)
    return answer


def rows_of(situation: Situation, rows: slice | Integers) -> Situation:
    """The same situation for some of its rows."""
    economics = situation.economics
    return replace(
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
    (N, R x S) weighs h, and p where it is a last one (N, S), or any where none are given.
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
