"""The nouns every room shares: series, forecasts as sample paths, what a policy may see, and the
order it proposes.

The clock contract, shared by planning, replay, twin and learning. In each period t:

1. receive what is due at the start of t;
2. observe stock, pipeline and everything known, and decide;
3. demand of t happens;
4. cost is booked on the stock left at the end of t and on the units lost or late in t.

An order decided in period t with a lead time of L periods is received in step 1 of period t + L.
"Decided at the end of week X" is step 2 of week X + 1: with L = 2 it is sellable from the start of
week X + 3. The window an order must cover is therefore periods t .. t + L + R - 1, L + R periods
long, where R is the review interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

#: The columns that name one series; the same words in SQL, Feast and Python.
SERIES = ("item_id", "location_id")

#: What brings the first 80 % of the value, or of the units, is class A, the next 15 % B (Dickie
#: 1951; Silver, Pyke and Thomas 2017).
ABC = (0.80, 0.95)

#: The largest quantity, and the largest value in the world's currency, of one order line: sums of
#: many such still fit the ledger's balances.
MOST_ORDERED = 1e12

#: The nine quantile levels of the M5 uncertainty competition.
QUANTILES = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)


@dataclass(frozen=True)
class Economics:
    """What a unit too many and a unit too few cost; per-series arrays of shape (N,), money in the
    world's currency.

    holding: h, cost of one unit left at the end of a period. shortage: p, cost of one unit of
    demand not met.
    unit_cost: purchase price of one unit. order_cost: K, fixed cost of one order line. unmet: what
    happens to demand that is not met. waiting_share: where it waits (backlog), the share of it that
    does; the rest is lost. A unit lost costs p once, a unit owed p in every period.
    """

    holding: Floats
    shortage: Floats
    unit_cost: Floats
    order_cost: Floats
    unmet: Literal["lost", "backlog"] = "lost"
    waiting_share: float = 1.0

    @property
    def waits(self) -> float:
        """The share of unmet demand that waits, 0 under lost sales."""
        return self.waiting_share if self.unmet == "backlog" else 0.0

    @property
    def fractile(self) -> Floats:
        """The critical fractile p / (p + h): the probability of covering the window's demand that
        costs least (newsvendor)."""
        return self.shortage / (self.shortage + self.holding)


@dataclass(frozen=True)
class Situation:
    """What a policy may see when it decides at step 2 of a period: stock, what is on the way, the
    past and the forecast.

    on_hand: (N,) units after step 1. pipeline: (N, K), units due at the start of period t + k, k =
    1 .. K (column 0 is t + 1).
    history: (N, T) demand of periods t - T .. t - 1, NaN where unknown. paths: (N, S, H) sampled
    demand of periods t .. t + H - 1, or None for policies that need no forecast. lead_time: (N,)
    whole periods L. review: R, whole periods.
    backlog: (N,) units owed to customers (zero under lost sales). lead_time_paths: (N, S) sampled
    whole lead times, one a demand path; empty when the lead time is certain. phase: (T + H,)
    position in the year (week 1 .. 53, or day) of the history's and then of the coming periods;
    empty when the caller knows no calendar. order_multiple: (N,) units orders come in and moq: (N,)
    the least that is accepted; empty where any quantity will do. service_level: (N,) the least
    probability of covering the window that somebody promised, 0 where nobody did; empty where
    nobody promised anything. gap: (N,) periods beyond R until what the next decision orders is
    there, as calendars of suppliers have it; empty where it is never later. customer_orders:
    (N, K) units customers have ordered, column 0 overdue, column k due in the k-th coming period;
    empty where nobody tells. delay: (N,) whole periods that an order placed now takes longer, and
    surge: (N,) by how much demand is multiplied now, as events in force say; empty where there is
    none, or nobody tells.
    """

    on_hand: Floats
    pipeline: Floats
    history: Floats
    paths: Floats | None
    lead_time: Integers
    review: int
    economics: Economics
    backlog: Floats = field(default_factory=lambda: np.zeros(0))
    lead_time_paths: Integers = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    phase: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    moq: Floats = field(default_factory=lambda: np.zeros(0))
    order_multiple: Floats = field(default_factory=lambda: np.zeros(0))
    service_level: Floats = field(default_factory=lambda: np.zeros(0))
    gap: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    customer_orders: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    delay: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    surge: Floats = field(default_factory=lambda: np.zeros(0))
    #: What was worked out from these arrays already, for whoever asks again; None keeps nothing.
    memo: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def interval(self) -> Integers:
        """(N,) whole periods that an order has to last: R, and the row's gap."""
        every = np.full(self.on_hand.size, self.review, dtype=np.int64)
        return every + self.gap if self.gap.size else every

    @property
    def position(self) -> Floats:
        """The stock position: on hand + on the way - owed, shape (N,)."""
        position: Floats = self.on_hand + self.pipeline.sum(axis=1)
        if self.backlog.size and self.economics.unmet == "backlog":
            position = position - self.backlog
        return position


class Policy(Protocol):
    """A rule that turns a situation into quantities; rounding to MOQ and multiples is done by
    whoever asks."""

    @property
    def name(self) -> str:
        """The name the registry, the scorecard and the decisions use."""
        ...

    def order(self, situation: Situation) -> Floats:
        """Units to order now, shape (N,), never negative."""
        ...


def recent_mean(history: Floats, periods: int | None = None) -> Floats:
    """Mean demand of the last periods (all, where no number is given), unknown ones left out, 0
    where nothing is known; shape (N,)."""
    window = history if periods is None else history[:, -periods:]
    known = ~np.isnan(window)
    return np.where(known, window, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def need_key(world: str, kind: str, item_id: str, location_id: str, review_period: str) -> str:
    r"""The name of a need: world | kind | item | location | review period, the last as an ISO date.

    A `|` or `\` inside an id has a `\` before it, so that two needs never share a name.
    """
    parts = (world, kind, item_id, location_id, review_period)
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def need_id(intent_key: str) -> str:
    """The short name of a need, to be typed after `trace` or `approve`: ten hexadecimal digits of
    its intent key's SHA-256."""
    return hashlib.sha256(intent_key.encode()).hexdigest()[:10]


def also_from(source: str) -> str:
    """The occasion of a need's order at another source than its usual one."""
    return f"also from {source}"


@dataclass(frozen=True)
class OrderLine:
    """One proposed order line: a purchase (supplier to location) or a transfer (location to
    location), with its reason in numbers.

    parts adds up exactly to quantity: expected_demand + safety_stock - stock_position + every
    adjustment (rounding, MOQ, budget ...).
    """

    world: str
    kind: Literal["purchase", "transfer"]
    item_id: str
    location_id: str  # where the goods go
    from_id: str  # the supplier, or the location that ships
    quantity: float
    review_period: date  # the first day of the review period this order belongs to
    due_on: date
    unit_cost: float
    parts: dict[str, float]
    reason: str
    # why the need has an order beside its usual one: a second supplier, or something that happened
    occasion: str = ""

    @property
    def intent_key(self) -> str:
        """The need itself (and the occasion, where it has more than one order), so a re-plan
        revises and never repeats it."""
        need = need_key(
            self.world, self.kind, self.item_id, self.location_id, self.review_period.isoformat()
        )
        return f"{need}|{self.occasion}" if self.occasion else need

    @property
    def value(self) -> float:
        """What the line costs before freight and duty, in the world's currency."""
        return self.quantity * self.unit_cost
